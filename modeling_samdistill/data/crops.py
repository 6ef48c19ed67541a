"""One crop, flip and turn for the picture and everything that lies on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Crop:
    """A window of `size` pixels a side at (top, left), then mirrored and turned.

    Attributes:
        quarter_turns: How often the window is turned by 90 degrees, counter-clockwise.
        mirrored: Whether it is mirrored left to right before it is turned.
    """

    top: int
    left: int
    size: int
    mirrored: bool = False
    quarter_turns: int = 0

    def cut(self, array: np.ndarray, margin: int = 0) -> np.ndarray:
        """The window of a (H, W) or (H, W, C) array, with `margin` more pixels on each side, reflected outside."""
        top, left, side = self.top - margin, self.left - margin, self.size + 2 * margin
        missing = [
            (max(0, -top), max(0, top + side - array.shape[0])),
            (max(0, -left), max(0, left + side - array.shape[1])),
        ]
        window = array[max(0, top) : top + side, max(0, left) : left + side]
        if any(max(pair) for pair in missing):
            window = np.pad(window, missing + [(0, 0)] * (array.ndim - 2), mode="symmetric")
        return window

    def orient(self, window: np.ndarray) -> np.ndarray:
        """Mirrors and turns a window that `cut` gave; contiguous."""
        window = window[:, ::-1] if self.mirrored else window
        return np.ascontiguousarray(np.rot90(window, self.quarter_turns))


def draw_crop(height: int, width: int, size: int, rng: np.random.Generator) -> Crop:
    """A random window of a picture; where the picture is smaller than `size`, `Crop.cut` reflects what is missing."""
    return Crop(
        top=int(rng.integers(0, max(1, height - size + 1))),
        left=int(rng.integers(0, max(1, width - size + 1))),
        size=size,
        mirrored=bool(rng.random() < 0.5),
        quarter_turns=int(rng.integers(4)),
    )
