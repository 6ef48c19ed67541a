"""Tiles give the whole picture's result wherever the network does not see farther than their context."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from modeling_samdistill.errors import InputError
from modeling_samdistill.restoration import restore_in_tiles
from tests.restoration.small_models import small_nafnet


def blurring_network(radius: int) -> nn.Module:
    """Sees exactly `radius` pixels far; non-negative weights that sum to 1 keep [0, 1]. Borders are zero."""
    network = nn.Conv2d(3, 3, 2 * radius + 1, padding=radius, groups=3, bias=False)
    torch.manual_seed(0)
    weight = torch.rand_like(network.weight)
    network.weight.data = weight / weight.sum(dim=(1, 2, 3), keepdim=True)
    return network.eval()


def by(network: nn.Module, seen: list | None = None):
    def restore(pixels: np.ndarray) -> torch.Tensor:
        if seen is not None:
            seen.append(pixels.shape[:2])
        with torch.no_grad():
            return network(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])[0]

    return restore


@pytest.mark.parametrize("size", [(64, 200), (257, 131), (200, 64), (300, 301), (1, 700), (700, 3)])
@pytest.mark.parametrize("align", [1, 16])
def test_tiled_equals_whole_within_the_receptive_field(size, align):
    pixels = np.random.default_rng(0).random((*size, 3), dtype=np.float32)
    restore = by(blurring_network(radius=8))
    whole = restore_in_tiles(pixels, restore, tile=4096)
    seen: list = []
    tiled = restore_in_tiles(pixels, by(blurring_network(radius=8), seen), tile=64, context=8, blend=8, align=align)
    assert len(seen) > 1
    assert np.abs(tiled - whole).max() < 1e-6


def test_a_network_that_sees_farther_than_the_context_shows_that_the_test_can_fail():
    pixels = np.random.default_rng(0).random((200, 200, 3), dtype=np.float32)
    restore = by(blurring_network(radius=16))
    whole, tiled = (restore_in_tiles(pixels, restore, tile, context=2, blend=4) for tile in (4096, 64))
    assert np.abs(tiled - whole).max() > 1e-4


def test_tiles_are_never_larger_than_asked_for():
    seen: list = []
    restore_in_tiles(np.zeros((500, 333, 3), np.float32), by(nn.Identity(), seen), tile=128, context=8, blend=8)
    assert max(max(size) for size in seen) == 128


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_an_identity_network_gives_every_pixel_back(dtype):
    random = np.random.default_rng(0)
    peak = 1 if dtype == np.float32 else np.iinfo(dtype).max
    pixels = (random.random((150, 170, 3)) * peak).astype(dtype)

    def restore(tile: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(tile.astype(np.float32) / np.float32(peak)).permute(2, 0, 1)

    restored = restore_in_tiles(pixels, restore, tile=64, context=4, blend=8)
    assert restored.dtype == dtype
    if dtype == np.float32:
        assert np.abs(restored - pixels).max() < 1e-6
    else:
        assert np.array_equal(restored, pixels)


def test_nafnet_of_local_statistics_keeps_its_stride_in_tiles():
    """Without pooling over the picture a strided NAFNet is the same in tiles that start at its multiples."""
    model = small_nafnet(local_statistics=True, local_statistics_window=2)
    pixels = np.random.default_rng(0).random((260, 220, 3), dtype=np.float32)

    def restore(tile: np.ndarray) -> torch.Tensor:
        with torch.no_grad():
            return model(torch.from_numpy(tile.copy()).permute(2, 0, 1)[None]).reconstruction[0]

    whole = restore_in_tiles(pixels, restore, tile=4096, align=model.size_multiple)
    tiled = restore_in_tiles(pixels, restore, tile=160, context=32, blend=8, align=model.size_multiple)
    assert np.abs(tiled - whole).max() < 1e-5


def test_too_small_a_tile_is_refused():
    with pytest.raises(InputError, match="at least 128"):
        restore_in_tiles(np.zeros((500, 500, 3), np.uint8), by(nn.Identity()), tile=32)
