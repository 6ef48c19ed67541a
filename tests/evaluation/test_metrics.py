"""The metrics against GNU Octave, and what they promise."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modeling_samdistill.evaluation.metrics import luma, psnr, ssim, ssim3d, to_8bit
from modeling_samdistill.evaluation.protocols import PROTOCOLS

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
VALUES = json.loads((REFERENCE / "values.json").read_text())


def reference_pair(name: str) -> tuple[np.ndarray, np.ndarray]:
    degraded, clean = (np.array(Image.open(REFERENCE / f"{name}_{kind}.png")) for kind in ("degraded", "clean"))
    return degraded, clean


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize(
    ("protocol", "prefix", "ssim_name"),
    [
        ("rgb", "rgb", "rgb_ssim"),
        ("rgb-8bit", "rgb", "rgb_ssim"),
        ("rgb-ssim3d", "rgb", "rgb_ssim3d"),
        ("deblur-heldout", "rgb", "rgb_ssim"),
        ("y-matlab", "y_matlab", "y_matlab_ssim"),
        ("y-float", "y_float", "y_float_ssim"),
    ],
)
def test_protocol_measures_as_octave_does(name, protocol, prefix, ssim_name):
    degraded, clean = reference_pair(name)
    values = PROTOCOLS[protocol].measure(degraded / 255.0, clean)
    assert values["psnr"] == pytest.approx(VALUES[name][f"{prefix}_psnr"], abs=1e-9)
    assert values["ssim"] == pytest.approx(VALUES[name][ssim_name], abs=1e-9)


@pytest.mark.parametrize("name", VALUES)
def test_gray_protocol_measures_as_octave_does(name):
    degraded, clean = (picture[..., 1] for picture in reference_pair(name))
    values = PROTOCOLS["gray"].measure(degraded / 255.0, clean)
    assert values["psnr"] == pytest.approx(VALUES[name]["gray_psnr"], abs=1e-9)
    assert values["ssim"] == pytest.approx(VALUES[name]["gray_ssim"], abs=1e-9)


@pytest.mark.parametrize("name", VALUES)
def test_luma_is_that_of_rgb2ycbcr(name):
    degraded, _ = reference_pair(name)
    assert luma(degraded, rounded=True).sum() == VALUES[name]["y_matlab_sum"]
    assert luma(degraded, rounded=False).sum() == pytest.approx(VALUES[name]["y_float_sum"], abs=1e-6)


def test_our_psnr_formula_is_that_of_octaves_image_package():
    for values in VALUES.values():
        assert values["rgb_psnr"] == pytest.approx(values["rgb_psnr_of_package"], abs=1e-9)


def test_full_range_luma_would_read_lower_by_a_known_amount():
    degraded, clean = reference_pair("coffee")
    weights = np.array([0.299, 0.587, 0.114])
    full_range = psnr(degraded @ weights, clean @ weights)
    studio = psnr(luma(degraded, rounded=False), luma(clean, rounded=False))
    assert studio - full_range == pytest.approx(20 * math.log10(255 / 219), abs=1e-3)


def test_luma_of_black_and_white_is_the_studio_range():
    assert luma(np.zeros((1, 1, 3)), rounded=True).item() == 16
    assert luma(np.full((1, 1, 3), 255), rounded=True).item() == 235


def test_arrays_tensors_and_ranges_give_the_same_values():
    degraded, clean = reference_pair("astronaut")
    for metric in (psnr, ssim, ssim3d):
        of_bytes = metric(degraded, clean)
        assert metric(torch.from_numpy(degraded), torch.from_numpy(clean)) == of_bytes
        assert metric(degraded / 255.0, clean / 255.0, peak=1.0) == pytest.approx(of_bytes, abs=1e-9)


def test_equal_pictures_have_ssim_one_and_infinite_psnr():
    _, clean = reference_pair("chelsea")
    assert psnr(clean, clean) == math.inf
    assert ssim(clean, clean) == pytest.approx(1.0, abs=1e-12)
    assert ssim3d(clean, clean) == pytest.approx(1.0, abs=1e-12)


def test_8_bit_rounding_clamps_and_rounds_halves_up():
    assert to_8bit(np.array([-1.0, 0.5 / 255, 1.5 / 255, 2.4 / 255, 2.0])).tolist() == [0, 1, 2, 2, 255]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: psnr(np.zeros((4, 4)), np.zeros((4, 5))), "same shape"),
        (lambda: ssim(np.zeros((10, 40)), np.zeros((10, 40))), "at least 11x11"),
        (lambda: ssim3d(np.zeros((20, 20)), np.zeros((20, 20))), "colour pictures"),
        (lambda: luma(np.zeros((4, 4)), rounded=True), "colour picture"),
        (lambda: luma(np.full((4, 4, 3), 0.5), rounded=True), "8-bit"),
        (lambda: psnr(np.zeros((2, 3, 4, 4)), np.zeros((2, 3, 4, 4))), "a picture is"),
    ],
)
def test_wrong_pictures_are_refused_in_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
