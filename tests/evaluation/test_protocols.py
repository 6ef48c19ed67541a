"""How degraded inputs come about, and the published values of the degraded inputs of real sets."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io

from modeling_samdistill.blur_kernels import blur, read_kernels
from modeling_samdistill.errors import InputError
from modeling_samdistill.evaluation.protocols import PROTOCOLS, gaussian_noise, protocol_named, quantise
from modeling_samdistill.evaluation.sets import open_set
from tests.development_data import data_path, needs

CLEAN = np.random.RandomState(3).randint(0, 256, (20, 30, 3), dtype=np.uint8)


def test_noise_is_that_of_numpy_seeded_with_zero_for_each_picture():
    np.random.seed(seed=0)
    expected = CLEAN / 255.0 + np.random.normal(0, 25 / 255.0, CLEAN.shape)
    for index in (0, 5):
        assert np.array_equal(PROTOCOLS["rgb"].degrade(CLEAN, index, sigma=25), expected)


def test_rgb_input_is_neither_clipped_nor_quantised_and_rgb_8bit_input_is():
    free = PROTOCOLS["rgb"].degrade(CLEAN, 0, sigma=50)
    assert free.min() < 0 < 1 < free.max()
    stored = PROTOCOLS["rgb-8bit"].degrade(CLEAN, 0, sigma=50)
    assert np.array_equal(stored, quantise(free))
    assert np.array_equal(stored * 255, np.rint(stored * 255))


def test_blur_is_a_convolution_with_the_edge_repeated():
    kernel = np.zeros((3, 3))
    kernel[1, 2] = 2.0
    picture = np.arange(12.0).reshape(3, 4)
    moved_right = np.pad(picture, ((0, 0), (1, 0)), mode="symmetric")[:, :-1]
    assert np.allclose(blur(picture, kernel), moved_right)


def test_deblur_heldout_takes_kernel_i_mod_count_and_adds_its_noise():
    kernels = [np.array([[1.0]]), np.ones((3, 3)) / 9]
    protocol = PROTOCOLS["deblur-heldout"]
    sharp = quantise(CLEAN / 255.0 + gaussian_noise(CLEAN.shape, 2.55))
    assert np.array_equal(protocol.degrade(CLEAN, 2, kernels=kernels), sharp)
    soft = quantise(blur(CLEAN / 255.0, kernels[1]) + gaussian_noise(CLEAN.shape, 2.55))
    assert np.array_equal(protocol.degrade(CLEAN, 3, kernels=kernels), soft)


@pytest.mark.parametrize(
    ("protocol", "sigma", "kernels", "paired", "sentence"),
    [
        ("rgb", None, None, False, "give --sigma"),
        ("rgb", -1.0, None, False, "such as 25, and not -1"),
        ("rgb", 25.0, None, True, "neither sigma nor kernels"),
        ("rgb", 25.0, [np.ones((1, 1))], False, "takes no blur kernels"),
        ("deblur-heldout", None, None, False, "--kernels"),
        ("deblur-heldout", 25.0, [np.ones((1, 1))], False, "fixes its noise"),
        ("deblur-heldout", None, None, True, "blurs clean pictures itself"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(protocol, sigma, kernels, paired, sentence):
    with pytest.raises(InputError, match=sentence):
        PROTOCOLS[protocol].check_arguments(sigma, kernels, paired)


def test_an_unknown_protocol_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'y-matlab'"):
        protocol_named("y-mat")


def test_kernels_of_older_matlab_files_come_normalised_and_in_order(tmp_path):
    cells = np.empty((1, 2), dtype=object)
    cells[0, 0], cells[0, 1] = np.eye(3), np.ones((5, 3))
    scipy.io.savemat(tmp_path / "kernels.mat", {"kernels": cells})
    first, second = read_kernels(tmp_path / "kernels.mat")
    assert np.allclose(first, np.eye(3) / 3)
    assert second.shape == (5, 3)


def test_kernels_of_matlab_7_3_come_in_matlabs_orientation(tmp_path):
    h5py = pytest.importorskip("h5py")
    kernel = np.arange(6.0).reshape(2, 3)
    with h5py.File(tmp_path / "kernels.mat", "w") as file:
        file["stored"] = kernel.T
        file["kernels"] = np.array([[file["stored"].ref]], dtype=h5py.ref_dtype)
    (read,) = read_kernels(tmp_path / "kernels.mat")
    assert np.allclose(read, kernel / kernel.sum())


def test_a_file_that_holds_no_kernels_is_refused(tmp_path):
    (tmp_path / "kernels.mat").write_bytes(b"no kernels")
    with pytest.raises(InputError, match="no MATLAB file with a cell array 'kernels'"):
        read_kernels(tmp_path / "kernels.mat")
    with pytest.raises(FileNotFoundError, match="no kernel file"):
        read_kernels(tmp_path / "absent.mat")


def means_of_inputs(folder: str, protocol_name: str, **arguments) -> tuple[float, float]:
    protocol = PROTOCOLS[protocol_name]
    rows = []
    for index, picture in enumerate(open_set(data_path(folder), channels=protocol.channels)):
        stored = picture.degraded
        degraded = protocol.degrade(picture.clean, index, **arguments) if stored is None else stored / 255.0
        values = protocol.measure(degraded, picture.clean)
        rows.append((values["psnr"], values["ssim"]))
    psnr, ssim = np.mean(rows, axis=0)
    return psnr, ssim


@needs("eval/Rain100L")
def test_rainy_input_of_rain100l_reads_as_published():
    # Published 26.90 dB. GNU Octave's own rgb2ycbcr and filter2 give 26.8980 and 0.83822 on this set.
    assert means_of_inputs("eval/Rain100L", "y-matlab") == pytest.approx((26.8980, 0.83822), abs=5e-5)


@needs("eval/Rain100L")
@pytest.mark.slow
def test_the_ssim_of_rain100l_that_is_quoted_too_is_that_of_unrounded_luma():
    assert means_of_inputs("eval/Rain100L", "y-float") == pytest.approx((26.9007, 0.83837), abs=5e-5)


@needs("eval/CBSD68")
def test_noisy_input_of_cbsd68_reads_as_known():
    assert means_of_inputs("eval/CBSD68", "rgb", sigma=25)[0] == pytest.approx(20.18, abs=0.02)


@needs("eval/CBSD68")
@pytest.mark.slow
def test_noise_that_was_stored_in_8_bit_reads_higher():
    assert means_of_inputs("eval/CBSD68", "rgb-8bit", sigma=25)[0] == pytest.approx(20.54, abs=0.02)


@needs("eval/Set12")
def test_noisy_input_of_set12_has_the_psnr_of_its_noise():
    psnr, _ = means_of_inputs("eval/Set12", "gray", sigma=25)
    assert psnr == pytest.approx(20 * np.log10(255 / 25), abs=0.05)


@needs("eval/PolyU")
@pytest.mark.slow
def test_noisy_input_of_polyu_reads_as_known():
    assert means_of_inputs("eval/PolyU", "rgb")[0] == pytest.approx(35.97, abs=5e-3)


@needs("eval/CBSD68", "kernels/Levin09.mat")
@pytest.mark.slow
def test_blurred_input_of_deblur_heldout_stays_what_it_is():
    kernels = read_kernels(data_path("kernels/Levin09.mat"))
    assert [kernel.shape[0] for kernel in kernels] == [19, 17, 15, 27, 13, 21, 23, 23]
    assert means_of_inputs("eval/CBSD68", "deblur-heldout", kernels=kernels) == pytest.approx(
        (21.746, 0.4889), abs=1e-3
    )


@needs("kernels/Levin09.mat", "eval/Levin")
def test_kernels_of_levin_have_the_orientation_of_their_pictures():
    from PIL import Image

    kernel = read_kernels(data_path("kernels/Levin09.mat"))[0]
    picture = np.asarray(Image.open(data_path("eval/Levin/gt/kernel1.png")), dtype=np.float64)
    assert np.abs(kernel - picture / picture.sum()).max() < 1e-3
