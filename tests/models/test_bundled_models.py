"""The restoration networks that ship with the package: complete folders that are ready to use."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForImageToImage

from modeling_samdistill.bundled_models import MODEL_OF_TASK, bundled_folder, bundled_names


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
