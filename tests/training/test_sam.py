"""Training a small SAM: it learns, it resumes, and its folder loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import SamModel, SamProcessor

from modeling_samdistill.errors import InputError
from modeling_samdistill.teachers.label_maps import LabelMapFolder
from modeling_samdistill.training.sam import SamTrainingArguments, SmallSamSize, train_small_sam
from modeling_samdistill.training.sam_prompts import RegionPrompts, split_pictures
from modeling_samdistill.training.sam_task import error_clicks

TINY = SmallSamSize(
    image_size=64, patch_size=8, hidden_size=32, num_layers=2, num_heads=2, window_size=4, decoder_size=32,
    decoder_mlp_size=64,
)  # fmt: skip


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    """Twenty pictures of coloured rectangles on gray, each with the label maps of two annotators."""
    folder = tmp_path_factory.mktemp("shapes")
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    rng = np.random.default_rng(0)
    for number in range(20):
        picture = np.full((48, 64, 3), rng.integers(60, 120), dtype=np.uint8)
        labels = np.ones((48, 64), dtype=np.uint8)
        for label in (2, 3):
            top, left = rng.integers(0, 24), rng.integers(0, 32)
            picture[top : top + 20, left : left + 26] = rng.integers(0, 256, 3)
            labels[top : top + 20, left : left + 26] = label
        Image.fromarray(picture).save(folder / "images" / f"p{number:02}.png")
        for annotator in (0, 1):
            Image.fromarray(labels).save(folder / "masks" / f"p{number:02}_{annotator}.png")
    return folder


def arguments(shapes: Path, output: Path, **changes) -> SamTrainingArguments:
    settings = {"max_steps": 6, "batch_size": 2, "points_per_picture": 4, "boxes_per_picture": 2, "log_steps": 1}
    settings |= {"refined_per_picture": 2, "warmup_steps": 5, "save_steps": 1000, "validate_steps": 1000}
    return SamTrainingArguments(
        dataset=str(shapes / "images"), segments=str(shapes / "masks"), output_dir=str(output), model=TINY,
        **(settings | changes),
    )  # fmt: skip


def prompts(shapes: Path, **changes) -> RegionPrompts:
    pictures, _ = split_pictures(shapes / "images", 10)
    settings = {"image_size": 64, "mask_size": 32, "points_per_picture": 5, "boxes_per_picture": 3}
    settings |= {"smallest_crop": 0.5, "seed": 3, "samples": 100}
    return RegionPrompts(pictures, LabelMapFolder(shapes / "masks"), **(settings | changes))


def log(output: Path, key: str) -> dict[int, float]:
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line[key] for line in lines if key in line}


@pytest.mark.slow
def test_training_lowers_the_loss_and_finds_shapes_by_a_click(shapes, tmp_path):
    wanted = arguments(shapes, tmp_path, max_steps=120, batch_size=4, warmup_steps=10, learning_rate=2e-3)
    wanted.model = SmallSamSize(
        64, 8, hidden_size=64, num_layers=2, window_size=4, decoder_size=64, decoder_mlp_size=128
    )
    train_small_sam(wanted)
    losses = log(tmp_path, "loss")
    assert np.mean([losses[step] for step in range(101, 121)]) < 0.8 * np.mean([losses[step] for step in range(1, 11)])
    assert np.mean([log(tmp_path, "iou_1_click")[step] for step in range(101, 121)]) > 0.3


def test_interrupted_run_ends_with_the_same_weights_as_an_uninterrupted_one(shapes, tmp_path):
    whole = train_small_sam(arguments(shapes, tmp_path / "whole", save_steps=3))
    assert sorted(path.name for path in (tmp_path / "whole").glob("*checkpoint*")) == ["checkpoint-3"]
    (tmp_path / "halves").mkdir()
    (tmp_path / "whole" / "checkpoint-3").rename(tmp_path / "halves" / "checkpoint-3")
    (tmp_path / "halves" / ".checkpoint-5").mkdir()
    resumed = train_small_sam(arguments(shapes, tmp_path / "halves", save_steps=3))
    assert sorted(log(tmp_path / "halves", "loss")) == [4, 5, 6]
    assert [log(tmp_path / "whole", "loss")[step] for step in (4, 5, 6)] == list(
        log(tmp_path / "halves", "loss").values()
    )
    expected, found = SamModel.from_pretrained(whole).state_dict(), SamModel.from_pretrained(resumed).state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_folder_of_a_run_loads_and_runs_in_transformers(shapes, tmp_path):
    folder = train_small_sam(arguments(shapes, tmp_path, max_steps=1))
    model, processor = SamModel.from_pretrained(folder), SamProcessor.from_pretrained(folder)
    assert model.dtype == torch.float32
    inputs = processor(Image.open(shapes / "images" / "p00.png"), input_points=[[[20, 20]]], return_tensors="pt")
    assert inputs["pixel_values"].shape == (1, 3, 64, 64)
    with torch.no_grad():
        output = model(**{name: inputs[name].float() for name in ("pixel_values", "input_points")})
    assert output.pred_masks.shape == (1, 1, 3, 32, 32)


def test_each_prompt_lies_on_its_region_and_repeats_with_the_seed(shapes):
    samples, again, other = prompts(shapes), prompts(shapes), prompts(shapes, seed=4)
    for n in (0, 17, 18, 63):
        sample = samples[n]
        assert all(torch.equal(value, again[n][name]) for name, value in sample.items())
        cells = ((sample["points"][:, 0] + 0.5) / 2).long()
        assert all(sample["point_regions"][i, y, x] for i, (x, y) in enumerate(cells.tolist()))
        assert sample["boxes"].shape == (3, 4)
        assert sample["box_regions"].flatten(1).any(1).all()
    assert not torch.equal(samples[0]["pixel_values"], other[0]["pixel_values"])


def test_every_picture_is_drawn_once_an_epoch(shapes):
    samples = prompts(shapes, augment=False)
    sums = [round(samples[n]["pixel_values"].sum().item(), 3) for n in range(36)]
    assert sorted(sums[:18]) == sorted(sums[18:])
    assert sums[:18] != sums[18:]


def test_validation_pictures_are_every_tenth_in_sorted_order(shapes):
    training, validation = split_pictures(shapes / "images", 10)
    assert [path.stem for path in validation] == ["p09", "p19"]
    assert len(training) == 18
    assert not set(training) & set(validation)


def test_clicks_fall_on_errors_with_the_label_of_the_region():
    regions = torch.zeros(2, 8, 8, dtype=torch.bool)
    regions[:, 2:6, 2:6] = True
    masks = torch.zeros_like(regions)
    masks[1] = True
    points, labels = error_clicks(masks, regions, 50, 32, torch.Generator().manual_seed(0))
    cells = ((points + 0.5) / 4).long()
    inside = regions[torch.arange(2)[:, None], cells[..., 1], cells[..., 0]]
    assert inside[0].all()
    assert not inside[1].any()
    assert torch.equal(labels, inside.long())


def test_picture_without_label_map_is_one_sentence(shapes, tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / "lonely.png")
    wanted = arguments(shapes, tmp_path / "run")
    wanted.dataset = str(tmp_path)
    with pytest.raises(InputError, match="No label map for picture 'lonely'"):
        train_small_sam(wanted)
    assert not (tmp_path / "run").exists()


def test_recipe_says_what_is_missing_and_ends_with_code_2():
    recipe = Path(__file__).parents[2] / "recipes" / "train_sam.py"
    done = subprocess.run([sys.executable, recipe, "--max_steps", "1"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: No training data is named")
