"""Makes the small pictures that the reference values are computed on: crops of scikit-image's free pictures.

astronaut is by NASA (public domain), chelsea and coffee are CC0. Run in this folder: `python make_pictures.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

HERE = Path(__file__).parent
CROPS = {"astronaut": (0, 150), "chelsea": (90, 100), "coffee": (60, 200)}
HEIGHT, WIDTH = 80, 96


def degraded_version(clean: np.ndarray, name: str) -> np.ndarray:
    """Another kind of damage for each picture, rounded to 8 bit."""
    pixels = clean.astype(np.float64)
    if name == "astronaut":
        pixels += np.random.RandomState(1).normal(0, 25, clean.shape)
    elif name == "chelsea":
        pixels = (pixels + np.roll(pixels, 1, axis=0) + np.roll(pixels, 2, axis=1)) / 3
    else:
        pixels = 0.8 * pixels + 30
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    for name, (top, left) in CROPS.items():
        clean = getattr(data, name)()[top : top + HEIGHT, left : left + WIDTH]
        Image.fromarray(clean).save(HERE / f"{name}_clean.png")
        Image.fromarray(degraded_version(clean, name)).save(HERE / f"{name}_degraded.png")
