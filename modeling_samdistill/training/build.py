"""From the settings of a run to its networks and pictures."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from ..bundled_models import TEACHER
from ..data import TrainingPictures, open_pictures
from ..data.segments import open_segments
from ..distillation import (
    CascadeArguments,
    DistillationTask,
    Refiner,
    WeightSchedule,
    build_analyser,
    build_refiner,
    check_settings,
)
from ..errors import InputError, nearest
from ..models import ARCHITECTURES
from ..restoration.loading import load_model
from .arguments import StudentArguments, TrainingArguments

if TYPE_CHECKING:
    from ..teachers import SamTeacher

NULL_WEIGHT = 1e-6


def build_student(arguments: StudentArguments, task: str, loss: str) -> nn.Module:
    """One of our architectures with `task` in its config, or what `package.module:function` gives.

    Raises:
        InputError: for an unknown architecture, a module that cannot be imported, or weights of another one.
    """
    if ":" in arguments.architecture:
        return _foreign_module(arguments)
    if arguments.architecture not in ARCHITECTURES:
        raise InputError(
            f"student.architecture is {arguments.architecture!r}{nearest(arguments.architecture, ARCHITECTURES)} "
            f"Choose one of: {', '.join(ARCHITECTURES)}, or package.module:function."
        )
    if arguments.weights is not None:
        student = load_model(arguments.weights)
        if student.config.model_type != arguments.architecture:
            raise InputError(
                f"student.weights {arguments.weights!r} is a {student.config.model_type} and student.architecture is "
                f"{arguments.architecture!r}; name the same in both."
            )
        student.config.task, student.config.loss = task, loss
        return student
    config_class, model_class = ARCHITECTURES[arguments.architecture]
    check_settings(config_class, arguments.config, "student.config")
    try:
        return model_class(config_class(task=task, loss=loss, **arguments.config))
    except (ValueError, TypeError) as error:
        raise InputError(f"student.config cannot be: {str(error).strip().splitlines()[-1].strip()}") from error


def build_task(arguments: TrainingArguments, pictures_have_labels: bool) -> DistillationTask:
    """The task of the run's mode. The student's weights depend on the seed alone, not on what else is built."""
    torch.manual_seed(arguments.seed)
    student = build_student(arguments.student, arguments.task, arguments.loss)
    if arguments.mode in ("alone", "null"):
        weight = NULL_WEIGHT if arguments.mode == "null" else 0.0
        return DistillationTask(student, loss=arguments.loss, null_weight=weight)
    cascade = cascade_of_mode(arguments)
    torch.manual_seed(arguments.seed + 1)
    refiner = build_refiner(cascade, student, ARCHITECTURES)
    if cascade.refiner.weights is not None:
        load_refiner(refiner, cascade.refiner.weights)
    needs_analyser = cascade.sgr.weight > 0
    analyser_is_teacher = needs_analyser and cascade.analyser.name == "sam"
    needs_masks = arguments.uses_masks and not pictures_have_labels
    teacher = load_teacher(arguments) if needs_masks or analyser_is_teacher else None
    analyser = build_analyser(cascade.analyser, teacher) if needs_analyser else None
    return DistillationTask(student, cascade, refiner, teacher, analyser, arguments.loss)


def cascade_of_mode(arguments: TrainingArguments) -> CascadeArguments:
    """The cascade as `self` has it, without masks and what needs them, or as configured."""
    if arguments.mode == "self":
        return replace(arguments.cascade, fuse="none", sgr=WeightSchedule())
    return arguments.cascade


def load_teacher(arguments: TrainingArguments) -> SamTeacher:
    """The named teacher, or the bundled one."""
    from ..teachers import SamTeacher

    regions = arguments.cascade.max_regions
    return SamTeacher.from_pretrained(arguments.teacher or TEACHER, max_regions=regions)


def load_refiner(refiner: Refiner, folder: str) -> None:
    """Fills a refiner with the weights that an earlier run wrote.

    Raises:
        InputError: when there are none, or they are of another refiner.
    """
    path = Path(folder) / "refiner.safetensors"
    if not path.is_file():
        raise InputError(f"There is no {path}; cascade.refiner.weights takes the refiner/ folder of an earlier run.")
    try:
        refiner.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{path} holds another refiner than this config describes ({str(error).splitlines()[-1].strip()}); use the "
            "cascade settings of the run that wrote it."
        ) from error


def build_pictures(
    arguments: TrainingArguments, segments_folder: str | None
) -> tuple[TrainingPictures, TrainingPictures]:
    """The pictures to train and to validate on; the latter are every so-manieth in the order of names.

    Args:
        segments_folder: Label maps to use: those of the settings, or those that the teacher made before.
    """
    data = arguments.data
    source = open_pictures(data.dataset, data.split)
    every = data.validation_every
    held_out = [index for index in range(len(source)) if every and index % every == every - 1]
    kept = sorted(set(range(len(source))) - set(held_out))
    if not kept:
        raise InputError(f"{data.dataset} has {len(source)} picture(s); none is left to train on.")
    segments, kind = None, "none"
    if arguments.uses_masks and segments_folder is not None:
        segments = open_segments(segments_folder, data.split) if segments_folder != "column" else None
        kind = data.placebo if arguments.mode == "placebo" else "true"
    training = TrainingPictures(source, kept, data, arguments.seed, segments, kind)
    # Nothing held out leaves the training pictures to look at.
    validation = TrainingPictures(source, held_out or kept, data, arguments.seed, segments, kind)
    return training, validation


def _foreign_module(arguments: StudentArguments) -> nn.Module:
    module_name, _, function = arguments.architecture.partition(":")
    try:
        build = getattr(importlib.import_module(module_name), function)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"student.architecture {arguments.architecture!r} cannot be imported ({error}); give "
            "package.module:function of an installed module."
        ) from error
    student = build(**arguments.config)
    if arguments.weights is not None:
        student.load_state_dict(load_file(arguments.weights))
    return student
