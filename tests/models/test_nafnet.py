"""NAFNet: the shared checks, the published figures and local statistics."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from modeling_samdistill import NafnetConfig, NafnetForImageRestoration
from modeling_samdistill.models.modeling_nafnet import NafnetBlock, NafnetLayerNorm, local_mean
from tests.models.restoration_model_mixin import RestorationModelMixin

GOPRO = {"encoder_depths": (1, 1, 1, 28), "middle_depth": 1, "decoder_depths": (1, 1, 1, 1)}
SIDD = {"encoder_depths": (2, 2, 4, 8), "middle_depth": 12, "decoder_depths": (2, 2, 2, 2)}


class TestNafnet(RestorationModelMixin):
    config_class = NafnetConfig
    model_class = NafnetForImageRestoration
    shape = {"width": 4, "encoder_depths": (1, 2), "middle_depth": 1, "decoder_depths": (1, 1)}


class TestFoldedNafnet(TestNafnet):
    shape = {**TestNafnet.shape, "pixel_unshuffle": 2, "local_statistics": True, "local_statistics_window": 24}


@pytest.mark.parametrize(
    ("width", "layout", "millions", "giga_multiplies"),
    [(32, GOPRO, 17.11, 15.96), (32, SIDD, 29.16, 16.05), (64, GOPRO, 67.89, 63.05), (64, SIDD, 115.98, 63.24)],
)
def test_parameters_and_multiplies_are_the_published_ones(width, layout, millions, giga_multiplies):
    """At 256 x 256, convolutions only; a FLOP counter counts a multiply and its addition as two."""
    with torch.device("meta"):
        model = NafnetForImageRestoration(NafnetConfig(width=width, **layout)).eval()
        pixels = torch.empty(1, 3, 256, 256)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assert model(pixels).reconstruction.shape == (1, 3, 256, 256)
    assert model.num_parameters() / 1e6 == pytest.approx(millions, abs=0.005)
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga_multiplies, rel=0.001)


def test_fresh_blocks_are_the_identity_and_norms_start_at_one():
    model = NafnetForImageRestoration(NafnetConfig(**TestNafnet.shape))
    features = torch.rand(1, 4, 8, 8)
    blocks = [module for module in model.modules() if isinstance(module, NafnetBlock)]
    assert len(blocks) == 6
    assert torch.equal(blocks[0](features), features)
    for norm in (module for module in model.modules() if isinstance(module, NafnetLayerNorm)):
        assert torch.equal(norm.weight, torch.ones_like(norm.weight))
        assert torch.equal(norm.bias, torch.zeros_like(norm.bias))


def test_layer_norm_is_over_the_channels_of_each_pixel():
    norm = NafnetLayerNorm(5)
    features = 3 + 2 * torch.randn(2, 5, 4, 6)
    variance, mean = torch.var_mean(features, dim=1, correction=0, keepdim=True)
    assert torch.allclose(norm(features), (features - mean) / (variance + 1e-6).sqrt(), atol=1e-5)


def naive_local_mean(row: list[float], window: int) -> list[float]:
    means = []
    for position in range(len(row)):
        start = min(max(position - window // 2, 0), len(row) - window)
        means.append(sum(row[start : start + window]) / window)
    return means


@pytest.mark.parametrize("window", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("dim", [-2, -1])
def test_local_mean_is_a_sliding_window_that_stays_inside(window, dim):
    features = torch.rand(2, 3, 8, 9, generator=torch.Generator().manual_seed(0))
    rows = features.movedim(dim, -1)
    wanted = torch.tensor([naive_local_mean(row.tolist(), window) for row in rows.reshape(-1, rows.shape[-1])])
    assert torch.allclose(local_mean(features, window, dim).movedim(dim, -1), wanted.view(rows.shape), atol=1e-6)


def test_inside_the_picture_local_mean_is_average_pooling():
    features = torch.rand(1, 3, 20, 20)
    pooled = local_mean(local_mean(features, 5, -2), 5, -1)
    assert torch.allclose(pooled[..., 2:-2, 2:-2], F.avg_pool2d(features, 5, stride=1), atol=1e-6)


def with_local_statistics(window: int) -> NafnetForImageRestoration:
    return TestNafnet().filled(local_statistics=True, local_statistics_window=window)


def test_local_statistics_equal_the_global_ones_when_the_window_covers_the_picture():
    pixels = TestNafnet.pixels(40, 36)
    whole = TestNafnet.restore(TestNafnet().filled(), pixels)
    assert torch.allclose(TestNafnet.restore(with_local_statistics(48), pixels), whole, atol=1e-6)
    assert (TestNafnet.restore(with_local_statistics(16), pixels) - whole).abs().max() > 1e-4


def test_local_statistics_are_off_in_training():
    pixels = TestNafnet.pixels(40, 36)
    whole = TestNafnet.restore(TestNafnet().filled().train(), pixels)
    assert torch.equal(TestNafnet.restore(with_local_statistics(16).train(), pixels), whole)


def test_a_window_smaller_than_the_stride_still_is_local():
    """The lowest stage would else pool over the whole picture."""
    model = with_local_statistics(2)
    left, right = TestNafnet.pixels(32, 256), TestNafnet.pixels(32, 256)
    right[..., 200:] = 0
    difference = (TestNafnet.restore(model, left) - TestNafnet.restore(model, right)).abs()
    assert difference[..., 200:].max() > 0.01
    assert difference[..., :100].max() == 0


def test_the_first_channels_are_the_picture_when_more_planes_are_given():
    model = TestNafnet().fresh(num_channels=5, num_channels_out=3)
    torch.nn.init.zeros_(model.ending.weight)
    torch.nn.init.zeros_(model.ending.bias)
    pixels = TestNafnet.pixels(9, 9, channels=5)
    assert torch.equal(TestNafnet.restore(model, pixels), pixels[:, :3])


def test_folding_pixels_divides_the_multiplies_and_keeps_the_size():
    def multiplies(fold: int) -> int:
        model = TestNafnet().fresh(pixel_unshuffle=fold)
        with FlopCounterMode(display=False) as counter:
            assert TestNafnet.restore(model, TestNafnet.pixels(64, 64)).shape == (1, 3, 64, 64)
        return counter.get_total_flops()

    assert multiplies(2) < multiplies(1) / 2
    assert TestNafnet().fresh(pixel_unshuffle=2).size_multiple == 8


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"encoder_depths": (1, 1, 1)}, "the same number"),
        ({"num_channels": 1}, "less than num_channels_out"),
    ],
)
def test_configurations_that_cannot_be_are_one_clear_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        NafnetConfig(**{**TestNafnet.shape, **changes})


def test_an_unknown_loss_is_one_clear_sentence():
    model = TestNafnet().fresh(loss="l3")
    with pytest.raises(ValueError, match="choose 'l1', 'charbonnier' or 'psnr'"):
        model(TestNafnet.pixels(8, 8), labels=TestNafnet.pixels(8, 8))
