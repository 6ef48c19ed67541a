"""Turning stored pixels the way a viewer shows them, and back."""

from __future__ import annotations

import numpy as np


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """`(H, W, ...)` pixels as the EXIF orientation 1 to 8 asks for (TIFF 6.0, tag 274). A view, not a copy.

    A network that learnt falling rain is given the rain falling, not lying.
    """
    turned = {
        1: lambda array: array,
        2: lambda array: array[:, ::-1],
        3: lambda array: array[::-1, ::-1],
        4: lambda array: array[::-1],
        5: lambda array: array.swapaxes(0, 1),
        6: lambda array: np.rot90(array, -1),
        7: lambda array: array[::-1, ::-1].swapaxes(0, 1),
        8: lambda array: np.rot90(array, 1),
    }
    return turned[orientation](pixels)


def as_stored(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The inverse of `upright`: all but the two quarter turns undo themselves."""
    return upright(pixels, {6: 8, 8: 6}.get(orientation, orientation))
