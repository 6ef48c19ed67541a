"""Small networks for the tests of restoration and the command line."""

from __future__ import annotations

from pathlib import Path

import torch

from modeling_samdistill import NafnetConfig, NafnetForImageRestoration, RestorationImageProcessor


def small_nafnet(seed: int = 0, **changes) -> NafnetForImageRestoration:
    """A NAFNet of a few thousand parameters that changes what it is given: all its weights are random."""
    torch.manual_seed(seed)
    shape = {"width": 4, "encoder_depths": (1, 1), "middle_depth": 1, "decoder_depths": (1, 1)}
    model = NafnetForImageRestoration(NafnetConfig(**{**shape, **changes}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("_scale"):
                parameter.normal_(std=0.3)
    return model.eval()


def saved_nafnet(folder: Path, half: bool = False, **changes) -> Path:
    """`small_nafnet(**changes)` as a model folder, in float16 when `half`."""
    model = small_nafnet(**changes)
    (model.half() if half else model).save_pretrained(folder)
    RestorationImageProcessor(num_channels=model.config.num_channels).save_pretrained(folder)
    return folder
