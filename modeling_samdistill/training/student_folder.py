"""The end of a run: the student as a folder that is a Hub repository, and the refiner beside it."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from ..distillation import Refiner
from ..models import ImageRestorationPreTrainedModel, RestorationImageProcessor


def save_student(student: nn.Module, folder: Path, half: bool = False) -> None:
    """Weights, config, image processor and remote code; of a foreign module the weights only.

    Args:
        half: Store float16, half as large. The config still says float32, so that the folder loads ready for a CPU.
    """
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    dtype = torch.float16 if half else torch.float32
    state = {name: value.detach().cpu().to(dtype).contiguous() for name, value in student.state_dict().items()}
    if isinstance(student, ImageRestorationPreTrainedModel):
        student.save_pretrained(unfinished, state_dict=state)
        RestorationImageProcessor(num_channels=student.config.num_channels).save_pretrained(unfinished)
    else:
        save_file(state, unfinished / "model.safetensors")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def save_refiner(refiner: Refiner, folder: Path) -> None:
    """The refiner's weights and its network's config, for `cascade.refiner.weights` of another run."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().cpu().contiguous() for name, value in refiner.state_dict().items()}
    save_file(state, folder / "refiner.safetensors")
    config = copy.deepcopy(refiner.network.config).to_dict()
    (folder / "config.json").write_text(json.dumps(config, indent=2, default=str) + "\n", encoding="utf-8")
