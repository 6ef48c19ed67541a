"""Checkpoints that are there whole or not at all."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from accelerate import Accelerator

from ..errors import InputError


def save_checkpoint(accelerator: Accelerator, output_dir: Path, step: int, keep: int) -> Path:
    """Writes `checkpoint-<step>/` under a name with a dot, renames it, and removes all but the newest `keep`."""
    final = output_dir / f"checkpoint-{step}"
    unfinished = output_dir / f".checkpoint-{step}"
    if accelerator.is_main_process:
        shutil.rmtree(unfinished, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(unfinished))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(final, ignore_errors=True)
        unfinished.rename(final)
        for old in checkpoints(output_dir)[:-keep]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()
    return final


def load_checkpoint(accelerator: Accelerator, folder: Path) -> int:
    """Restores everything `save_checkpoint` wrote; returns the step.

    Raises:
        InputError: when the folder is broken.
    """
    try:
        accelerator.load_state(str(folder))
    except Exception as error:
        raise InputError(
            f"The checkpoint {folder} cannot be loaded ({type(error).__name__}: {str(error).splitlines()[0]}); remove "
            "it, and the run goes on from the one before."
        ) from error
    return step_of(folder)


def checkpoints(output_dir: Path) -> list[Path]:
    """Finished checkpoints, oldest first."""
    found = [path for path in output_dir.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted(found, key=step_of)


def step_of(folder: Path) -> int:
    return int(folder.name.partition("-")[2])
