"""Training samples: a crop, its degraded version and its label map, as a pure function of (seed, epoch, index)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch.utils.data import Dataset

from ..errors import InputError, nearest
from ..teachers.label_maps import check_label_map_size, decode_label_map
from .crops import Crop, draw_crop
from .degradations import DegradationArguments, degrade, margin_of
from .pictures import PictureSource, Sample
from .segments import Segments


@dataclass
class DataArguments:
    """Where training pictures come from and how they are cut.

    Attributes:
        dataset: A folder of pictures, a parquet folder or a Hub id.
        split: Of a Hub dataset or parquet folder.
        segments: A folder of label maps, `column` for the dataset's own, or nothing: then the teacher makes them.
        validation_every: Every this many-th picture, in the order of names, is kept for validation; 0 keeps none.
        crop_size: Side of a training crop in pixels.
        placebo: For `--mode placebo`: `other` (label maps of another picture) or `grid` (a regular grid with about as
            many regions).
        workers: Processes that read and degrade beside the training.
        keep_in_memory: Keep decoded pictures, for sets that fit: width x height x 3 bytes a picture and worker.
        degradation: What is put on clean pictures.
    """

    dataset: str = ""
    split: str = "train"
    segments: str | None = None
    validation_every: int = 10
    crop_size: int = 128
    placebo: str = "other"
    workers: int = 1
    keep_in_memory: bool = False
    degradation: DegradationArguments = field(default_factory=DegradationArguments)

    def check(self) -> None:
        """Raises `InputError` where values do not make sense together."""
        self.degradation.check()
        if self.placebo not in ("other", "grid"):
            raise InputError(
                f"data.placebo is {self.placebo!r}{nearest(self.placebo, ['other', 'grid'])} Choose other or grid."
            )
        if self.crop_size < 8:
            raise InputError(f"data.crop_size is {self.crop_size}; give at least 8 pixels.")


def make_rng(seed: int, epoch: int, index: int, stream: int = 0) -> np.random.Generator:
    """The generator of one sample; `stream` separates what must not disturb each other."""
    return np.random.default_rng([seed, epoch, index, stream])


class TrainingPictures(Dataset):
    """Samples by (epoch, index), the same whatever process or worker asks.

    Crop and degradation draw from one generator and label maps from another, so that all modes see the same pixels.

    Args:
        source: The pictures.
        indices: Which of them are used.
        arguments: Crops and degradations.
        seed: Of everything that is drawn.
        segments: Ready label maps by picture name; `None` takes the dataset's column where `with_segments` asks.
        with_segments: `none`, `true`, `other` or `grid`: whose label maps are given with the crops.
    """

    def __init__(
        self,
        source: PictureSource,
        indices: list[int],
        arguments: DataArguments,
        seed: int,
        segments: Segments | None = None,
        with_segments: str = "none",
    ):
        self.source = source
        self.indices = indices
        self.arguments = arguments
        self.seed = seed
        self.segments = segments
        self.with_segments = with_segments
        self._pictures: dict[int, Sample] = {}

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, torch.Tensor]:
        """
        Returns:
            `degraded` and `clean`: (3, S, S) float32, clean in [0, 1]; with segments also `labels`: (S, S) int64,
            0 = none.
        """
        epoch, index = key
        sample = self.read(index)
        rng = make_rng(self.seed, epoch, index)
        height, width = sample.clean.shape[:2]
        crop = draw_crop(height, width, self.arguments.crop_size, rng)
        degraded, clean = self._pixels(sample, crop, rng)
        item = {"degraded": _to_tensor(degraded), "clean": _to_tensor(clean)}
        if self.with_segments != "none":
            item["labels"] = torch.from_numpy(self._labels(sample, epoch, index, crop))
        return item

    def read(self, index: int) -> Sample:
        """The stored picture at a position among those used."""
        if index not in self._pictures:
            sample = self.source.read(self.indices[index])
            if not self.arguments.keep_in_memory:
                return sample
            self._pictures[index] = sample
        return self._pictures[index]

    def _pixels(self, sample: Sample, crop: Crop, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        if sample.degraded is not None:
            return _unit(crop.orient(crop.cut(sample.degraded))), _unit(crop.orient(crop.cut(sample.clean)))
        margin = margin_of(self.arguments.degradation)
        # Turned before it is degraded, so that rain falls down and given kernels stay as they are.
        clean = _unit(crop.orient(crop.cut(sample.clean, margin)))
        degraded = degrade(clean, self.arguments.degradation, rng)
        inner = slice(margin, margin + crop.size)
        return degraded[inner, inner], clean[inner, inner]

    def _labels(self, sample: Sample, epoch: int, index: int, crop: Crop) -> np.ndarray:
        rng = make_rng(self.seed, epoch, index, stream=1)
        if self.with_segments == "other":
            sample = self.read((index + int(rng.integers(1, max(2, len(self))))) % len(self))
            height, width = sample.clean.shape[:2]
            crop = draw_crop(height, width, crop.size, rng)
        labels = crop.orient(crop.cut(self.label_map(sample, rng)))
        return grid_like(labels) if self.with_segments == "grid" else labels

    def label_map(self, sample: Sample, rng: np.random.Generator) -> np.ndarray:
        """The whole label map of a picture, (H, W) int64; of several annotators one is drawn."""
        if self.segments is not None:
            labels = self.segments.read(sample.name, rng)
        elif sample.segments is not None:
            labels = decode_label_map(sample.segments)
        else:
            raise InputError(
                f"Picture {sample.name} has no label map: give --segments a folder of them, a dataset with a "
                "`segments` column, or a --teacher that makes them."
            )
        check_label_map_size(labels, sample.clean.shape[0], sample.clean.shape[1], sample.name)
        return labels


def grid_like(labels: np.ndarray) -> np.ndarray:
    """A regular grid of the same size and about as many regions as `labels` has."""
    height, width = labels.shape
    regions = len(np.unique(labels))
    rows = max(1, int(regions**0.5))
    columns = max(1, round(regions / rows))
    row = np.arange(height) * rows // height
    column = np.arange(width) * columns // width
    return (row[:, None] * columns + column[None, :] + 1).astype(np.int64)


def _unit(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / np.float32(255)


def _to_tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
