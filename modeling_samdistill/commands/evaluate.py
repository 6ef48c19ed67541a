"""`samdistill evaluate`: a model's PSNR and SSIM on a set, by a named protocol."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from ..evaluation.run import Evaluation


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A bundled model's name, a folder or a Hub id.")],
    dataset: Annotated[
        str,
        typer.Option(help="A folder of clean pictures or with lq/ and gt/ in it, parquet, or a Hub dataset id."),
    ],
    protocol: Annotated[
        str,
        typer.Option(help="y-matlab, y-float, rgb, rgb-8bit, gray, rgb-ssim3d or deblur-heldout."),
    ],
    sigma: Annotated[
        float | None, typer.Option(help="Gaussian noise to add to clean pictures, in 8-bit values (25).")
    ] = None,
    kernels: Annotated[
        Path | None, typer.Option(help="MATLAB file of blur kernels, for deblur-heldout (Levin09.mat).")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of a Hub dataset.")] = "test",
    results: Annotated[
        Path | None, typer.Option(help="Results file to append to, such as recipes/results/results.jsonl.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Measure only the first so many pictures.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: a GPU where there is one.")] = "auto",
    name: Annotated[str | None, typer.Option(help="The model's name in table and results file.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the model's training, for the results file.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the model's training, for the results file.")] = None,
) -> None:
    """Measure a model's PSNR and SSIM on a set of pictures by a named protocol."""
    import torch

    from ..blur_kernels import read_kernels
    from ..evaluation.protocols import protocol_named
    from ..evaluation.results import record_evaluation, weights_sha256
    from ..evaluation.run import evaluate_model
    from ..evaluation.sets import open_set
    from ..restoration.loading import find_model, load_model
    from ..restoration.pipeline import choose_device

    chosen = protocol_named(protocol)
    pictures = open_set(dataset, channels=chosen.channels, split=split)
    blurs = None if kernels is None else read_kernels(kernels)
    chosen.check_arguments(sigma, blurs, paired=pictures.paired)
    if threads is not None:
        if threads < 1:
            raise InputError(f"--threads is a number of CPU threads and at least 1, not {threads}.")
        torch.set_num_threads(threads)
    network = load_model(model)
    network.to(choose_device(device))  # type: ignore[arg-type]
    _warn_of_other_task(network, protocol, noise=sigma is not None)
    evaluation = evaluate_model(network, pictures, chosen, sigma=sigma, kernels=blurs, limit=limit)
    label = name or Path(model).name
    print(_table(evaluation, label))
    if results is not None:
        options = {
            "--dataset": _without_folders(dataset),
            "--protocol": protocol,
            "--sigma": None if sigma is None else f"{sigma:g}",
            "--kernels": None if kernels is None else kernels.name,
            "--split": None if split == "test" else split,
            "--limit": limit,
        }
        record_evaluation(
            results,
            evaluation,
            model=label,
            weights_sha256=weights_sha256(find_model(model)),
            command=_command(_without_folders(model), options),
            seed=seed,
            steps=steps,
        )
        print(f"Appended to {results}.")


def _warn_of_other_task(network: PreTrainedModel, protocol: str, noise: bool) -> None:
    measured = {"y-matlab": "derain", "y-float": "derain", "deblur-heldout": "deblur"}.get(protocol)
    if noise:
        measured = "denoise"
    trained = network.config.task
    if measured and trained and measured != trained:
        print(f"warning: this model was trained to {trained}, and this measures {measured}.", file=sys.stderr)


def _table(evaluation: Evaluation, label: str) -> str:
    arguments = "".join(f", {key} {value:g}" for key, value in evaluation.arguments.items())
    width = max(len(label), len("input"))
    lines = [
        f"{evaluation.dataset} ({len(evaluation.pictures)} pictures), {evaluation.protocol}{arguments}",
        f"{'':{width}}  {'PSNR':>8}  {'SSIM':>7}",
    ]
    for row, means in (("input", evaluation.input_means), (label, evaluation.means)):
        lines.append(f"{row:{width}}  {means['psnr']:5.2f} dB  {means['ssim']:7.4f}")
    return "\n".join(lines)


def _command(model: str, options: dict[str, str | int | None]) -> str:
    """The command as it can be repeated anywhere: from the arguments, without this machine's folders."""
    words = ["samdistill", "evaluate", model]
    for option, value in options.items():
        if value is not None:
            words += [option, str(value)]
    return shlex.join(words)


def _without_folders(given: str) -> str:
    return Path(given).resolve().name if Path(given).exists() else given
