"""The Accelerator of a run, refused where it would silently be something else."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration
from accelerate.utils.imports import is_tensorboard_available

from ..errors import InputError
from .arguments import TrainingArguments


def make_accelerator(arguments: TrainingArguments) -> Accelerator:
    """Checks device and precision before anything is loaded.

    Raises:
        InputError: for a GPU where there is none, fp16 on a CPU, or a batch that cannot be split evenly.
    """
    has_gpu = torch.cuda.is_available()
    if arguments.device == "cuda" and not has_gpu:
        raise InputError("device is cuda but PyTorch sees no GPU here; use --device cpu, or auto.")
    on_cpu = arguments.device == "cpu" or not has_gpu
    if on_cpu and arguments.mixed_precision == "fp16":
        raise InputError("mixed_precision is fp16, which has no gradient scaler on a CPU; use bf16 or no.")
    accelerator = Accelerator(
        cpu=on_cpu,
        mixed_precision=arguments.mixed_precision,
        log_with="tensorboard" if is_tensorboard_available() else None,
        project_config=ProjectConfiguration(project_dir=arguments.output_dir, logging_dir=arguments.output_dir),
    )
    parts = accelerator.num_processes * arguments.accumulate
    if arguments.batch_size % parts:
        raise InputError(
            f"batch_size is {arguments.batch_size}, which cannot be split evenly over {accelerator.num_processes} "
            f"process(es) x {arguments.accumulate} accumulated parts; choose a multiple of {parts}."
        )
    return accelerator
