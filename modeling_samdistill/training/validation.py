"""Validation while training: PSNR on whole pictures that are not trained on, and pictures to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from ..data import TrainingPictures, degrade, make_rng
from ..distillation import DistillationTask, restore
from ..evaluation.metrics import psnr

#: Epoch that no training reaches: validation draws its degradations from it.
VALIDATION_EPOCH = 2**31


@torch.no_grad()
def validate(
    student: nn.Module,
    task: DistillationTask,
    pictures: TrainingPictures,
    limit: int,
    device: torch.device,
    picture_folder: Path | None = None,
) -> dict[str, float]:
    """
    Args:
        student: What is judged: the moving average of the task's student.
        task: Its refiner is judged too where there is one.
        limit: At most so many pictures.
        picture_folder: Where side-by-side pictures (input, student, refiner, clean, label map) of the first four go.

    Returns:
        Mean PSNR in dB over whole pictures, RGB, 8 bit: `input`, `student` and, with masks at hand, `refiner`.
    """
    was_training = student.training
    student.eval()
    values: dict[str, list[float]] = {}
    for index in range(min(limit, len(pictures))):
        degraded, clean, labels = _whole_picture(pictures, index, device)
        restored = restore(student, degraded).float()
        shown = {"input": degraded, "student": restored}
        if task.refiner is not None and (labels is not None or pictures.with_segments == "none"):
            task.refiner.eval()
            shown["refiner"] = task.refine(degraded, restored, clean, labels).float()
            task.refiner.train()
        reference = _to_8bit(clean)
        for name, picture in shown.items():
            values.setdefault(name, []).append(psnr(_to_8bit(picture), reference))
        if picture_folder is not None and index < 4:
            strips = [_to_8bit(picture) for picture in shown.values()] + [reference]
            if labels is not None:
                strips.append(colour_labels(labels[0].cpu().numpy()))
            picture_folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.concatenate(strips, axis=1)).save(picture_folder / f"{index}.png")
    student.train(was_training)
    return {name: float(np.mean(each)) for name, each in values.items()}


def colour_labels(labels: np.ndarray) -> np.ndarray:
    """A label map (H, W) as (H, W, 3) uint8: one fixed colour a label, black for 0."""
    colours = np.random.default_rng(0).integers(64, 256, (int(labels.max()) + 1, 3), dtype=np.uint8)
    colours[0] = 0
    return colours[labels]


def _whole_picture(
    pictures: TrainingPictures, index: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    sample = pictures.read(index)
    rng = make_rng(pictures.seed, VALIDATION_EPOCH, index)
    clean = sample.clean.astype(np.float32) / np.float32(255)
    if sample.degraded is not None:
        degraded = sample.degraded.astype(np.float32) / np.float32(255)
    else:
        degraded = degrade(clean, pictures.arguments.degradation, rng)
    labels = None
    if pictures.with_segments == "true":
        labels = torch.from_numpy(pictures.label_map(sample, rng))[None].to(device)
    return _batch(degraded, device), _batch(clean, device), labels


def _batch(pixels: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].to(device)


def _to_8bit(picture: torch.Tensor) -> np.ndarray:
    return (picture[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
