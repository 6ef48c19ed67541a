"""Label maps in files and bytes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from modeling_samdistill.errors import InputError
from modeling_samdistill.teachers import LabelMapFolder
from modeling_samdistill.teachers.label_maps import (
    check_label_map_size,
    decode_label_map,
    encode_label_map,
    read_label_map,
)


def save(path, value: int):
    path.write_bytes(encode_label_map(np.full((3, 4), value)))


@pytest.mark.parametrize("largest", [0, 1, 255, 256, 65535])
def test_labels_survive_a_png(largest):
    labels = np.arange(12).reshape(3, 4) % (largest + 1)
    labels[0, 0] = largest
    found = decode_label_map(encode_label_map(labels))
    assert found.dtype == np.int64
    assert np.array_equal(found, labels)


def test_8_bit_is_taken_where_it_fits(tmp_path):
    for largest, mode in ((255, "L"), (256, "I;16")):
        (tmp_path / "a.png").write_bytes(encode_label_map(np.full((2, 2), largest)))
        assert Image.open(tmp_path / "a.png").mode == mode


def test_palette_and_black_and_white_pngs_are_label_maps(tmp_path):
    labels = np.array([[0, 1], [1, 0]], dtype=np.uint8)
    palette = Image.fromarray(labels)
    palette.putpalette([9, 9, 9, 200, 0, 0])
    palette.save(tmp_path / "p.png")
    Image.fromarray(labels.astype(bool)).save(tmp_path / "b.png")
    assert np.array_equal(read_label_map(tmp_path / "p.png"), labels)
    assert np.array_equal(read_label_map(tmp_path / "b.png"), labels)


def test_annotators_are_found_in_the_order_of_their_numbers(tmp_path):
    for name in ("a_10", "a_2", "b_1_3", "c"):
        save(tmp_path / f"{name}.png", 1)
    masks = LabelMapFolder(tmp_path)
    assert [path.stem for path in masks.annotators("a")] == ["a_2", "a_10"]
    assert [path.stem for path in masks.annotators("b_1")] == ["b_1_3"]
    assert [path.stem for path in masks.annotators("c")] == ["c"]
    with pytest.raises(InputError, match="No label map for picture 'd'"):
        masks.annotators("d")


def test_a_numbered_map_beside_a_plain_one_is_of_another_picture(tmp_path):
    for name in ("photo", "photo_1"):
        save(tmp_path / f"{name}.png", 1)
    masks = LabelMapFolder(tmp_path)
    assert [path.stem for path in masks.annotators("photo")] == ["photo"]
    assert [path.stem for path in masks.annotators("photo_1")] == ["photo_1"]


def test_one_annotator_is_drawn_evenly_and_repeats_with_the_seed(tmp_path):
    for number in range(3):
        save(tmp_path / f"a_{number}.png", number)
    masks = LabelMapFolder(tmp_path)
    drawn = [int(masks.read("a", np.random.default_rng(seed))[0, 0]) for seed in range(60)]
    assert drawn == [int(masks.read("a", np.random.default_rng(seed))[0, 0]) for seed in range(60)]
    assert min(drawn.count(number) for number in range(3)) >= 10


def test_missing_folder_file_and_empty_folder_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match="No folder of label maps"):
        LabelMapFolder(tmp_path / "none")
    with pytest.raises(InputError, match="holds no label map"):
        LabelMapFolder(tmp_path)
    with pytest.raises(InputError, match="No label map at"):
        read_label_map(tmp_path / "none.png")


def test_what_is_no_label_map_is_one_sentence(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(InputError, match="cannot be read as a PNG"):
        read_label_map(tmp_path / "broken.png")
    whole = encode_label_map(np.random.default_rng(0).integers(0, 256, (64, 64)))
    with pytest.raises(InputError, match="cannot be read as a PNG"):
        decode_label_map(whole[: len(whole) // 2])
    Image.new("RGB", (2, 2)).save(tmp_path / "colour.png")
    with pytest.raises(InputError, match="colour mode RGB"):
        read_label_map(tmp_path / "colour.png")


@pytest.mark.parametrize("labels", [np.array([[65536]]), np.array([[-1]])])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(InputError, match="do not fit a 16 bit PNG"):
        encode_label_map(labels)
    with pytest.raises(InputError, match=r"shape \(H, W\)"):
        encode_label_map(np.zeros((2, 2, 3)))


def test_another_size_than_the_picture_is_refused():
    check_label_map_size(np.zeros((3, 4)), 3, 4, "a.jpg")
    with pytest.raises(InputError, match=r"label map of a\.jpg is 4x3 pixels but its picture is 3x4"):
        check_label_map_size(np.zeros((3, 4)), 4, 3, "a.jpg")
