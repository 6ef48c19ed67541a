"""Reading evaluation sets from folders and parquet, and what is said about broken ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modeling_samdistill.errors import InputError
from modeling_samdistill.evaluation.sets import open_set


def picture(seed: int, height: int = 12, width: int = 14) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_clean_pictures_come_in_the_sorted_order_of_their_names(tmp_path):
    for name in ("b.png", "10.png", "2.png"):
        save(tmp_path / name, picture(len(name)))
    (tmp_path / "notes.txt").write_text("no picture")
    pictures = open_set(tmp_path)
    assert [row.name for row in pictures] == ["10.png", "2.png", "b.png"]
    assert not pictures.paired
    assert pictures.name == tmp_path.name
    assert [row.name for row in pictures.first(1)] == ["10.png"]


def test_pairs_are_matched_by_name(tmp_path):
    for seed, name in enumerate(("x", "y")):
        save(tmp_path / "gt" / f"{name}.png", picture(seed))
        save(tmp_path / "lq" / f"{name}.bmp", picture(seed + 10))
    rows = list(open_set(tmp_path))
    assert np.array_equal(rows[1].clean, picture(1))
    assert np.array_equal(rows[1].degraded, picture(11))


def test_parquet_pairs_and_clean_pictures_are_read(tmp_path):
    pandas = pytest.importorskip("pandas")
    rows = [{"name": f"p{i}", "lq": png(picture(i + 10)), "gt": png(picture(i))} for i in range(3)]
    pandas.DataFrame(rows).to_parquet(tmp_path / "part-0.parquet")
    pictures = open_set(tmp_path)
    assert pictures.paired
    assert [row.name for row in pictures] == ["p0", "p1", "p2"]
    assert np.array_equal(list(pictures)[2].degraded, picture(12))
    pandas.DataFrame([{"image": {"bytes": png(picture(7)), "path": "seven.png"}}]).to_parquet(
        tmp_path / "clean.parquet"
    )
    (row,) = open_set(tmp_path / "clean.parquet")
    assert row.name == "seven.png"
    assert row.degraded is None
    assert np.array_equal(row.clean, picture(7))


def test_gray_and_colour_are_brought_to_the_protocols_channels(tmp_path):
    gray = picture(0)[..., 0]
    save(tmp_path / "gray.png", gray)
    (as_gray,) = open_set(tmp_path, channels=1)
    (as_colour,) = open_set(tmp_path, channels=3)
    assert np.array_equal(as_gray.clean, gray)
    assert np.array_equal(as_colour.clean, np.stack([gray] * 3, axis=2))


def test_a_turned_photo_is_read_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(0)).save(tmp_path / "turned.png", exif=exif)
    (row,) = open_set(tmp_path)
    assert np.array_equal(row.clean, np.rot90(picture(0), k=-1))


def broken_sets(folder: Path) -> dict[str, tuple[Path, int, str]]:
    (folder / "empty").mkdir()
    save(folder / "alone/gt/a.png", picture(0))
    save(folder / "alone/gt/b.png", picture(0))
    save(folder / "alone/lq/b.png", picture(0))
    save(folder / "half/lq/b.png", picture(0))
    save(folder / "sizes/gt/a.png", picture(0))
    save(folder / "sizes/lq/a.png", picture(0, height=13))
    (folder / "torn").mkdir()
    (folder / "torn/a.png").write_bytes(png(picture(0))[:100])
    (folder / "twice").mkdir()
    save(folder / "twice/a.png", picture(0))
    save(folder / "twice/a.jpg", picture(0))
    save(folder / "deep/a.png", np.zeros((12, 12), dtype=np.uint16))
    save(folder / "clear/a.png", np.zeros((12, 12, 4), dtype=np.uint8))
    save(folder / "coloured/a.png", picture(0))
    return {
        "empty": (folder / "empty", 3, "There is no picture in .*empty"),
        "no partner": (folder / "alone", 3, "a.png has no partner called a in .*lq"),
        "no folder": (folder / "half", 3, "has no folder 'gt'"),
        "sizes": (folder / "sizes", 3, "lq is 14x13 pixels and gt 14x12"),
        "torn": (folder / "torn", 3, "a.png cannot be read as a picture"),
        "twice": (folder / "twice", 3, "differ only in their endings"),
        "16 bit": (folder / "deep", 3, "8-bit"),
        "transparent": (folder / "clear", 3, "transparent"),
        "colour under gray": (folder / "coloured", 1, "is a colour picture"),
    }


def test_broken_sets_are_refused_in_one_sentence(tmp_path):
    for what, (path, channels, sentence) in broken_sets(tmp_path).items():
        with pytest.raises(InputError, match=sentence) as caught:
            list(open_set(path, channels=channels))
        assert "\n" not in str(caught.value), what


def test_a_table_without_the_columns_is_refused(tmp_path):
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame([{"photo": b""}]).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="has the columns photo; expected 'image', or 'lq' and 'gt'"):
        open_set(tmp_path)


def test_a_set_that_is_nowhere_is_refused(monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="is no folder or parquet file here"):
        open_set("no/such-set")
