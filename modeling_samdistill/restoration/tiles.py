"""Large pictures in bounded memory: overlapping tiles, blended where they meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch

from ..errors import InputError

#: Side of a tile in pixels; on a CPU a float32 NAFNet of width 32 then needs about 1.5 GB.
DEFAULT_TILE = 1024
#: Pixels beside a tile's cut edge that only give the network context; nothing of them reaches the result.
CONTEXT = 24
#: Pixels over which one tile fades into the next.
BLEND = 16


def restore_in_tiles(
    pixels: np.ndarray,
    restore: Callable[[np.ndarray], torch.Tensor],
    tile: int = DEFAULT_TILE,
    context: int = CONTEXT,
    blend: int = BLEND,
    align: int = 1,
) -> np.ndarray:
    """Restores a picture of any size; a picture of no more pixels than a tile goes through whole.

    With a network that sees at most `context` pixels far and moves with its input by multiples of `align`, the result
    is that of the whole picture.

    Args:
        pixels: `(H, W, C)`, uint8, uint16 or float in [0, 1].
        restore: `(h, w, C)` pixels of a tile to a tensor `(C, h, w)`, float in [0, 1].
        tile: Side of a tile in pixels, rounded down to a multiple of `align`.
        align: Tiles start at multiples of this.

    Returns:
        `(H, W, C)`, of the type of `pixels`, clipped to its range.

    Raises:
        InputError: when the tile is too small to hold its own overlaps.
    """
    smallest = -(-2 * (2 * context + blend) // align) * align
    if tile < smallest:
        raise InputError(f"Tiles of {tile} pixels are too small: take at least {smallest}, or leave the size out.")
    tile = tile // align * align
    height, width, _ = pixels.shape
    if height * width <= tile**2 and max(height, width) <= 4 * tile:
        return to_dtype(_rows_last(restore(pixels)), pixels.dtype)
    result = np.empty_like(pixels)
    for top, band in _bands(pixels, restore, tile, 2 * context + blend, blend, align):
        result[top : top + len(band)] = to_dtype(band, pixels.dtype)
    return result


def to_dtype(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Float values in [0, 1] to the given type of pixel: clipped, and rounded for whole numbers."""
    values = np.clip(values, 0, 1)
    if np.issubdtype(dtype, np.floating):
        return values.astype(dtype)
    return np.rint(values * np.float32(np.iinfo(dtype).max)).astype(dtype)


def _bands(
    pixels: np.ndarray, restore: Callable, tile: int, overlap: int, blend: int, align: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Finished rows from top to bottom: where they start and (rows, W, C) float values."""
    height, width, channels = pixels.shape
    rows, columns = _spans(height, tile, overlap, align), _spans(width, tile, overlap, align)
    row_weights, column_weights = _weights(rows, height, blend), _weights(columns, width, blend)
    done = 0
    pending = np.zeros((0, width, channels), np.float32)
    for index, (top, bottom) in enumerate(rows):
        band = np.zeros((bottom - done, width, channels), np.float32)
        band[: len(pending)] = pending
        for (left, right), across in zip(columns, column_weights):
            restored = _rows_last(restore(pixels[top:bottom, left:right]))
            weights = row_weights[index][top:bottom, None] * across[None, left:right]
            band[top - done :, left:right] += restored * weights[..., None]
        finished = rows[index + 1][0] if index + 1 < len(rows) else height
        yield done, band[: finished - done]
        pending, done = band[finished - done :], finished


def _spans(length: int, tile: int, overlap: int, align: int) -> list[tuple[int, int]]:
    """Start and end of the tiles along one dimension; the last is as long as the others where `align` allows it."""
    stride = (tile - overlap) // align * align
    spans = [(0, min(tile, length))]
    while spans[-1][1] < length:
        start = min(spans[-1][0] + stride, -(-(length - tile) // align) * align)
        spans.append((start, min(start + tile, length)))
    return spans


def _weights(spans: list[tuple[int, int]], length: int, blend: int) -> list[np.ndarray]:
    """Weights of each tile, (length,) float32, summing to 1: tiles fade in the middle of what they share."""
    positions = np.arange(length, dtype=np.float32) + 0.5
    rises: list[np.ndarray] = [np.ones(length, np.float32)]
    for (_, before_end), (start, _) in pairwise(spans):
        fade = np.clip((positions - (start + before_end) / 2) / blend + 0.5, 0, 1)
        rises.append(fade * fade * (3 - 2 * fade))
    rises.append(np.zeros(length, np.float32))
    return [rise - following for rise, following in pairwise(rises)]


def _rows_last(restored: torch.Tensor) -> np.ndarray:
    """(C, h, w) tensor to (h, w, C) float32 array."""
    return restored.detach().float().permute(1, 2, 0).cpu().numpy()
