"""Label maps that are ready: PNG files of 8 or 16 bit beside the pictures, of one or of several annotators."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from modeling_samdistill.errors import InputError

# What Pillow calls PNGs of one channel: 8 bit, palette, 16 bit (its name differs between versions), 1 bit.
_LABEL_MODES = ("L", "P", "I;16", "I;16B", "I", "1")


class LabelMapFolder:
    """A folder that holds `<stem>.png`, or `<stem>_<n>.png` where several annotators labelled the same picture."""

    def __init__(self, folder: str | Path):
        """Lists the folder once.

        Raises:
            InputError: the folder is not there or holds no PNG.
        """
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise InputError(
                f"No folder of label maps at {self.folder}: give a folder with <stem>.png or <stem>_<n>.png."
            )
        self._files: dict[str, list[Path]] = {}
        for path in sorted(self.folder.glob("*.png"), key=_annotator_order):
            self._files.setdefault(path.stem, []).append(path)
            picture, underscore, number = path.stem.rpartition("_")
            # Beside a plain `<stem>.png`, `<stem>_1.png` is the map of another picture of that name.
            if underscore and number.isdigit() and not (self.folder / f"{picture}.png").is_file():
                self._files.setdefault(picture, []).append(path)
        if not self._files:
            raise InputError(
                f"The folder {self.folder} holds no label map: <stem>.png or <stem>_<n>.png was expected."
            )

    def annotators(self, stem: str) -> list[Path]:
        """The label maps of the picture `stem`, by annotator number; a plain `<stem>.png` is the only one.

        Raises:
            InputError: there is none.
        """
        files = self._files.get(stem)
        if not files:
            raise InputError(
                f"No label map for picture {stem!r} in {self.folder}: put {stem}.png or {stem}_<number>.png there."
            )
        return files

    def read(self, stem: str, rng: np.random.Generator) -> np.ndarray:
        """The label map (H, W) int64 of one annotator of `stem`, drawn evenly with `rng`.

        Raises:
            InputError: there is none, or its file cannot be read.
        """
        files = self.annotators(stem)
        return read_label_map(files[int(rng.integers(len(files)))])


def read_label_map(path: str | Path) -> np.ndarray:
    """The label map (H, W) int64 in a PNG file of 8 or 16 bit.

    Raises:
        InputError: the file is missing, broken, or has more than one channel.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"No label map at {path}: an 8 or 16 bit PNG of one channel was expected.")
    return _decode(path.read_bytes(), str(path))


def decode_label_map(png: bytes) -> np.ndarray:
    """The label map (H, W) int64 in the bytes of an 8 or 16 bit PNG, as a `segments` column holds them.

    Raises:
        InputError: the bytes are no such PNG.
    """
    return _decode(png, "the segments column")


def encode_label_map(labels: np.ndarray) -> bytes:
    """A label map (H, W) of integers in [0, 65535] as PNG bytes: 8 bit where it fits, else 16 bit.

    Raises:
        InputError: another shape, or a label outside of that range.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.size == 0:
        raise InputError(f"A label map has the shape (H, W), got {labels.shape}: pass one picture's map at a time.")
    if labels.min() < 0 or labels.max() > 65535:
        raise InputError(
            f"Labels from {labels.min()} to {labels.max()} do not fit a 16 bit PNG: relabel them into 0..65535."
        )
    stream = io.BytesIO()
    Image.fromarray(labels.astype(np.uint8 if labels.max() < 256 else np.uint16)).save(stream, format="PNG")
    return stream.getvalue()


def check_label_map_size(labels: np.ndarray, height: int, width: int, name: str) -> None:
    """Refuses a label map that has not the size of its picture.

    Raises:
        InputError: `labels` is not (height, width).
    """
    if labels.shape != (height, width):
        raise InputError(
            f"The label map of {name} is {labels.shape[1]}x{labels.shape[0]} pixels but its picture is "
            f"{width}x{height}: make both the same size."
        )


def _annotator_order(path: Path) -> tuple[str, int, str]:
    """Sorts `a_2.png` before `a_10.png`, and `a.png` before both."""
    picture, underscore, number = path.stem.rpartition("_")
    if underscore and number.isdigit():
        return picture, int(number), path.name
    return path.stem, -1, path.name


def _decode(png: bytes, origin: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(png)) as image:
            if image.mode not in _LABEL_MODES:
                raise InputError(
                    f"The label map {origin} has the colour mode {image.mode}: "
                    "an 8 or 16 bit PNG of one channel is needed."
                )
            return np.asarray(image).astype(np.int64)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"The label map {origin} cannot be read as a PNG ({error}): write it again.") from error
