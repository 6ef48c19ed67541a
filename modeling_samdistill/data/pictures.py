"""Training pictures from a local folder, parquet shards or the Hub, behind one interface."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ..errors import InputError

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"}


@dataclass(frozen=True)
class Sample:
    """One picture as it is stored.

    Attributes:
        name: The file's stem, or the row's number in a dataset.
        clean: (H, W, 3) uint8, RGB.
        degraded: The same size, for datasets of pairs; otherwise `None` and degraded on the fly.
        segments: A label map as PNG bytes, where the dataset has one.
    """

    name: str
    clean: np.ndarray
    degraded: np.ndarray | None = None
    segments: bytes | None = None


class PictureSource(Protocol):
    """Anything with a length that gives a `Sample` by index."""

    names: list[str]

    def __len__(self) -> int: ...

    def read(self, index: int) -> Sample: ...


def open_pictures(name: str, split: str = "train") -> PictureSource:
    """
    Args:
        name: A folder of clean pictures, a folder with `lq/` and `gt/`, a folder of parquet files, or a Hub id.
        split: Of a Hub dataset or parquet folder.

    Raises:
        InputError: when there is nothing to read at `name`.
    """
    folder = Path(name)
    if folder.is_dir():
        if any(folder.rglob("*.parquet")):
            return TablePictures(name, split)
        return FolderPictures(folder)
    if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(
            f"{name} is not a folder; --dataset takes a folder of pictures, a parquet folder or a Hub id."
        )
    return TablePictures(name, split)


class FolderPictures:
    """Clean pictures of one folder in the order of their names, or pairs from its `lq/` and `gt/`."""

    def __init__(self, folder: Path):
        paired = (folder / "gt").is_dir()
        clean = folder / "gt" if paired else folder
        self._clean = sorted(path for path in clean.iterdir() if path.suffix.lower() in SUFFIXES)
        if not self._clean:
            raise InputError(f"{clean} holds no pictures ({', '.join(sorted(SUFFIXES))}); name a folder that does.")
        self._degraded: list[Path] | None = None
        if paired:
            self._degraded = [folder / "lq" / path.name for path in self._clean]
            missing = [path for path in self._degraded if not path.is_file()]
            if missing:
                raise InputError(f"{missing[0]} is missing: each picture in gt/ needs one of its name in lq/.")
        self.names = [path.stem for path in self._clean]

    def __len__(self) -> int:
        return len(self._clean)

    def read(self, index: int) -> Sample:
        clean = decode(self._clean[index])
        degraded = None
        if self._degraded is not None:
            degraded = decode(self._degraded[index])
            _check_pair(self._clean[index].name, clean, degraded)
        return Sample(self.names[index], clean, degraded)


class TablePictures:
    """A dataset with the columns `image`, or `lq` and `gt`, and optionally `segments`."""

    def __init__(self, name: str, split: str):
        table = load_table(name, split)
        columns = table.column_names
        self._clean_column = "gt" if "gt" in columns else "image"
        if self._clean_column not in columns or ("gt" in columns) != ("lq" in columns):
            raise InputError(f"The dataset {name!r} has the columns {columns}; expected `image`, or `lq` and `gt`.")
        self._table = table
        self.names = table["name"] if "name" in columns else [str(row) for row in range(len(table))]

    def __len__(self) -> int:
        return len(self._table)

    def read(self, index: int) -> Sample:
        row = self._table[index]
        clean = decode(row[self._clean_column], f"row {index}")
        degraded = decode(row["lq"], f"row {index}") if "lq" in row else None
        if degraded is not None:
            _check_pair(f"row {index}", clean, degraded)
        segments = row.get("segments")
        return Sample(self.names[index], clean, degraded, _bytes(segments) if segments is not None else None)


def load_table(name: str, split: str) -> Any:
    """A `datasets.Dataset` from a parquet folder or the Hub, its image cells left encoded.

    Raises:
        InputError: when it cannot be opened.
    """
    from datasets import Image as ImageFeature
    from datasets import load_dataset

    try:
        if Path(name).is_dir():
            files = sorted(str(path) for path in Path(name).rglob("*.parquet"))
            table: Any = load_dataset("parquet", data_files={split: files}, split=split)
        else:
            table = load_dataset(name, split=split)
    except Exception as error:
        raise InputError(
            f"The dataset {name!r} cannot be opened: {type(error).__name__}: {error}. "
            "Give a folder of pictures, a parquet folder, or the id of a dataset on the Hub."
        ) from error
    for column, feature in table.features.items():
        if isinstance(feature, ImageFeature):
            table = table.cast_column(column, ImageFeature(decode=False))
    return table


def decode(picture: Any, name: str = "") -> np.ndarray:
    """A path, bytes or a `datasets` image cell to (H, W, 3) uint8, RGB.

    Raises:
        InputError: when it is no picture.
    """
    name = name or str(picture)
    try:
        source = picture if isinstance(picture, Path) else io.BytesIO(_bytes(picture))
        with Image.open(source) as image:
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError as error:
        raise InputError(f"{name} is missing; check the dataset's folder.") from error
    except Exception as error:
        raise InputError(f"{name} cannot be read as a picture ({error}); mend or remove it.") from error


def _bytes(cell: Any) -> bytes:
    if isinstance(cell, dict):
        return cell["bytes"] if cell.get("bytes") is not None else Path(cell["path"]).read_bytes()
    return bytes(cell)


def _check_pair(name: str, clean: np.ndarray, degraded: np.ndarray) -> None:
    if clean.shape != degraded.shape:
        raise InputError(
            f"{name}: the clean picture is {clean.shape[1]}x{clean.shape[0]} pixels and the degraded one "
            f"{degraded.shape[1]}x{degraded.shape[0]}; a pair has one size."
        )
