"""Evaluation sets: folders, parquet files and Hub datasets of clean pictures or of degraded and clean pairs."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ..errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


@dataclass(frozen=True)
class EvaluationPicture:
    """A clean picture and, in a set of pairs, its degraded version: both `(H, W, 3)` RGB or `(H, W)` gray, uint8."""

    name: str
    clean: np.ndarray
    degraded: np.ndarray | None


@dataclass(frozen=True)
class EvaluationSet:
    """Pictures in a fixed order, read one at a time when they are asked for.

    Attributes:
        name: what results call it: the folder's last part or the Hub id.
        split: the split's name; "test" for folders.
        paired: whether every picture brings its degraded version.
        read: gives picture number i.
        count: the number of pictures.
    """

    name: str
    split: str
    paired: bool
    count: int
    read: Callable[[int], EvaluationPicture]

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[EvaluationPicture]:
        return (self.read(index) for index in range(self.count))

    def first(self, limit: int | None) -> EvaluationSet:
        """The set's first `limit` pictures; all where it is None."""
        if limit is None:
            return self
        if limit < 1:
            raise InputError(f"The limit is a number of pictures and at least 1, not {limit}.")
        return EvaluationSet(self.name, self.split, self.paired, min(limit, self.count), self.read)


def open_set(dataset: str | Path, channels: int = 3, split: str = "test") -> EvaluationSet:
    """Opens an evaluation set.

    Args:
        dataset: a folder of clean pictures; a folder with `lq/` and `gt/`, whose pictures have equal names (endings
            apart); a parquet file or a folder of them; or a Hub dataset id. The last three have a column `image`
            (clean) or columns `lq` and `gt`. Folders are in the sorted order of their file names.
        channels: 3 gives colour pictures (a gray one is repeated), 1 gray ones (equal channels are taken as gray).
        split: which split of a Hub dataset; only a label otherwise.

    Raises:
        InputError: when there is nothing to read there, a pair lacks its partner or the two differ in size, or a
            picture is none or not of 8 bit. The last two are found when the picture is read.
    """
    path = Path(dataset)
    if path.is_dir():
        if any(path.glob("*.parquet")):
            return _open_table(sorted(path.glob("*.parquet")), path.resolve().name, split, channels)
        if (path / "lq").is_dir() or (path / "gt").is_dir():
            return _open_pairs(path, split, channels)
        return _open_clean(path, split, channels)
    if path.suffix == ".parquet" and path.is_file():
        return _open_table([path], path.stem, split, channels)
    return _open_hub(str(dataset), split, channels)


def _open_clean(folder: Path, split: str, channels: int) -> EvaluationSet:
    files = _pictures_in(folder)

    def read(index: int) -> EvaluationPicture:
        file = files[index]
        return EvaluationPicture(file.name, _decode(file.read_bytes(), str(file), channels), None)

    return EvaluationSet(folder.resolve().name, split, False, len(files), read)


def _open_pairs(folder: Path, split: str, channels: int) -> EvaluationSet:
    for part in ("lq", "gt"):
        if not (folder / part).is_dir():
            raise InputError(f"{folder} has no folder '{part}': pairs are pictures of equal names in 'lq' and 'gt'.")
    degraded = {file.stem: file for file in _pictures_in(folder / "lq")}
    clean = {file.stem: file for file in _pictures_in(folder / "gt")}
    for stem in sorted(degraded.keys() ^ clean.keys()):
        lone, other = (degraded, "gt") if stem in degraded else (clean, "lq")
        raise InputError(f"{lone[stem]} has no partner called {stem} in {folder / other}: add it or leave both out.")
    stems = [file.stem for file in _pictures_in(folder / "gt")]

    def read(index: int) -> EvaluationPicture:
        gt, lq = clean[stems[index]], degraded[stems[index]]
        return _pair(
            gt.name,
            _decode(lq.read_bytes(), str(lq), channels),
            _decode(gt.read_bytes(), str(gt), channels),
            str(folder),
        )

    return EvaluationSet(folder.resolve().name, split, True, len(stems), read)


def _open_table(files: list[Path], name: str, split: str, channels: int) -> EvaluationSet:
    load_dataset = _load_dataset()
    try:
        table = load_dataset("parquet", data_files=[str(file) for file in files], split="train")
    except Exception as error:  # datasets passes on whatever pyarrow raises
        raise InputError(f"{files[0]} and its neighbours cannot be read as parquet: {_first_line(error)}") from error
    return _table_set(table, name, split, channels)


def _open_hub(dataset: str, split: str, channels: int) -> EvaluationSet:
    load_dataset = _load_dataset()
    try:
        table = load_dataset(dataset, split=split)
    except Exception as error:  # network, missing repository, missing split: many types, one answer
        raise InputError(
            f"{dataset!r} is no folder or parquet file here, and its split {split!r} cannot be had from the Hub: "
            f"{_first_line(error)}"
        ) from error
    return _table_set(table, dataset, split, channels)


def _load_dataset() -> Callable[..., Any]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise InputError(
            "Only folders of pictures are read without the package datasets; for parquet and the Hub: "
            "pip install 'samdistill[train]'."
        ) from error
    return load_dataset


def _table_set(table: Any, name: str, split: str, channels: int) -> EvaluationSet:
    """A `datasets.Dataset` as a set; bytes are decoded here, so that files and tables read alike."""
    from datasets import Image as ImageColumn

    columns = set(table.column_names)
    paired = {"lq", "gt"} <= columns
    used = ["lq", "gt"] if paired else ["image"]
    if not set(used) <= columns:
        raise InputError(
            f"The dataset {name} has the columns {', '.join(sorted(columns))}; expected 'image', or 'lq' and 'gt'."
        )
    if not len(table):
        raise InputError(f"The dataset {name} has no rows in its split {split}.")
    for column in used:
        if isinstance(table.features[column], ImageColumn):
            table = table.cast_column(column, ImageColumn(decode=False))

    def pixels(row: dict, column: str, index: int) -> np.ndarray:
        return _decode(_cell_bytes(row[column]), f"row {index} of {name}, column {column!r},", channels)

    def read(index: int) -> EvaluationPicture:
        row = table[index]
        label = _row_name(row, used[-1], index)
        if paired:
            return _pair(label, pixels(row, "lq", index), pixels(row, "gt", index), name)
        return EvaluationPicture(label, pixels(row, "image", index), None)

    return EvaluationSet(name, split, paired, len(table), read)


def _pictures_in(folder: Path) -> list[Path]:
    files = sorted(
        file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    )
    if not files:
        raise InputError(f"There is no picture in {folder}: expected files ending in {', '.join(SUFFIXES)}.")
    first_of: dict[str, Path] = {}
    for file in files:
        if first_of.setdefault(file.stem, file) != file:
            raise InputError(f"{first_of[file.stem]} and {file.name} differ only in their endings: keep one of them.")
    return files


def _pair(name: str, degraded: np.ndarray, clean: np.ndarray, where: str) -> EvaluationPicture:
    if degraded.shape != clean.shape:
        lq, gt = (f"{shape[1]}x{shape[0]}" for shape in (degraded.shape, clean.shape))
        raise InputError(f"The two pictures {name} of {where} differ in size: lq is {lq} pixels and gt {gt}.")
    return EvaluationPicture(name, clean, degraded)


def _decode(data: bytes, where: str, channels: int) -> np.ndarray:
    """An encoded 8-bit picture to `(H, W, 3)` or `(H, W)` uint8."""
    try:
        with Image.open(io.BytesIO(data)) as file:
            file.load()
            picture = ImageOps.exif_transpose(file)
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises any of them for broken files
        raise InputError(f"{where} cannot be read as a picture: {_first_line(error)}") from error
    if picture.mode in ("RGBA", "LA", "PA") and picture.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise InputError(f"{where} has transparent pixels: protocols measure opaque pictures only.")
    if picture.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
        raise InputError(f"{where} has the mode {picture.mode}: protocols are defined on 8-bit gray and RGB pictures.")
    pixels = np.asarray(picture.convert("RGB"))
    if channels == 3:
        return pixels
    if not (np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2])):
        raise InputError(f"{where} is a colour picture, and protocol 'gray' expects gray ones.")
    return pixels[..., 0]


def _cell_bytes(cell: Any) -> bytes:
    if isinstance(cell, bytes):
        return cell
    if isinstance(cell, dict) and cell.get("bytes") is not None:
        return cell["bytes"]
    if isinstance(cell, dict) and cell.get("path"):
        return Path(cell["path"]).read_bytes()
    raise InputError(f"A picture column holds encoded pictures (PNG or JPEG bytes), not {type(cell).__name__}.")


def _row_name(row: dict, column: str, index: int) -> str:
    for key in ("name", "file_name"):
        if isinstance(row.get(key), str):
            return row[key]
    cell = row[column]
    path = cell.get("path") if isinstance(cell, dict) else None
    return Path(path).name if path else f"{index:05d}"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
