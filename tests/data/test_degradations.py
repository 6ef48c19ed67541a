"""Degradations: what they do to a picture, and that they are functions of the generator alone."""

import numpy as np
import pytest

from modeling_samdistill.data import BlurArguments, DegradationArguments, NoiseArguments, RainArguments, degrade
from modeling_samdistill.data.degradations import margin_of, motion_kernel, rain_streaks, streak_kernel
from modeling_samdistill.errors import InputError
from tests.development_data import data_path, needs

GRAY = np.full((96, 80, 3), 0.5, np.float32)


@pytest.mark.parametrize("kind", ["noise", "rain", "blur"])
def test_the_same_generator_gives_the_same_pixels_and_another_gives_others(kind):
    picture = np.random.default_rng(1).random((64, 64, 3), dtype=np.float32)
    arguments = DegradationArguments(kind=kind)
    first, again, other = (degrade(picture, arguments, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.dtype == np.float32
    assert first.shape == picture.shape


def test_noise_has_the_asked_standard_deviation_and_is_not_clipped():
    arguments = DegradationArguments(noise=NoiseArguments(sigma=[50.0, 50.0]))
    noisy = degrade(np.ones((200, 200, 3), np.float32), arguments, np.random.default_rng(0))
    assert (noisy - 1).std() * 255 == pytest.approx(50, rel=0.02)
    assert noisy.max() > 1


def test_quantised_noise_is_what_a_file_of_8_bit_holds():
    arguments = DegradationArguments(noise=NoiseArguments(sigma=[50.0, 50.0], quantised=1.0))
    levels = degrade(np.ones((50, 50, 3), np.float32), arguments, np.random.default_rng(0)) * 255
    assert np.abs(levels - levels.round()).max() < 1e-4
    assert levels.max() <= 255


def test_rain_only_brightens_and_screen_blending_never_exceeds_white():
    picture = np.random.default_rng(0).random((96, 96, 3), dtype=np.float32)
    for added in (0.0, 1.0):
        arguments = DegradationArguments(kind="rain", rain=RainArguments(added=added, density=[100.0, 100.0]))
        rainy = degrade(picture, arguments, np.random.default_rng(0))
        assert (rainy >= picture - 1e-6).all()
        assert rainy.max() <= 1
        assert (rainy > picture + 0.05).mean() > 0.005


def test_denser_rain_covers_more():
    covered = [
        np.mean(
            [rain_streaks((96, 96), RainArguments(density=[d, d]), np.random.default_rng(s)).mean() for s in range(8)]
        )
        for d in (5.0, 50.0)
    ]
    assert covered[1] > 4 * covered[0]


@pytest.mark.parametrize(("angle", "slope"), [(0.0, 0.0), (30.0, np.tan(np.deg2rad(30)))])
def test_a_streak_leans_by_its_angle(angle, slope):
    streak = streak_kernel(40, 0.8, angle)
    down, right = np.nonzero(streak > 0.3)
    assert np.polyfit(down - down.mean(), right - right.mean(), 1)[0] == pytest.approx(slope, abs=0.05)
    assert np.ptp(down) < 40


def test_motion_kernels_sum_to_one_and_grow_with_their_path():
    spread = []
    for length in (8.0, 40.0):
        kernels = [motion_kernel(27, length, np.random.default_rng(seed)) for seed in range(10)]
        assert all(kernel.sum() == pytest.approx(1, abs=1e-5) and kernel.min() >= 0 for kernel in kernels)
        # How many equal pixels would be as concentrated.
        spread.append(np.mean([1 / np.square(kernel).sum() for kernel in kernels]))
    assert spread[1] > 2 * spread[0]


def test_blur_keeps_flat_regions_and_needs_a_margin_of_half_its_kernel():
    arguments = DegradationArguments(kind="blur", blur=BlurArguments(noise_sigma=[0.0, 0.0], quantised=0.0))
    assert np.allclose(degrade(GRAY, arguments, np.random.default_rng(0)), GRAY, atol=1e-5)
    assert margin_of(arguments) == 13
    assert margin_of(DegradationArguments(kind="noise")) == 0


@needs("kernels/Levin09.mat")
def test_blur_takes_kernels_from_a_matlab_file():
    path = str(data_path("kernels/Levin09.mat"))
    blur = BlurArguments(kernels=path, kernels_share=1.0, noise_sigma=[0.0, 0.0], quantised=0.0)
    point = np.zeros((61, 61, 3), np.float32)
    point[30, 30] = 1
    spread = degrade(point, DegradationArguments(kind="blur", blur=blur), np.random.default_rng(0))
    assert spread.sum() == pytest.approx(3, abs=1e-3)
    assert 20 < (spread[..., 0] > 1e-3).sum() < 27 * 27


def test_a_misspelt_degradation_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'noise'"):
        DegradationArguments(kind="nois").check()
