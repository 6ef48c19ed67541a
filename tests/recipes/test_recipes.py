"""The short recipes, run as people run them."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modeling_samdistill.bundled_models import MODEL_OF_TASK, TEACHER, bundled_names
from modeling_samdistill.evaluation.results import read_results
from recipes.compare import main as compare
from recipes.compare import table
from tests.training.small_runs import SETTINGS, write_pictures

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_compare_makes_each_run_once_and_a_table_of_differences(tmp_path):
    write_pictures(tmp_path)
    config = tmp_path / "small.yaml"
    config.write_text("task: denoise\n")
    words = ["--config", str(config), "--modes", "alone", "null", "sam", "--seeds", "0", "1"]
    words += ["--output_dir", str(tmp_path / "runs"), "--results", str(tmp_path / "results.jsonl")]
    words += ["--test", str(tmp_path / "images"), "--protocol", "rgb", "--sigma", "25"]
    words += ["--dataset", str(tmp_path / "images"), "--segments", str(tmp_path / "masks")]
    words += [word for name, value in SETTINGS.items() for word in (f"--{name}", value)]
    assert compare(words) == 0
    rows = list(csv.DictReader((tmp_path / "small.csv").open()))
    assert [row["mode"] for row in rows] == ["alone", "null", "sam"]
    assert float(rows[0]["difference"]) == 0
    assert rows[2]["interval_over"] == "seeds"
    measured = read_results(tmp_path / "results.jsonl")
    assert len(measured) == 3 * 2 * 2, "PSNR and SSIM of three modes and two seeds"
    made = (tmp_path / "runs" / "sam-1" / "student" / "model.safetensors").stat().st_mtime_ns
    assert compare(words) == 0
    assert (tmp_path / "runs" / "sam-1" / "student" / "model.safetensors").stat().st_mtime_ns == made
    assert read_results(tmp_path / "results.jsonl") == measured


def test_the_table_pairs_pictures_of_the_same_seed():
    values = {
        ("alone", 0): [30.0, 20.0],
        ("alone", 1): [31.0, 21.0],
        ("sam", 0): [30.5, 20.5],
        ("sam", 1): [31.7, 21.7],
    }
    row = table(values, ["alone", "sam"], [0, 1])[1]
    assert row["difference"] == "+0.600"
    low, high = (float(bound) for bound in str(row["interval"]).split(" .. "))
    # Two seeds, +0.5 and +0.7: mean 0.6, standard error 0.1, t of one degree of freedom 12.706.
    assert (low, high) == pytest.approx((0.6 - 1.2706, 0.6 + 1.2706), abs=2e-3)


@pytest.mark.slow
@pytest.mark.skipif(TEACHER not in bundled_names(), reason="the bundled teacher is not there")
@pytest.mark.skipif(MODEL_OF_TASK["denoise"] not in bundled_names(), reason="the bundled student is not there")
def test_the_demo_ends_with_a_table_and_a_picture(tmp_path):
    words = [sys.executable, "recipes/demo.py", "--output_dir", str(tmp_path / "out"), "--max_steps", "12"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "student distilled" in done.stdout
    assert "within chance" in done.stdout
    shown = np.asarray(Image.open(tmp_path / "out" / "before_after.png"))
    assert shown.shape == (240, 4 * 360, 3)
    noisy, _, restored, clean = np.split(shown.astype(float), 4, axis=1)
    assert np.square(restored - clean).mean() < np.square(noisy - clean).mean() / 5
