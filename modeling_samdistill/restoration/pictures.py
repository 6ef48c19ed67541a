"""Picture files in and out: what a restoration must not lose is kept beside the pixels."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, JpegImagePlugin, TiffImagePlugin

from ..errors import InputError
from . import deep_files

#: The formats that are read and written, and the endings of their files.
FORMAT_OF_SUFFIX = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
#: More pixels than this are refused before they are decoded (the limit at which Pillow sees a decompression bomb).
MAX_PIXELS = 2 * 89_478_485

GRAY_MODES = {"1", "L", "LA", "I", "I;16", "I;16L", "I;16B", "I;16N", "F"}
COLOUR_MODES = {"P", "PA", "RGB", "RGBA"}


@dataclass(frozen=True)
class Picture:
    """A picture as it is stored, with everything that comes back unchanged after its pixels were restored.

    Args:
        pixels: `(H, W, 1)` gray or `(H, W, 3)` RGB; uint8, uint16, or float in [0, 1].
        alpha: `(H, W)`, of the same type, or None.
        mode: Pillow's name of the pixel layout; a palette (`"P"`) and black and white (`"1"`) are rebuilt from it.
        format: `"JPEG"`, `"PNG"`, `"TIFF"` or `"WEBP"`; empty for a picture that never was a file.
        orientation: The EXIF value 1 to 8: how viewers turn the stored pixels.
        exif, icc_profile, xmp: Raw bytes, as they were found.
        dpi: Horizontal and vertical resolution in dots an inch.
        subsampling: JPEG colour subsampling as Pillow counts it (0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0).
        compressed: Whether a TIFF was compressed.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    mode: str = ""
    format: str = ""
    orientation: int = 1
    exif: bytes | None = field(default=None, repr=False)
    icc_profile: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    dpi: tuple[float, float] | None = None
    subsampling: int = 0
    compressed: bool = True

    @property
    def is_gray(self) -> bool:
        return self.pixels.shape[2] == 1


def read_picture(path: str | Path) -> Picture:
    """Reads a JPEG, PNG, TIFF or WebP file of 8 or 16 bit or, in TIFF, float.

    Raises:
        FileNotFoundError: when there is no such file.
        InputError: when it is not a still picture of a supported kind, is broken, or has too many pixels.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no picture {str(path)!r}: check the name.")
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder, not a picture: name a picture inside it.")
    if path.stat().st_size == 0:
        raise InputError(f"{str(path)!r} is an empty file (0 bytes), not a picture: copy the original again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata; what matters is raised
            return _read(path)
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError(
            f"{str(path)!r} has more than {MAX_PIXELS} pixels, the most that is read: cut it into parts."
        ) from None
    except Exception as error:  # decoders raise nearly every class of exception on broken bytes
        raise InputError(
            f"{str(path)!r} cannot be read as a JPEG, PNG, TIFF or WebP picture: it is truncated, broken or "
            f"something else ({_first_line(error)}); copy or export the original again."
        ) from error


def picture_from_image(image: Image.Image, name: str = "The picture") -> Picture:
    """A Pillow image as a `Picture`. `name` stands in the error messages.

    Raises:
        InputError: for a mode that is neither gray nor RGB (CMYK, LAB, ...), no pixels, or values out of range.
    """
    mode = image.mode
    if mode not in GRAY_MODES | COLOUR_MODES:
        raise InputError(
            f"{name} has the mode {mode}; gray, RGB and palette pictures, with or without alpha, are restored: "
            "convert it to RGB first."
        )
    if 0 in image.size:
        raise InputError(f"{name} has the size {image.width} x {image.height}: it needs at least one pixel.")
    exif = image.getexif()
    transparent = "transparency" in image.info or mode in ("LA", "PA", "RGBA")
    raw_exif = image.info.get("exif") or (exif.tobytes() if len(exif) else None)
    planes = _planes(image, transparent, name)
    colours = planes.shape[2] - transparent
    return Picture(
        pixels=planes[..., :colours],
        alpha=planes[..., colours] if transparent else None,
        mode=mode,
        format="JPEG" if image.format == "MPO" else image.format or "",
        orientation=_orientation(exif.get(ExifTags.Base.Orientation, 1)),
        exif=raw_exif,
        icc_profile=image.info.get("icc_profile"),
        xmp=image.info.get("xmp"),
        dpi=image.info.get("dpi"),
        subsampling=_subsampling(image),
        compressed=image.info.get("compression", "raw") != "raw",
    )


def image_from_picture(picture: Picture) -> Image.Image:
    """A `Picture` as a Pillow image of the mode it had; 16-bit colour, which Pillow does not hold, becomes 8 bit."""
    pixels, alpha = picture.pixels, picture.alpha
    if pixels.dtype != np.uint8 and (not picture.is_gray or alpha is not None):
        pixels = _to_bytes(pixels)
        alpha = None if alpha is None else _to_bytes(alpha)
    planes = pixels if alpha is None else np.concatenate([pixels, alpha[..., None]], axis=2)
    planes = planes.astype(np.float32) if np.issubdtype(planes.dtype, np.floating) else planes
    if picture.mode == "I":
        planes = planes.astype(np.int32)
    image = Image.fromarray(np.ascontiguousarray(planes[..., 0] if planes.shape[2] == 1 else planes))
    if picture.mode in ("P", "PA"):
        # Colours that a restoration made do not fit the old palette: the best 256 are chosen anew.
        method = Image.Quantize.FASTOCTREE if image.mode == "RGBA" else Image.Quantize.MAXCOVERAGE
        image = image.quantize(256, method=method, kmeans=1, dither=Image.Dither.NONE)
    elif picture.mode == "1" and alpha is None:
        image = image.convert("1", dither=Image.Dither.NONE)
    metadata = {"exif": picture.exif, "icc_profile": picture.icc_profile, "xmp": picture.xmp, "dpi": picture.dpi}
    image.info.update({key: value for key, value in metadata.items() if value is not None})
    return image


def check_writable(picture: Picture, path: str | Path) -> str:
    """The format in which `picture` is written to `path`.

    A file with the input's ending keeps the input's format; else the ending decides.

    Raises:
        InputError: when the ending is unknown or the format cannot hold the picture (alpha or 16 bit in JPEG, ...).
    """
    path = Path(path)
    named = FORMAT_OF_SUFFIX.get(path.suffix.lower())
    if named is None:
        raise InputError(f"{str(path)!r} does not end like a picture: write to {', '.join(FORMAT_OF_SUFFIX)}.")
    if named == "JPEG" and picture.alpha is not None:
        raise InputError(f"{str(path)!r}: JPEG has no transparency and the picture does: name it .png, .tif or .webp.")
    if picture.pixels.dtype == np.uint16 and named not in ("PNG", "TIFF"):
        raise InputError(f"{str(path)!r}: {named} holds 8 bits and the picture has 16: name it .png or .tif.")
    if np.issubdtype(picture.pixels.dtype, np.floating) and named != "TIFF":
        raise InputError(f"{str(path)!r}: {named} holds whole numbers and the picture is float: name it .tif.")
    return named


def write_picture(picture: Picture, path: str | Path, overwrite: bool = False) -> None:
    """Writes `picture`; a reader of `path` sees nothing or the whole file.

    Raises:
        FileExistsError: when `path` is there and `overwrite` is not set.
        InputError: as `check_writable`.
    """
    path = Path(path)
    file_format = check_writable(picture, path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists and is kept: name another output or give --overwrite.")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if picture.pixels.dtype != np.uint8:
            deep_files.write(picture, unfinished, file_format)
        else:
            _save_bytes(picture, unfinished, file_format)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _read(path: Path) -> Picture:
    name = repr(str(path))
    try:
        opened = Image.open(path, formats=("JPEG", "PNG", "TIFF", "WEBP"))
    except Image.UnidentifiedImageError:
        if deep_files.is_tiff(path):  # float and other layouts that Pillow does not know
            return Picture(**deep_files.read_tiff(path, MAX_PIXELS))
        raise
    with opened as image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":
            raise InputError(f"{name} holds {frames} pictures (pages or an animation): save one of them by itself.")
        if isinstance(image, TiffImagePlugin.TiffImageFile) and max(image.tag_v2.get(258, (1,))) > 8:
            return Picture(**deep_files.read_tiff(path, MAX_PIXELS))
        deep = image.format == "PNG" and ";16" in str(image.tile[0].args) and image.mode != "I;16"
        if deep:
            with Image.open(path, formats=("PNG",)) as copy:
                copy.verify()  # a broken chunk is found here, where it raises instead of printing
        image.load()
        picture = picture_from_image(image, name)
        return deep_files.deepen_png(picture, path) if deep else picture


def _planes(image: Image.Image, transparent: bool, name: str) -> np.ndarray:
    """(H, W, C) pixels, the last channel alpha when `transparent`."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        array = np.asarray(image)
        if array.min() < 0 or array.max() > 65535:
            raise InputError(f"{name} has values from {array.min()} to {array.max()}; 16 bit hold 0 to 65535.")
        return array.astype(np.uint16)[..., None]
    if image.mode == "F":
        array = np.asarray(image)[..., None]
        check_range(array, name)
        return array
    colour = image.mode in COLOUR_MODES
    wanted = ("RGBA" if transparent else "RGB") if colour else ("LA" if transparent else "L")
    array = np.asarray(image if image.mode == wanted else image.convert(wanted))
    return array[..., None] if array.ndim == 2 else array


def check_range(array: np.ndarray, name: str) -> None:
    """Raises InputError for float pixels that are not numbers or far from [0, 1]; noise may go a little over."""
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise InputError(f"{name} holds NaN or infinite values: float pixels are numbers in [0, 1].")
    if low < -2 or high > 3:
        raise InputError(f"{name} has float values from {low:g} to {high:g}: scale them to [0, 1].")


def _orientation(value: object) -> int:
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _subsampling(image: Image.Image) -> int:
    if isinstance(image, JpegImagePlugin.JpegImageFile) and image.mode == "RGB":
        return max(JpegImagePlugin.get_sampling(image), 0)
    return 0


def _save_bytes(picture: Picture, path: Path, file_format: str) -> None:
    image = image_from_picture(picture)
    options: dict[str, object] = {"icc_profile": picture.icc_profile}
    if file_format != "TIFF" and picture.exif:
        options["exif"] = picture.exif
    if file_format in ("JPEG", "WEBP") and picture.xmp:
        options["xmp"] = picture.xmp
    if file_format != "WEBP" and picture.dpi:
        options["dpi"] = picture.dpi
    if file_format == "JPEG":
        options.update(quality=95, subsampling=picture.subsampling)
    elif file_format == "WEBP":
        options.update(lossless=True, exact=True)
    elif file_format == "TIFF":
        # Pillow's reader has turned the pixels already; of another format's EXIF only the orientation matters here.
        options["tiffinfo"] = {int(ExifTags.Base.Orientation): picture.orientation}
        options["compression"] = "tiff_adobe_deflate" if picture.compressed else None
    if file_format == "JPEG" and image.mode in ("P", "1"):
        image = image.convert("RGB" if image.mode == "P" else "L")
    image.save(path, format=file_format, **{key: value for key, value in options.items() if value is not None})


def _to_bytes(pixels: np.ndarray) -> np.ndarray:
    peak = 65535 if pixels.dtype == np.uint16 else 1
    return np.clip(np.rint(pixels.astype(np.float32) * (255 / peak)), 0, 255).astype(np.uint8)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]
