"""`samdistill restore`: pictures in, restored pictures out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def restore(
    inputs: Annotated[list[str], typer.Argument(metavar="IN...", help="Picture files, folders, or quoted patterns.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A picture file when one picture comes in, else a folder.")
    ],
    task: Annotated[
        str | None, typer.Option(help="denoise, derain or deblur: takes the bundled model for it.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A bundled name, a model folder or a Hub id.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    tile: Annotated[int | None, typer.Option(help="Side of the tiles for large pictures, in pixels.")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Let a model bring code of its own.")
    ] = False,
) -> None:
    """Restore pictures, keeping their size, format, bit depth, orientation and transparency."""
    import logging

    from ..restoration.folder import plan_jobs, restore_jobs, split_existing

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # a broken file gets our sentence, not its log as well
    name = _model_name(task, model)
    planned = plan_jobs(inputs, output)
    total = len(planned)
    jobs, failures = split_existing(planned, overwrite)
    if jobs:
        from transformers.utils.logging import disable_progress_bar

        from ..restoration.pipeline import ImageRestorationPipeline

        disable_progress_bar()  # the bar of this command is the one over pictures
        pipeline = ImageRestorationPipeline.from_pretrained(name, device, trust_remote_code, task)
        failures += restore_jobs(pipeline, jobs, overwrite, tile)
    for failure in failures:
        print(f"error: {failure.reason}", file=sys.stderr)
    print(f"{total - len(failures)} of {total} restored into {output}")
    if failures:
        raise typer.Exit(2)


def _model_name(task: str | None, model: str | None) -> str:
    from ..bundled_models import MODEL_OF_TASK
    from ..errors import InputError, nearest

    if task is not None and task not in MODEL_OF_TASK:
        hint = nearest(task, MODEL_OF_TASK)
        raise InputError(f"The tasks are {', '.join(MODEL_OF_TASK)}, not {task!r}{hint}")
    if model is not None:
        return model
    if task is None:
        raise InputError("Neither --task nor --model was given: say --task denoise, derain or deblur, or a model.")
    return MODEL_OF_TASK[task]
