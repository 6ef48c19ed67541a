"""Measuring a teacher and choosing the options of its label maps, as the recipes do it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from modeling_samdistill.errors import InputError
from modeling_samdistill.evaluation.results import read_results
from modeling_samdistill.teachers import SamTeacher
from modeling_samdistill.teachers.sam_clicks import SamClicks
from modeling_samdistill.training.sam_quality import AnnotatedFolder, write_options
from tests.teachers.small_teacher import saved_teacher

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    """Ten pictures of a square on a ground, and what two annotators drew."""
    folder = tmp_path_factory.mktemp("data") / "shapes"
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rng = np.random.default_rng(0)
    for number in range(10):
        labels = np.ones((36, 48), dtype=np.uint8)
        top, left = rng.integers(0, 20, 2)
        labels[top : top + 16, left : left + 20] = 2
        colours = rng.integers(0, 256, (3, 3), dtype=np.uint8)
        Image.fromarray(colours[labels]).save(folder / "images" / f"p{number}.png")
        for annotator in range(2):
            Image.fromarray(labels).save(folder / "masks" / f"p{number}_{annotator}.png")
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    folder = saved_teacher(tmp_path_factory.mktemp("teachers") / "tiny")
    write_options(folder, {"points_per_side": 4})
    return folder


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(RECIPES / script), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_recipe_chooses_options_on_the_validation_split_and_measures_a_teacher(shapes, teacher, tmp_path):
    data = ("--dataset", shapes / "images", "--segments", shapes / "masks")
    done = run("train_sam.py", "--choose", teacher, "--evaluate", teacher, *data, "--results", tmp_path / "r.jsonl")
    assert done.returncode == 0, done.stderr
    assert "options chosen on 1 picture" in done.stdout
    written = json.loads((teacher / "config.json").read_text())["label_maps"]
    assert written["points_per_side"] == 4
    assert {"predicted_iou", "stability", "overlap"} <= set(written)
    rows = {row.metric: row for row in read_results(tmp_path / "r.jsonl")}
    assert set(rows) == {"covering", "iou_1_click", "iou_3_clicks"}
    assert rows["covering"].dataset.endswith("/shapes")
    assert rows["covering"].pictures == 10
    assert rows["covering"].arguments == written
    assert rows["covering"].command.startswith("recipes/train_sam.py --evaluate tiny --dataset images")
    assert all(0 < row.value < 1 for row in rows.values())


@pytest.mark.slow
def test_floors_are_chosen_and_measured(shapes, tmp_path):
    data = ("--dataset", shapes / "images", "--segments", shapes / "masks", "--config", tmp_path / "floors.yaml")
    results = ("--results", tmp_path / "r.jsonl")
    early = run("benchmarks/segmentation_floors.py", "measure", *data, *results)
    assert early.returncode == 2
    assert early.stderr.splitlines()[-1].startswith("error: There is no")
    assert run("benchmarks/segmentation_floors.py", "choose", *data, "--limit", 3).returncode == 0
    assert set(yaml.safe_load((tmp_path / "floors.yaml").read_text())) == {"slic", "felzenszwalb"}
    done = run("benchmarks/segmentation_floors.py", "measure", *data, *results)
    assert done.returncode == 0, done.stderr
    rows = read_results(tmp_path / "r.jsonl")
    assert [(row.model, row.metric, row.pictures) for row in rows] == [
        ("slic", "covering", 10),
        ("felzenszwalb", "covering", 10),
    ]
    assert all(row.value > 0.5 and row.weights_sha256 is None for row in rows)


def test_validation_and_training_pictures_are_the_splits_of_the_training(shapes):
    names = {
        every: [picture.name for picture in AnnotatedFolder(shapes / "images", shapes / "masks", every)]
        for every in (0, 10, -10)
    }
    assert names[10] == ["p9"]
    assert names[-10] == [f"p{number}" for number in range(9)]
    assert names[0] == names[-10] + names[10]
    picture = next(iter(AnnotatedFolder(shapes / "images", shapes / "masks")))
    assert (picture.pixels.shape, len(picture.annotations)) == ((36, 48, 3), 2)


def test_clicks_give_masks_of_the_picture_and_each_round_sees_the_last(teacher):
    pixels = np.random.default_rng(0).random((30, 50, 3)).astype(np.float32)
    sam = SamTeacher.from_pretrained(teacher)
    points = np.random.default_rng(1).random((40, 2, 2)) * (50, 30)
    labels = np.ones((40, 2), dtype=np.int64)
    clicks = SamClicks(sam, pixels)
    first = clicks.masks(points[:, :1], labels[:, :1])
    assert (first.shape, first.dtype) == ((40, 30, 50), np.bool_)
    logits = clicks.logits
    second = clicks.masks(points, labels)
    assert second.shape == first.shape
    assert not np.array_equal(clicks.logits, logits)
    fresh = SamClicks(sam, pixels)
    fresh.masks(points[:, :1], labels[:, :1])
    fresh.logits = fresh.logits * -1
    fresh.masks(points, labels)
    assert not np.allclose(fresh.logits, clicks.logits)


def test_what_is_missing_is_one_sentence(shapes, teacher, tmp_path):
    done = run("train_sam.py", "--evaluate", teacher)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: No pictures are named")
    (tmp_path / "images").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "images" / "p0.png")
    with pytest.raises(InputError, match=r"label map of p0\.png is 48x36 pixels but its picture is 9x9"):
        list(AnnotatedFolder(tmp_path / "images", shapes / "masks"))
    Image.new("RGB", (9, 9)).save(tmp_path / "images" / "q.png")
    with pytest.raises(InputError, match="No label map for picture 'q'"):
        AnnotatedFolder(tmp_path / "images", shapes / "masks")
