"""Files that Pillow would cut to 8 bit: PNG of 16 bit with colour or alpha, TIFF of 16 bit or float."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from .pictures import Picture

_ORIENTATION, _ICC_PROFILE = 274, 34675
_PNG_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}


def is_tiff(path: Path) -> bool:
    """Whether the file starts like a TIFF or BigTIFF of either byte order."""
    with path.open("rb") as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_tiff(path: Path, max_pixels: int) -> dict[str, Any]:
    """The fields of a `Picture` from a TIFF of 16-bit or float pixels.

    Raises:
        InputError: for several pages, too many pixels, other than 1 to 4 channels, or another type of number.
    """
    import tifffile
    from tifffile import COMPRESSION, PHOTOMETRIC

    with tifffile.TiffFile(path) as file:
        if len(file.pages) > 1:
            raise InputError(f"{str(path)!r} holds {len(file.pages)} pages: save one of them by itself.")
        page = file.pages.first
        if page.imagewidth * page.imagelength > max_pixels:
            raise InputError(f"{str(path)!r} has more than {max_pixels} pixels, the most that is read.")
        try:
            array = page.asarray()
        except (KeyError, ValueError) as error:
            if "imagecodecs" in str(error):
                raise InputError(
                    f"{str(path)!r} is a TIFF of more than 8 bit compressed by "
                    f"{COMPRESSION(page.compression).name}: save it with Deflate or without compression, or "
                    "`pip install imagecodecs`."
                ) from error
            raise
        if page.planarconfig == 2 and array.ndim == 3:
            array = np.moveaxis(array, 0, -1)
        array = _supported(array, path, PHOTOMETRIC(page.photometric).name)
        tags = {code: page.tags[code].value for code in (_ORIENTATION, _ICC_PROFILE) if code in page.tags}
        compressed = page.compression != 1
    orientation = int(tags.get(_ORIENTATION, 1))
    colours = 3 if array.shape[2] >= 3 else 1
    return {
        "pixels": array[..., :colours],
        "alpha": array[..., colours] if array.shape[2] > colours else None,
        "mode": "RGB" if colours == 3 else "L",
        "format": "TIFF",
        "orientation": orientation if 1 <= orientation <= 8 else 1,
        "icc_profile": tags.get(_ICC_PROFILE),
        "compressed": compressed,
    }


def deepen_png(picture: Picture, path: Path) -> Picture:
    """`picture`, which Pillow read with 8 bit, with the 16 bit that the PNG file holds."""
    import torch
    from torchvision.io import ImageReadMode, decode_png

    data = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
    planes = decode_png(data, ImageReadMode.UNCHANGED).permute(1, 2, 0).numpy()
    colours = 3 if planes.shape[2] >= 3 else 1
    alpha = planes[..., colours] if planes.shape[2] > colours else None
    return dataclasses.replace(picture, pixels=planes[..., :colours], alpha=alpha, mode="RGB" if colours == 3 else "L")


def write(picture: Picture, path: Path, file_format: str) -> None:
    """Writes 16-bit pixels as PNG, 16-bit or float pixels as TIFF."""
    parts = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha[..., None]]
    planes = np.concatenate(parts, axis=2)
    if file_format == "PNG":
        path.write_bytes(_png(planes, picture))
    else:
        _write_tiff(planes, picture, path)


def _write_tiff(planes: np.ndarray, picture: Picture, path: Path) -> None:
    import tifffile

    tifffile.imwrite(
        path,
        planes[..., 0] if planes.shape[2] == 1 else planes,
        photometric="minisblack" if picture.is_gray else "rgb",
        planarconfig=None if planes.shape[2] == 1 else "contig",
        extrasamples=None if picture.alpha is None else ["unassalpha"],
        compression="zlib" if picture.compressed else None,
        iccprofile=picture.icc_profile,
        extratags=[(_ORIENTATION, "H", 1, picture.orientation, True)],
        metadata=None,
        resolution=picture.dpi,
        resolutionunit="INCH" if picture.dpi else None,
    )


def _png(planes: np.ndarray, picture: Picture) -> bytes:
    """A 16-bit PNG, each row stored as the difference to the one above (PNG specification, filter type 2)."""
    height, width, channels = planes.shape
    rows = np.frombuffer(planes.astype(">u2").tobytes(), np.uint8).reshape(height, width * channels * 2)
    filtered = np.full((height, rows.shape[1] + 1), 2, np.uint8)
    filtered[0, 1:] = rows[0]
    filtered[1:, 1:] = rows[1:] - rows[:-1]
    header = struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOUR_TYPE[channels], 0, 0, 0)
    chunks = [_chunk(b"IHDR", header)]
    if picture.icc_profile:
        chunks.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(picture.icc_profile)))
    if picture.dpi:
        a_metre = [round(value / 0.0254) for value in picture.dpi]
        chunks.append(_chunk(b"pHYs", struct.pack(">IIB", *a_metre, 1)))
    if picture.exif:
        chunks.append(_chunk(b"eXIf", picture.exif.removeprefix(b"Exif\0\0")))
    chunks += [_chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _supported(array: np.ndarray, path: Path, photometric: str) -> np.ndarray:
    """(H, W, C) in the machine's byte order."""
    from .pictures import check_range

    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4 or 0 in array.shape or photometric not in ("MINISBLACK", "RGB"):
        raise InputError(
            f"{str(path)!r} is a {photometric} TIFF of shape {array.shape}; gray or RGB pictures, with or without "
            "alpha, are restored: convert it first."
        )
    if np.issubdtype(array.dtype, np.floating):
        check_range(array, repr(str(path)))
    elif array.dtype.newbyteorder("=") != np.uint16:
        raise InputError(f"{str(path)!r} has {array.dtype} pixels: save it with 8 or 16 bit or as float in [0, 1].")
    return array.astype(array.dtype.newbyteorder("="))
