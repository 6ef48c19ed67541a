"""What the README says is so: its files are there, its numbers were measured, its Python runs."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modeling_samdistill.bundled_models import MODEL_OF_TASK, bundled_names
from modeling_samdistill.evaluation.results import read_results

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_file_that_is_named_is_there():
    for path in re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(r"recipes/[\w/]+\.\w+", README):
        assert (ROOT / path).exists(), path


def test_every_decibel_in_a_table_is_in_the_results():
    measured = {f"{value:.2f}" for row in read_results(ROOT / "recipes" / "results" / "results.jsonl")
                for value in (row.value, row.input_value) if value is not None and row.metric == "psnr"}  # fmt: skip
    tables = (ROOT / "recipes" / "results").glob("*.csv")
    compared = " ".join(path.read_text() for path in tables)
    shown = re.findall(r"\b(\d\d\.\d+)\b", " ".join(line for line in README.splitlines() if line.startswith("|")))
    assert shown
    for number in shown:
        assert number in measured or number in compared, number


@pytest.mark.skipif(not set(MODEL_OF_TASK.values()) <= set(bundled_names()), reason="bundled models are not there")
def test_the_python_of_the_readme_runs_as_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model_cards").symlink_to(ROOT / "model_cards")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8))
    picture.save(tmp_path / "photo.jpg")
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 2
    names = {"picture": picture}
    for block in blocks:
        exec(block, names)
    assert Image.open(tmp_path / "better.png").size == (40, 24)
    assert names["restored"].shape == (1, 3, 24, 40)
