"""What a picture file is, it still is after it was read and written."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps

from modeling_samdistill.errors import InputError
from modeling_samdistill.restoration import image_from_picture, picture_from_image, read_picture, write_picture
from modeling_samdistill.restoration.orientation import as_stored, upright

RANDOM = np.random.default_rng(0)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def colours(height: int = 23, width: int = 31, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def image_of(mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(colours(channels=1, dtype=np.uint16))
    if mode in ("1", "P"):
        return Image.fromarray(colours()).convert(mode)
    return Image.fromarray(colours(channels={"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]))


LOSSLESS = [(mode, suffix) for mode in ("1", "L", "LA", "RGB", "RGBA", "I;16") for suffix in (".png", ".tif")]


@pytest.mark.parametrize(("mode", "suffix"), [*LOSSLESS, ("RGB", ".webp"), ("RGBA", ".webp")])
def test_lossless_files_come_back_pixel_for_pixel_in_their_mode(tmp_path, mode, suffix):
    image = image_of(mode)
    image.save(tmp_path / f"in{suffix}", lossless=True, exact=True)
    write_picture(read_picture(tmp_path / f"in{suffix}"), tmp_path / f"out{suffix}")
    before, after = Image.open(tmp_path / f"in{suffix}"), Image.open(tmp_path / f"out{suffix}")
    assert (after.mode, after.size, after.format) == (before.mode, before.size, before.format)
    assert np.array_equal(np.asarray(after), np.asarray(before))


def test_a_palette_picture_keeps_its_mode_and_few_colours_exactly(tmp_path):
    image = Image.fromarray(colours()).quantize(16)
    image.save(tmp_path / "in.png")
    write_picture(read_picture(tmp_path / "in.png"), tmp_path / "out.png")
    after = Image.open(tmp_path / "out.png")
    assert after.mode == "P"
    assert np.array_equal(np.asarray(after.convert("RGB")), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_sixteen_bit_png_with_colour_or_alpha_keeps_all_bits(tmp_path, channels):
    planes = colours(channels=channels, dtype=np.uint16)
    colour = 3 if channels > 2 else 1
    picture = dataclasses.replace(
        picture_from_image(Image.new("RGB", (1, 1))),
        pixels=planes[..., :colour],
        alpha=planes[..., colour] if channels in (2, 4) else None,
        icc_profile=SRGB,
        dpi=(300, 300),
    )
    write_picture(picture, tmp_path / "deep.png")
    again = read_picture(tmp_path / "deep.png")
    assert np.array_equal(again.pixels, picture.pixels)
    assert (again.alpha is None) == (picture.alpha is None)
    assert again.alpha is None or np.array_equal(again.alpha, picture.alpha)
    opened = Image.open(tmp_path / "deep.png")
    opened.load()
    assert opened.info["icc_profile"] == SRGB
    assert opened.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_deep_tiff_keeps_type_and_values(tmp_path, compression, byteorder, dtype, channels):
    values = colours(channels=channels, dtype=np.uint16)
    array = values if dtype == np.uint16 else (values / 65535).astype(np.float32)
    tifffile.imwrite(
        tmp_path / "in.tif", array, photometric="rgb" if channels == 3 else "minisblack",
        compression=compression, byteorder=byteorder, iccprofile=SRGB if channels == 3 else None,
    )  # fmt: skip
    picture = read_picture(tmp_path / "in.tif")
    write_picture(picture, tmp_path / "out.tif")
    again = tifffile.imread(tmp_path / "out.tif")
    assert again.dtype == dtype
    assert np.array_equal(again, array)
    assert picture.compressed == (compression is not None)
    assert channels == 1 or read_picture(tmp_path / "out.tif").icc_profile == SRGB


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_jpeg_keeps_colour_subsampling_exif_and_profile(tmp_path, subsampling):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera"
    smooth = Image.fromarray(colours(3, 4)).resize((96, 64), Image.Resampling.BICUBIC)
    smooth.save(tmp_path / "in.jpg", quality=90, subsampling=subsampling, exif=exif, icc_profile=SRGB, dpi=(240, 240))
    picture = read_picture(tmp_path / "in.jpg")
    write_picture(picture, tmp_path / "out.jpg")
    after = Image.open(tmp_path / "out.jpg")
    assert picture.subsampling == subsampling
    assert read_picture(tmp_path / "out.jpg").subsampling == subsampling
    assert (after.getexif()[0x0112], after.getexif()[0x010F]) == (6, "Camera")
    assert after.info["icc_profile"] == SRGB
    assert after.info["dpi"] == (240, 240)
    assert np.abs(np.asarray(after).astype(int) - picture.pixels).mean() < 4


def test_gray_jpeg_stays_gray(tmp_path):
    Image.fromarray(colours(channels=1)).save(tmp_path / "in.jpg")
    write_picture(read_picture(tmp_path / "in.jpg"), tmp_path / "out.jpg")
    assert Image.open(tmp_path / "out.jpg").mode == "L"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_pixels_are_what_viewers_show(orientation):
    image = Image.fromarray(colours())
    image.getexif()[0x0112] = orientation
    stored = np.asarray(image)
    shown = upright(stored, orientation)
    assert np.array_equal(shown, np.asarray(ImageOps.exif_transpose(image)))
    assert np.array_equal(as_stored(shown, orientation), stored)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_a_turned_picture_looks_the_same_after_it_was_written(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.repeat(np.repeat(colours(4, 6), 8, 0), 8, 1)).save(tmp_path / f"in{suffix}", exif=exif)
    write_picture(read_picture(tmp_path / f"in{suffix}"), tmp_path / f"out{suffix}")
    shown = [ImageOps.exif_transpose(Image.open(tmp_path / f"{name}{suffix}")) for name in ("in", "out")]
    before, after = (np.asarray(image.convert("RGB")).astype(int) for image in shown)
    assert before.shape == after.shape == (48, 32, 3)
    assert np.abs(before - after).mean() < 8


def test_the_colour_key_of_a_png_becomes_alpha(tmp_path):
    Image.fromarray(colours()).save(tmp_path / "in.png", transparency=(1, 2, 3))
    assert read_picture(tmp_path / "in.png").alpha is not None


def test_pillow_images_keep_mode_and_metadata():
    image = image_of("RGBA")
    image.info["icc_profile"] = SRGB
    again = image_from_picture(picture_from_image(image))
    assert again.mode == "RGBA"
    assert again.info["icc_profile"] == SRGB
    assert np.array_equal(np.asarray(again), np.asarray(image))


def write(path, content: bytes):
    path.write_bytes(content)
    return path


def png_bytes(tmp_path, size=(64, 64)) -> bytes:
    Image.fromarray(colours(*size)).save(tmp_path / "whole.png")
    return (tmp_path / "whole.png").read_bytes()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no picture '.*none\.png'"):
        read_picture(tmp_path / "none.png")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty file"),
        (b"These are words, not pixels." * 20, "cannot be read"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "cannot be read"),
        (b"II*\0" + b"\xff" * 99, "cannot be read"),
    ],
)
def test_a_file_that_is_no_picture_is_one_clear_sentence(tmp_path, content, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        read_picture(write(tmp_path / "file.png", content))
    assert "\n" not in str(caught.value)


def test_a_truncated_picture_is_refused(tmp_path):
    whole = png_bytes(tmp_path)
    with pytest.raises(InputError, match="truncated"):
        read_picture(write(tmp_path / "half.png", whole[: len(whole) // 2]))


def test_too_many_pixels_are_refused_without_decoding_or_warning(tmp_path):
    Image.new("1", (16000, 12000)).save(tmp_path / "bomb.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="pixels"):
            read_picture(tmp_path / "bomb.png")


@pytest.mark.parametrize(
    ("image", "sentence"),
    [(Image.new("CMYK", (5, 5)), "CMYK"), (Image.new("LAB", (5, 5)), "LAB"), (Image.new("RGB", (0, 5)), "0 x 5")],
)
def test_pictures_that_cannot_be_restored_say_why(image, sentence):
    with pytest.raises(InputError, match=sentence):
        picture_from_image(image)


def test_animations_are_refused(tmp_path):
    frames = [Image.fromarray(colours()) for _ in range(3)]
    frames[0].save(tmp_path / "moving.webp", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="3 pictures"):
        read_picture(tmp_path / "moving.webp")


@pytest.mark.parametrize(("value", "sentence"), [(np.nan, "NaN"), (255.0, "scale them")])
def test_float_pixels_out_of_range_are_refused(tmp_path, value, sentence):
    array = np.full((5, 5, 3), 0.5, np.float32)
    array[2, 2] = value
    tifffile.imwrite(tmp_path / "float.tif", array, photometric="rgb")
    with pytest.raises(InputError, match=sentence):
        read_picture(tmp_path / "float.tif")


@pytest.mark.parametrize(
    ("mode", "name", "sentence"),
    [("RGBA", "out.jpg", "no transparency"), ("I;16", "out.jpg", "8 bits"), ("RGB", "out.bmp", "does not end like")],
)
def test_formats_that_cannot_hold_the_picture_are_refused(tmp_path, mode, name, sentence):
    with pytest.raises(InputError, match=sentence):
        write_picture(picture_from_image(image_of(mode)), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_unasked(tmp_path):
    picture = picture_from_image(image_of("RGB"))
    write(tmp_path / "out.png", b"mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        write_picture(picture, tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes() == b"mine"
    write_picture(picture, tmp_path / "out.png", overwrite=True)
    assert np.array_equal(read_picture(tmp_path / "out.png").pixels, picture.pixels)


def test_a_write_that_fails_leaves_the_old_file_and_no_half_one(tmp_path, monkeypatch):
    write(tmp_path / "out.png", b"mine")

    def fail_in_the_middle(self, path, **options):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail_in_the_middle)
    with pytest.raises(OSError, match="No space"):
        write_picture(picture_from_image(image_of("RGB")), tmp_path / "out.png", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]
    assert (tmp_path / "out.png").read_bytes() == b"mine"


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp", "deep.png", "deep.tif"])
def test_mutated_files_give_a_picture_or_one_sentence(tmp_path, kind):
    path = tmp_path / f"whole.{kind}"
    if kind.startswith("deep"):
        deep = dataclasses.replace(picture_from_image(image_of("RGB")), pixels=colours(dtype=np.uint16))
        write_picture(deep, path)
    else:
        Image.fromarray(colours()).save(path)
    whole = path.read_bytes()
    random = np.random.default_rng(1)
    sentences = []
    for _ in range(50):
        broken = bytearray(whole)
        for position in random.integers(0, len(broken), random.integers(1, 9)):
            broken[position] = random.integers(0, 256)
        broken = broken[: random.integers(len(broken) // 2, len(broken) + 1)] if random.random() < 0.3 else broken
        try:
            picture = read_picture(write(tmp_path / f"broken.{kind}", bytes(broken)))
            assert picture.pixels.ndim == 3
        except InputError as error:
            sentences.append(str(error))
    assert sentences
    assert not any("\n" in sentence for sentence in sentences)
