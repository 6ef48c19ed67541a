"""`samdistill segment` as people run it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from modeling_samdistill.teachers import SamTeacher
from tests.commands.command_line import samdistill
from tests.teachers.small_teacher import saved_teacher


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = saved_teacher(tmp_path_factory.mktemp("teachers") / "tiny")
    config = json.loads((folder / "config.json").read_text())
    # Random weights expect little of their masks; what the command takes comes from the checkpoint.
    config["label_maps"] = {"predicted_iou": 0.0, "stability": 0.0, "points_per_side": 6}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (23, 37, 3), dtype=np.uint8)


def test_folder_becomes_label_maps_and_overlays_and_the_broken_picture_is_reported_last(teacher, pixels, tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "photo.png")
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(tmp_path / "in" / "gray.tif")
    (tmp_path / "in" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    done = samdistill("segment", tmp_path / "in", "-o", tmp_path / "out", "--teacher", teacher, "--device", "cpu")
    assert done.returncode == 2
    assert "broken.jpg" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "2 of 3 segmented" in done.stdout
    names = ["gray.png", "gray_overlay.png", "photo.png", "photo_overlay.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    labels = Image.open(tmp_path / "out" / "photo.png")
    assert (labels.mode, labels.size) == ("L", (37, 23))
    masks = SamTeacher.from_pretrained(teacher)(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)
    assert np.array_equal(np.asarray(labels), masks.labels[0].numpy())
    overlay = Image.open(tmp_path / "out" / "photo_overlay.png")
    assert (overlay.mode, overlay.size) == ("RGB", (37, 23))


def test_label_map_lies_on_the_stored_pixels_and_the_overlay_as_shown(teacher, pixels, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(np.rot90(pixels, -1)).save(tmp_path / "upright.png")
    done = samdistill("segment", tmp_path / "*.png", "-o", tmp_path / "out", "--teacher", teacher, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    stored, shown = (np.asarray(Image.open(tmp_path / "out" / name)) for name in ("turned.png", "upright.png"))
    assert stored.shape == (23, 37)
    assert len(np.unique(stored)) > 1
    assert np.array_equal(np.rot90(stored, -1), shown)
    overlays = (np.asarray(Image.open(tmp_path / "out" / f"{n}_overlay.png")) for n in ("turned", "upright"))
    assert np.array_equal(*overlays)


def test_more_than_255_regions_are_a_16_bit_label_map(tmp_path):
    from modeling_samdistill.commands.segment import _segment_file
    from modeling_samdistill.restoration.folder import Job
    from modeling_samdistill.teachers import SemanticMasks

    class Teacher(torch.nn.Linear):
        def forward(self, images: torch.Tensor) -> SemanticMasks:
            return SemanticMasks.from_label_maps(torch.arange(600).view(1, 20, 30), 1000)

    Image.new("RGB", (30, 20)).save(tmp_path / "in.png")
    _segment_file(Teacher(1, 1), Job(tmp_path / "in.png", tmp_path / "out.png"), overwrite=False)
    labels = Image.open(tmp_path / "out.png")
    assert labels.mode == "I;16"
    assert sorted(np.asarray(labels).flatten()) == list(range(600))


def test_existing_outputs_are_kept_without_overwrite(teacher, pixels, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    (tmp_path / "out").mkdir()
    for kept in ("photo.png", "photo_overlay.png"):
        (tmp_path / "out" / kept).write_bytes(b"mine")
        arguments = ("segment", tmp_path / "photo.png", "-o", tmp_path / "out", "--teacher", teacher)
        done = samdistill(*arguments)
        assert done.returncode == 2
        assert f"{kept}' exists and is kept" in done.stderr
        assert [path.read_bytes() for path in (tmp_path / "out").iterdir()] == [b"mine"]
        (tmp_path / "out" / kept).rename(tmp_path / "out" / "photo_overlay.png")
    assert samdistill(*arguments, "--overwrite").returncode == 0
    assert Image.open(tmp_path / "out" / "photo_overlay.png").size == (37, 23)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("none.png", "-o", "out"), "There is no picture 'none.png'"),
        (("photo.png", "-o", "out.png"), r"'out\.png' is not a folder"),
        (("photo.png", "photo.jpg", "-o", "out"), "would both become 'out/photo.png'"),
        (("photo.png", "-o", "out", "--teacher", "no/such/teacher"), "There is no teacher"),
        (("photo.png", "-o", "out", "--teacher", "."), r"no config\.json"),
        (("photo.png", "-o", "out", "--regions", "0"), "from 1 to 65535"),
        (("photo.png", "-o", "out", "--device", "nowhere"), "nowhere"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(teacher, pixels, tmp_path, arguments, sentence):
    for name in ("photo.png", "photo.jpg"):
        Image.fromarray(pixels).save(tmp_path / name)
    named = arguments if "--teacher" in arguments else (*arguments, "--teacher", teacher)
    before = sorted(tmp_path.rglob("*"))
    done = samdistill("segment", *named, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert re.search(sentence, line)
    assert sorted(tmp_path.rglob("*")) == before
