"""The restoration networks that ship with the package: complete folders that are ready to use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForImageToImage

import modeling_samdistill.models
from modeling_samdistill.bundled_models import MODEL_OF_TASK, bundled_folder, bundled_names
from modeling_samdistill.evaluation.results import read_results, weights_sha256


@pytest.mark.parametrize("task", MODEL_OF_TASK)
def test_a_bundled_network_is_a_complete_hub_folder_stored_small_and_loaded_as_float32(task):
    name = MODEL_OF_TASK[task]
    if name not in bundled_names():
        pytest.skip(f"the bundled model {name} is not there yet")
    folder = bundled_folder(name)
    config = json.loads((folder / "config.json").read_text())
    assert config["task"] == task
    assert {"AutoConfig", "AutoModel", "AutoModelForImageToImage"} <= config["auto_map"].keys()
    for reference in config["auto_map"].values():
        assert (folder / f"{reference.partition('.')[0]}.py").is_file()
    assert (folder / "README.md").is_file()
    stored = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    assert sum(tensor.numel() for tensor in stored.values()) <= 4_000_000

    model = AutoModelForImageToImage.from_pretrained(folder)
    assert model.dtype == torch.float32
    assert stored.keys() == model.state_dict().keys()
    pixels = AutoImageProcessor.from_pretrained(folder)(torch.rand(3, 33, 17))["pixel_values"]
    with torch.no_grad():
        assert model(pixels).reconstruction.shape == (1, 3, 33, 17)


@pytest.mark.parametrize("name", sorted(set(MODEL_OF_TASK.values()) & set(bundled_names())))
def test_a_bundled_folder_has_the_code_of_the_package(name):
    models = Path(modeling_samdistill.models.__file__).parent
    copies = sorted(bundled_folder(name).glob("*.py"))
    assert copies
    for copy in copies:
        assert copy.read_text() == (models / copy.name).read_text(), f"run: python recipes/bundle.py card {name}"


@pytest.mark.parametrize("name", sorted(set(MODEL_OF_TASK.values()) & set(bundled_names())))
def test_every_number_of_a_card_is_in_the_results_file(name):
    results = Path(__file__).parents[2] / "recipes" / "results" / "results.jsonl"
    sha256 = weights_sha256(bundled_folder(name))
    measured = {f"{row.value:.2f}" if row.metric == "psnr" else f"{row.value:.4f}"
                for row in read_results(results) if row.weights_sha256 == sha256}  # fmt: skip
    table = [line.split("|") for line in (bundled_folder(name) / "README.md").read_text().splitlines() if " `" in line]
    shown = {cells[6].strip() for cells in table if len(cells) > 7}
    assert shown
    assert shown <= measured
