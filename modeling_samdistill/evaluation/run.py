"""Runs a model over an evaluation set by a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from ..errors import InputError
from .protocols import NOISE_SEED, Protocol, quantise
from .sets import EvaluationPicture, EvaluationSet


@dataclass(frozen=True)
class PictureValues:
    """PSNR (dB) and SSIM of one restored picture, and of the degraded one that the model was given."""

    name: str
    height: int
    width: int
    values: dict[str, float]
    input_values: dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """What a model reached on a set.

    Attributes:
        protocol: the protocol's name.
        arguments: what the protocol was given, such as `{"sigma": 25.0}`.
        dataset, split: the set's.
        pictures: the values of each picture, in the set's order.
    """

    protocol: str
    arguments: dict[str, float | int]
    dataset: str
    split: str
    pictures: tuple[PictureValues, ...]

    @property
    def means(self) -> dict[str, float]:
        """The mean over pictures of each metric."""
        return _means([picture.values for picture in self.pictures])

    @property
    def input_means(self) -> dict[str, float]:
        """The same means of the degraded inputs."""
        return _means([picture.input_values for picture in self.pictures])


def evaluate_model(
    model: PreTrainedModel,
    pictures: EvaluationSet,
    protocol: Protocol,
    *,
    sigma: float | None = None,
    kernels: Sequence[np.ndarray] | None = None,
    limit: int | None = None,
    progress: bool = True,
) -> Evaluation:
    """Restores every picture whole and measures it.

    Args:
        model: a restoration network with `config.num_channels` 3 or 1, used on its device, in its own precision, in
            eval mode (put back afterwards). On gray pictures a colour network sees the picture three times, and the
            mean of its output's channels is taken (ours).
        pictures: the set, opened with the protocol's number of channels.
        protocol: from `PROTOCOLS`.
        sigma, kernels: for sets of clean pictures, see `Protocol.degrade`.
        limit: only the first so many pictures.
        progress: whether to show a bar.

    Raises:
        InputError: when arguments, protocol, set and model do not fit, or an output is not finite.
    """
    protocol.check_arguments(sigma, kernels, paired=pictures.paired)
    _check_channels(model, protocol)
    chosen = pictures.first(limit)
    was_training = model.training
    model.eval()
    try:
        bar = tqdm(
            chosen, total=len(chosen), desc=f"{chosen.name} {protocol.name}", unit="picture", disable=not progress
        )
        measured = tuple(
            _measure_picture(model, picture, index, protocol, sigma, kernels) for index, picture in enumerate(bar)
        )
    finally:
        model.train(was_training)
    arguments: dict[str, float | int] = {}
    if not pictures.paired:
        arguments["noise_seed"] = NOISE_SEED
    if sigma is not None:
        arguments["sigma"] = float(sigma)
    if kernels is not None:
        arguments["kernels"] = len(kernels)
    return Evaluation(protocol.name, arguments, chosen.name, chosen.split, measured)


def _measure_picture(
    model: PreTrainedModel,
    picture: EvaluationPicture,
    index: int,
    protocol: Protocol,
    sigma: float | None,
    kernels: Sequence[np.ndarray] | None,
) -> PictureValues:
    if picture.degraded is not None:
        degraded = picture.degraded / 255.0
    else:
        degraded = protocol.degrade(picture.clean, index, sigma, kernels)
    restored = quantise(_restore(model, degraded, picture.name))
    return PictureValues(
        name=picture.name,
        height=picture.clean.shape[0],
        width=picture.clean.shape[1],
        values=protocol.measure(restored, picture.clean),
        input_values=protocol.measure(degraded, picture.clean),
    )


def _restore(model: PreTrainedModel, degraded: np.ndarray, name: str) -> np.ndarray:
    """`(H, W, 3)` or `(H, W)` to the same, float, not clamped."""
    gray = degraded.ndim == 2
    planes = torch.from_numpy(degraded[None] if gray else np.moveaxis(degraded, 2, 0).copy())
    if gray and model.config.num_channels == 3:
        planes = planes.expand(3, -1, -1)
    with torch.inference_mode():
        pixel_values = planes[None].to(device=model.device, dtype=model.dtype)
        restored = model(pixel_values=pixel_values).reconstruction[0].double().cpu()
    if restored.shape[-2:] != planes.shape[-2:]:
        raise InputError(
            f"The model gives {tuple(restored.shape)} for {name} of {tuple(planes.shape)}: one size expected."
        )
    if not torch.isfinite(restored).all():
        raise InputError(f"The model's output for {name} is not finite (NaN or infinity): its weights are broken.")
    return restored.mean(dim=0).numpy() if gray else np.moveaxis(restored.numpy(), 0, 2)


def _check_channels(model: PreTrainedModel, protocol: Protocol) -> None:
    channels = model.config.num_channels
    if channels not in (1, 3) or channels < protocol.channels:
        kind = "gray" if protocol.channels == 1 else "colour"
        raise InputError(
            f"The model takes pictures of {channels} channels, and protocol '{protocol.name}' measures {kind} ones: "
            f"use a {kind} model{'' if channels != 1 else ' or protocol gray'}."
        )


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {metric: float(np.mean([row[metric] for row in rows])) for metric in rows[0]}
