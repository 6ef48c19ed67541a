"""PSNR, SSIM and luma exactly as MATLAB computes them, so that values can be compared with published ones.

Pictures are `(H, W)` or `(H, W, C)`, RGB, values in [0, peak] (peak 255 unless told), as arrays or tensors of any
type; everything is computed in float64. `tests/reference/` holds what GNU Octave gives for the same formulas.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

from ..errors import InputError

Picture = np.ndarray | torch.Tensor

WINDOW = 11
WINDOW_SIGMA = 1.5

# First row of MATLAB's rgb2ycbcr, for R, G, B in [0, 1]; BT.601 studio range, so Y is in [16, 235].
LUMA_WEIGHTS = (65.481, 128.553, 24.966)
LUMA_OFFSET = 16.0


def psnr(restored: Picture, clean: Picture, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB, the squared error pooled over all pixels and channels of one picture.

    Args:
        restored, clean: `(H, W)` or `(H, W, C)`, values in [0, peak].
        peak: the largest possible value.

    Returns:
        dB, higher is better; infinity for equal pictures.

    Raises:
        ValueError: when the pictures differ in shape or are no pictures.

    Example:
        >>> psnr(np.full((8, 8), 100), np.full((8, 8), 101))
        48.1308...
    """
    a, b = _pair(restored, clean)
    error = (a - b).square().mean().item()
    if error == 0.0:
        return math.inf
    return 10.0 * math.log10(peak * peak / error)


def ssim(restored: Picture, clean: Picture, peak: float = 255.0) -> float:
    """Structural similarity of Wang et al. 2004 (`ssim_index.m`), in [-1, 1]; colour is the mean over channels.

    Gaussian window 11x11 with sigma 1.5, only where it fits whole ('valid'), K 0.01 and 0.03, no down-sampling.

    Args:
        restored, clean: `(H, W)` or `(H, W, C)`, values in [0, peak], both sides at least 11.
        peak: the dynamic range L of the formula.

    Raises:
        ValueError: when the pictures differ in shape; InputError when they are smaller than the window.
    """
    a, b = _pair(restored, clean)
    if min(a.shape[:2]) < WINDOW:
        raise InputError(f"SSIM needs pictures of at least {WINDOW}x{WINDOW} pixels, this one is {_size(a)}")
    planes = (_planes(a), _planes(b))
    return _ssim_map(*planes, peak=peak, blur=_blur_valid).mean().item()


def ssim3d(restored: Picture, clean: Picture, peak: float = 255.0) -> float:
    """SSIM as MATLAB's `ssim` gives it for an RGB array, which it takes for a volume of depth 3.

    The window is 11x11x11 with sigma 1.5 and borders are replicated in all three directions; the mean is over the
    whole map. This is the SSIM of the GoPro and SIDD tables, and reads higher than the 2-D one on the same pictures.

    Args:
        restored, clean: `(H, W, C)`, values in [0, peak].
        peak: the dynamic range L of the formula.

    Raises:
        ValueError: when the pictures differ in shape or have no channels.
    """
    a, b = _pair(restored, clean)
    if a.ndim != 3:
        raise ValueError(f"the 3-D SSIM is for colour pictures (H, W, 3), this one is {_size(a)}")
    return _ssim_map(_planes(a), _planes(b), peak=peak, blur=_blur_volume).mean().item()


def luma(rgb: Picture, rounded: bool) -> np.ndarray:
    """The Y channel of MATLAB's `rgb2ycbcr` for RGB values in [0, 255]: BT.601 studio range, [16, 235].

    Args:
        rgb: `(H, W, 3)`, values in [0, 255]; whole numbers where `rounded`.
        rounded: True for what MATLAB gives for uint8 pictures (`y-matlab`), False for unrounded Y (`y-float`).

    Returns:
        `(H, W)` float64.

    Raises:
        ValueError: when the picture has no three channels, or is not of 8 bit where MATLAB's uint8 path is asked for.
    """
    pixels = _float64(rgb).numpy()
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"luma needs a colour picture (H, W, 3), this one has the shape {pixels.shape}")
    # MATLAB scales the weights first and adds in this order; a few exact ties depend on it.
    red, green, blue = (weight * (1.0 / 255.0) for weight in LUMA_WEIGHTS)
    y: np.ndarray = red * pixels[..., 0] + green * pixels[..., 1] + blue * pixels[..., 2] + LUMA_OFFSET
    if not rounded:
        return y
    if not np.array_equal(pixels, np.clip(np.rint(pixels), 0, 255)):
        raise ValueError(
            "rounded luma is defined for 8-bit pictures: round the picture to whole numbers in 0..255 first"
        )
    return np.floor(y + 0.5)


def to_8bit(pixels: Picture) -> np.ndarray:
    """Values in [0, 1] (outside is clamped) to uint8, halves up as MATLAB rounds. Same shape."""
    values = _float64(pixels).numpy()
    return np.floor(np.clip(values, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _ssim_map(a: torch.Tensor, b: torch.Tensor, peak: float, blur) -> torch.Tensor:
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_a, mean_b = blur(a), blur(b)
    variance_a = blur(a * a) - mean_a * mean_a
    variance_b = blur(b * b) - mean_b * mean_b
    covariance = blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    return luminance * (2 * covariance + c2) / (variance_a + variance_b + c2)


def _blur_valid(planes: torch.Tensor) -> torch.Tensor:
    """`(C, H, W)` to `(C, H-10, W-10)`; a Gaussian window is the product of its directions."""
    return _blur_along(_blur_along(planes, 1), 2)


def _blur_volume(planes: torch.Tensor) -> torch.Tensor:
    """`(C, H, W)` to `(C, H, W)`, borders replicated, the channels being the third direction."""
    volume = functional.pad(planes[None, None], (WINDOW // 2,) * 6, mode="replicate")[0, 0]
    return _blur_along(_blur_along(_blur_along(volume, 0), 1), 2)


def _blur_along(planes: torch.Tensor, dim: int) -> torch.Tensor:
    """The weighted sum of shifted planes, which in float64 is several times faster than PyTorch's convolution."""
    length = planes.shape[dim] - WINDOW + 1
    blurred = torch.zeros_like(planes.narrow(dim, 0, length))
    for shift, weight in enumerate(_window().tolist()):
        blurred.add_(planes.narrow(dim, shift, length), alpha=weight)
    return blurred


def _window() -> torch.Tensor:
    """`(11,)` Gaussian of sum 1."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-offsets.square() / (2 * WINDOW_SIGMA**2))
    return weights / weights.sum()


def _planes(picture: torch.Tensor) -> torch.Tensor:
    """`(H, W)` or `(H, W, C)` to `(C, H, W)`."""
    return picture[None] if picture.ndim == 2 else picture.permute(2, 0, 1)


def _pair(restored: Picture, clean: Picture) -> tuple[torch.Tensor, torch.Tensor]:
    a, b = _float64(restored), _float64(clean)
    if a.shape != b.shape:
        raise ValueError(f"the two pictures must have the same shape, got {tuple(a.shape)} and {tuple(b.shape)}")
    if a.ndim not in (2, 3) or a.numel() == 0:
        raise ValueError(f"a picture is (H, W) or (H, W, C) and not empty, got the shape {tuple(a.shape)}")
    return a, b


def _float64(picture: Picture) -> torch.Tensor:
    if isinstance(picture, torch.Tensor):
        return picture.detach().to(device="cpu", dtype=torch.float64)
    return torch.from_numpy(np.array(picture, dtype=np.float64))


def _size(picture: torch.Tensor) -> str:
    return "x".join(str(side) for side in picture.shape)
