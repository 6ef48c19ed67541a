"""What a small SAM learns from: a crop of a picture, regions of one annotator's label map, and prompts for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torch.utils.data import Dataset
from transformers.utils.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from modeling_samdistill.errors import InputError
from modeling_samdistill.teachers.label_maps import LabelMapFolder, check_label_map_size

#: As many regions of a picture are told apart by the affinity term.
MOST_REGIONS = 64

_PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def split_pictures(folder: str | Path, validation_every: int) -> tuple[list[Path], list[Path]]:
    """The pictures of a folder in sorted order: those to train on, and every `validation_every`-th to choose on.

    With 10 these are the indices 9, 19, ...; with 0 none is set aside.

    Raises:
        InputError: the folder is missing or holds no picture to train on.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"No folder of pictures at {folder}: give one that holds JPEG or PNG files.")
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURE_ENDINGS)
    validation = pictures[validation_every - 1 :: validation_every] if validation_every > 0 else []
    chosen = set(validation)
    training = [path for path in pictures if path not in chosen]
    if not training:
        raise InputError(f"The folder {folder} holds no picture to train on: JPEG or PNG files were expected.")
    return training, validation


class RegionPrompts(Dataset):
    """Samples of prompts, the n-th one a pure function of (seed, n): epoch n // pictures, in an order of its own.

    One sample is a dictionary of
    `pixel_values` (3, S, S) float, normalised, padded with 0 at the right and the bottom;
    `points` (P, 1, 2) float, x and y in pixels of S, each inside its region;
    `boxes` (Q, 4) float, x1 y1 x2 y2 in pixels of S, jittered;
    `label_map` (M, M) int64, the regions numbered from 0 (at most 64, the rest are the last), -1 in the padding;
    `point_regions` (P, M, M) and `box_regions` (Q, M, M) bool, the regions at the decoder's resolution M;
    `sample` int64, n itself.
    """

    def __init__(
        self,
        pictures: list[Path],
        masks: LabelMapFolder,
        image_size: int,
        mask_size: int,
        points_per_picture: int,
        boxes_per_picture: int,
        smallest_crop: float,
        seed: int,
        samples: int,
        augment: bool = True,
    ):
        self.pictures, self.masks, self.seed, self.samples = pictures, masks, seed, samples
        self.image_size, self.mask_size = image_size, mask_size
        self.points_per_picture, self.boxes_per_picture = points_per_picture, boxes_per_picture
        self.smallest_crop, self.augment = smallest_crop, augment

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, n: int) -> dict[str, Tensor]:
        epoch, position = divmod(n, len(self.pictures))
        index = np.random.default_rng([self.seed, epoch]).permutation(len(self.pictures))[position]
        rng = np.random.default_rng([self.seed, epoch, int(index), 1])
        picture, labels = self._read(self.pictures[index], rng)
        if self.augment:
            picture, labels = _crop(picture, labels, self.smallest_crop, rng)
        scale = self.image_size / max(picture.size)
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        if self.augment:
            picture = _recolour(picture, rng)
        pixels = np.asarray(picture, dtype=np.float32) / 255
        if self.augment:
            pixels = _add_noise(pixels, rng)
        values = np.zeros((self.image_size, self.image_size, 3), dtype=np.float32)
        values[:height, :width] = (pixels - IMAGENET_DEFAULT_MEAN) / IMAGENET_DEFAULT_STD
        regions = self._small_label_map(labels, height, width)
        return {
            "pixel_values": torch.from_numpy(values).permute(2, 0, 1).contiguous(),
            "label_map": torch.from_numpy(_numbered(regions)),
            **self._prompts(regions, rng),
            "sample": torch.tensor(n),
        }

    def _read(self, path: Path, rng: np.random.Generator) -> tuple[Image.Image, np.ndarray]:
        try:
            picture = Image.open(path).convert("RGB")
        except OSError as error:
            raise InputError(f"The picture {path} cannot be read ({error}): replace or remove it.") from error
        labels = self.masks.read(path.stem, rng)
        check_label_map_size(labels, picture.height, picture.width, path.name)
        return picture, labels

    def _small_label_map(self, labels: np.ndarray, height: int, width: int) -> np.ndarray:
        """The label map at the decoder's resolution (M, M) int64, nearest; -1 in the padding."""
        ratio = self.mask_size / self.image_size
        rows, columns = max(1, round(height * ratio)), max(1, round(width * ratio))
        small = np.full((self.mask_size, self.mask_size), -1, dtype=np.int64)
        row_of = ((np.arange(rows) + 0.5) * labels.shape[0] / rows).astype(int)
        column_of = ((np.arange(columns) + 0.5) * labels.shape[1] / columns).astype(int)
        small[:rows, :columns] = labels[row_of[:, None], column_of]
        return small

    def _prompts(self, regions: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        """Draws regions by the square root of their areas (ours: between every region alike and every pixel alike)."""
        names, areas = np.unique(regions[regions >= 0], return_counts=True)
        keep = areas >= min(8, areas.max())
        names, areas = names[keep], areas[keep]
        count = self.points_per_picture + self.boxes_per_picture
        drawn = rng.choice(names, size=count, p=np.sqrt(areas) / np.sqrt(areas).sum())
        masks = regions[None] == drawn[:, None, None]
        pixel = self.image_size / self.mask_size
        points = [_point_inside(mask, rng) for mask in masks[: self.points_per_picture]]
        boxes = [_jittered_box(mask, rng) for mask in masks[self.points_per_picture :]]
        return {
            # The prompt encoder adds half a pixel.
            "points": torch.tensor(np.array(points), dtype=torch.float32).reshape(-1, 1, 2) * pixel - 0.5,
            "boxes": torch.tensor(np.array(boxes), dtype=torch.float32).reshape(-1, 4) * pixel - 0.5,
            "point_regions": torch.from_numpy(masks[: self.points_per_picture]),
            "box_regions": torch.from_numpy(masks[self.points_per_picture :]),
        }


def _numbered(regions: np.ndarray) -> np.ndarray:
    """Labels as 0, 1, ... in their order; -1 stays."""
    names, numbers = np.unique(regions, return_inverse=True)
    numbers = numbers.reshape(regions.shape) - int(names[0] < 0)
    return np.minimum(numbers, MOST_REGIONS - 1).astype(np.int64)


def _crop(
    picture: Image.Image, labels: np.ndarray, smallest: float, rng: np.random.Generator
) -> tuple[Image.Image, np.ndarray]:
    """A rectangle with sides from `smallest` to 1 of the picture's, one in four whole; half of all are mirrored."""
    width, height = picture.size
    if rng.random() > 0.25:
        crop_width, crop_height = (max(8, round(side * rng.uniform(smallest, 1))) for side in (width, height))
        crop_width, crop_height = min(crop_width, width), min(crop_height, height)
        left, top = int(rng.integers(width - crop_width + 1)), int(rng.integers(height - crop_height + 1))
        picture = picture.crop((left, top, left + crop_width, top + crop_height))
        labels = labels[top : top + crop_height, left : left + crop_width]
    if rng.random() < 0.5:
        picture, labels = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), labels[:, ::-1]
    return picture, labels


def _recolour(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brightness, contrast and saturation of the picture jittered; now and then gray or blurred (ours)."""
    pixels = np.asarray(picture, dtype=np.float32)
    gray = pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    saturation = 0.0 if rng.random() < 0.08 else rng.uniform(0.6, 1.4)
    pixels = gray[..., None] + saturation * (pixels - gray[..., None])
    pixels = gray.mean() + rng.uniform(0.7, 1.3) * (pixels - gray.mean())
    pixels = pixels * rng.uniform(0.75, 1.25) * rng.uniform(0.93, 1.07, size=3).astype(np.float32)
    picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    if rng.random() < 0.15:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2.0)))
    return picture


def _add_noise(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One in five pictures gets white noise: the teacher will also look at half-restored ones (ours)."""
    if rng.random() < 0.2:
        pixels = pixels + rng.normal(0, rng.uniform(0, 0.1), pixels.shape).astype(np.float32)
    return pixels.clip(0, 1)


def _point_inside(mask: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """x and y, in mask pixels, of an evenly drawn pixel's random place."""
    rows, columns = np.nonzero(mask)
    chosen = int(rng.integers(len(rows)))
    x, y = rng.random(2)
    return columns[chosen] + x, rows[chosen] + y


def _jittered_box(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """x1 y1 x2 y2 in mask pixels; each edge moved by noise of a tenth of the side, as the SAM paper does."""
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)
    sides = np.array([box[2] - box[0], box[3] - box[1]] * 2)
    moved = box + rng.normal(0, 0.1, 4).clip(-0.3, 0.3) * sides
    return moved.clip(0, mask.shape[0])
