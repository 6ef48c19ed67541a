% Reference values of PSNR, SSIM and luma by MATLAB's formulas, in GNU Octave with its image package.
% Run in this folder: octave --no-gui --quiet make_values.m
%
% rgb2ycbcr, psnr, padarray and fspecial are the package's own; SSIM is written out from the formulas, with a full
% window instead of the separable one that the Python code uses.
pkg load image

function value = psnr_of(a, b)
  e = double(a) - double(b);
  value = 10 * log10(255 ^ 2 / mean(e(:) .^ 2));
end

function value = ssim_from(blur, a, b)
  c1 = (0.01 * 255) ^ 2;
  c2 = (0.03 * 255) ^ 2;
  a = double(a);
  b = double(b);
  ma = blur(a);
  mb = blur(b);
  va = blur(a .* a) - ma .* ma;
  vb = blur(b .* b) - mb .* mb;
  vab = blur(a .* b) - ma .* mb;
  map = ((2 * ma .* mb + c1) .* (2 * vab + c2)) ./ ((ma .^ 2 + mb .^ 2 + c1) .* (va + vb + c2));
  value = mean(map(:));
end

% Wang's ssim_index.m: fspecial window, filter2 'valid'; colour: the mean of the channels.
function value = ssim_2d(a, b)
  window = fspecial('gaussian', 11, 1.5);
  values = zeros(1, size(a, 3));
  for c = 1:size(a, 3)
    values(c) = ssim_from(@(x) filter2(window, x, 'valid'), a(:, :, c), b(:, :, c));
  end
  value = mean(values);
end

% MATLAB's ssim of an M x N x 3 array: a volume, Gaussian window 11x11x11, borders replicated.
function value = ssim_3d(a, b)
  [x, y, z] = ndgrid(-5:5, -5:5, -5:5);
  window = exp(-(x .^ 2 + y .^ 2 + z .^ 2) / (2 * 1.5 ^ 2));
  window = window / sum(window(:));
  value = ssim_from(@(v) convn(padarray(v, [5 5 5], 'replicate'), window, 'valid'), a, b);
end

function text = comma(i, last)
  text = ',';
  if i == last
    text = '';
  end
end

names = {'astronaut', 'chelsea', 'coffee'};
file = fopen('values.json', 'w');
fprintf(file, '{\n');
for i = 1:numel(names)
  clean = imread([names{i} '_clean.png']);
  degraded = imread([names{i} '_degraded.png']);
  y8_clean = rgb2ycbcr(clean)(:, :, 1);
  y8 = rgb2ycbcr(degraded)(:, :, 1);
  y_clean = rgb2ycbcr(double(clean) / 255)(:, :, 1) * 255;
  y = rgb2ycbcr(double(degraded) / 255)(:, :, 1) * 255;
  values = {'rgb_psnr', psnr_of(degraded, clean);
            'rgb_psnr_of_package', psnr(degraded, clean);
            'rgb_ssim', ssim_2d(degraded, clean);
            'rgb_ssim3d', ssim_3d(degraded, clean);
            'y_matlab_sum', sum(double(y8(:)));
            'y_matlab_psnr', psnr_of(y8, y8_clean);
            'y_matlab_ssim', ssim_2d(y8, y8_clean);
            'y_float_sum', sum(y(:));
            'y_float_psnr', psnr_of(y, y_clean);
            'y_float_ssim', ssim_2d(y, y_clean);
            'gray_psnr', psnr_of(degraded(:, :, 2), clean(:, :, 2));
            'gray_ssim', ssim_2d(degraded(:, :, 2), clean(:, :, 2))};
  fprintf(file, '  "%s": {\n', names{i});
  for k = 1:rows(values)
    fprintf(file, '    "%s": %.12f%s\n', values{k, 1}, values{k, 2}, comma(k, rows(values)));
  end
  fprintf(file, '  }%s\n', comma(i, numel(names)));
end
fprintf(file, '}\n');
fclose(file);
