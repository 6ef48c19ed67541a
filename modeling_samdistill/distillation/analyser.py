"""The frozen semantic analyser: features of a picture that SGR pools over regions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from ..errors import InputError, nearest
from .arguments import AnalyserArguments

if TYPE_CHECKING:
    from ..teachers.sam import SamTeacher

#: ImageNet statistics that the networks of torchvision and timm expect.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Analyser(nn.Module):
    """Features of a frozen network: always in eval, never trained; gradients pass to the picture.

    Args:
        network: From (B, 3, H, W), normalised, to a list of feature maps.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, H, W) RGB in [0, 1] to one (B, C, h, w) a layer."""
        return list(self.network((pictures - self.mean) / self.std))

    def train(self, mode: bool = True) -> Analyser:
        """Stays in eval."""
        return super().train(False)


class SamAnalyser(nn.Module):
    """The teacher's own image encoder as analyser. The teacher is shared, not owned, so it has no parameters here."""

    def __init__(self, teacher: SamTeacher):
        super().__init__()
        self._teacher = [teacher]  # in a list, so that it is no sub-module twice

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        return [self._teacher[0].image_features(pictures)]


class LayerFeatures(nn.Module):
    """The outputs of named modules of a torchvision network, in the order asked for."""

    def __init__(self, network: nn.Module, layers: list[str]):
        super().__init__()
        from torchvision.models.feature_extraction import create_feature_extractor

        self.layers = layers
        self.extractor = create_feature_extractor(network, return_nodes={layer: layer for layer in layers})

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        outputs = self.extractor(pictures)
        return [outputs[layer] for layer in self.layers]


def build_analyser(arguments: AnalyserArguments, teacher: SamTeacher | None) -> Analyser | SamAnalyser:
    """
    Raises:
        InputError: for an unknown name or layer, a missing teacher, or weights that do not fit.
    """
    if arguments.name == "sam":
        if teacher is None:
            raise InputError("The analyser is the SAM encoder, but there is no teacher: give --teacher.")
        return SamAnalyser(teacher)
    library, _, name = arguments.name.partition(":")
    if library == "torchvision":
        return Analyser(LayerFeatures(_torchvision_network(name, arguments), arguments.layers))
    if library == "timm":
        return Analyser(_timm_network(name, arguments))
    raise InputError(
        f"The analyser {arguments.name!r} is not known; give torchvision:NAME, timm:NAME, or sam for the teacher's "
        "encoder."
    )


def _torchvision_network(name: str, arguments: AnalyserArguments) -> nn.Module:
    from torchvision.models import get_model, list_models

    if name not in list_models():
        raise InputError(f"torchvision has no network {name!r}{nearest(name, list_models())}")
    if arguments.weights is None:
        network = _downloaded(lambda: get_model(name, weights="DEFAULT"), name)
    else:
        network = get_model(name, weights=None)
        _load(network, arguments.weights)
    modules = [path for path, _ in network.named_modules()]
    for layer in arguments.layers:
        if layer not in modules:
            raise InputError(f"{name} has no layer {layer!r}{nearest(layer, modules)}")
    return network


def _timm_network(name: str, arguments: AnalyserArguments) -> nn.Module:
    import timm

    stages = [int(layer) for layer in arguments.layers]
    if not timm.is_model(name):
        raise InputError(f"timm has no network {name!r}{nearest(name, timm.list_models())}")
    if arguments.weights is None:
        return _downloaded(
            lambda: timm.create_model(name, pretrained=True, features_only=True, out_indices=stages), name
        )
    network = timm.create_model(name, features_only=True, out_indices=stages)
    _load(network, arguments.weights)
    return network


def _downloaded(create, name: str) -> nn.Module:
    try:
        return create()
    except Exception as error:
        raise InputError(
            f"The weights of {name} could not be downloaded ({error}); give cascade.analyser.weights a safetensors "
            "file."
        ) from error


def _load(network: nn.Module, weights: str) -> None:
    if not Path(weights).is_file():
        raise InputError(f"There is no file {weights}; cascade.analyser.weights takes a safetensors file.")
    try:
        state = load_file(weights)
    except SafetensorError as error:
        raise InputError(f"{weights} is no safetensors file ({error}); pickled weights are not loaded.") from error
    # A classifier is not among the features, so its weights may be left over; nothing may be missing.
    missing = network.load_state_dict(state, strict=False).missing_keys
    if missing:
        raise InputError(f"{weights} lacks {len(missing)} tensors of the analyser, first {missing[0]!r}.")
