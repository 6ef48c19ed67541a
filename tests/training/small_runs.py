"""Small real runs for the training tests: a few synthetic pictures with label maps, a very small student."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from modeling_samdistill.training.arguments import TrainingArguments, load_config


def write_pictures(folder: Path, count: int = 5, side: int = 48) -> None:
    """Coloured discs on gradients in `images/`, and which disc is where in `masks/`."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    down, right = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    for number in range(count):
        rng = np.random.default_rng(number)
        picture = np.stack([down * 2 + 40, right * 2 + 40, down + right], axis=2).astype(np.float64)
        labels = np.ones((side, side), np.uint8)
        for disc in range(3):
            centre = rng.uniform(8, side - 8, 2)
            inside = (down - centre[0]) ** 2 + (right - centre[1]) ** 2 < rng.uniform(5, 12) ** 2
            picture[inside] = rng.uniform(0, 255, 3)
            labels[inside] = disc + 2
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"p{number}.png")
        Image.fromarray(labels).save(folder / "masks" / f"p{number}.png")


SETTINGS = {
    "max_steps": "6",
    "batch_size": "4",
    "warm_up_steps": "2",
    "save_steps": "3",
    "log_steps": "1",
    "validate_steps": "0",
    "device": "cpu",
    "student.config": "{width: 4, encoder_depths: [1], middle_depth: 1, decoder_depths: [1]}",
    "cascade.fuse_width": "4",
    "cascade.spd": "{weight: 0.1, start: 0.0}",
    "data.crop_size": "16",
    "data.validation_every": "5",
    "data.workers": "0",
}


def options(folder: Path, output_dir: Path, **settings: str) -> list[str]:
    """The command line of a small run; settings with dots are given with double underscores."""
    given = {**SETTINGS, "data.dataset": str(folder / "images"), "output_dir": str(output_dir)}
    given.update({name.replace("__", "."): value for name, value in settings.items()})
    return [word for name, value in given.items() for word in (f"--{name}", value)]


def small_run(folder: Path, output_dir: Path, **settings: str) -> TrainingArguments:
    return load_config(TrainingArguments, None, options(folder, output_dir, **settings))
