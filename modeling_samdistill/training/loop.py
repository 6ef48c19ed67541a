"""The training loop, on Accelerate: from settings to a student in a folder."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from ..data import SampleOrder, TrainingPictures
from ..distillation import DistillationTask
from ..distillation.cascade import warmed_up_average
from ..errors import InputError
from .accelerator import make_accelerator
from .arguments import TrainingArguments
from .build import build_pictures, build_task
from .checkpoints import checkpoints, load_checkpoint, save_checkpoint, step_of
from .run_folder import open_run_folder
from .schedule import Phase, learning_rate_at, phases_of
from .student_folder import save_refiner, save_student
from .teacher_segments import segments_folder
from .validation import validate


def distil(arguments: TrainingArguments) -> dict[str, float]:
    """Runs or resumes the training that `arguments` describe, and writes `<output_dir>/student/`.

    Returns:
        The last validation: mean PSNR in dB of `input`, `student` and `refiner`.

    Raises:
        InputError: for settings that cannot be, data that cannot be read, or a loss that is not finite.
    """
    arguments.check()
    accelerator = make_accelerator(arguments)
    output_dir = Path(arguments.output_dir)
    if accelerator.is_main_process:
        open_run_folder(output_dir, arguments)
    accelerator.wait_for_everyone()
    segments = segments_folder(arguments, accelerator)
    training, validation = build_pictures(arguments, segments)
    task = build_task(arguments, pictures_have_labels=segments is not None)
    _say_what_runs(arguments, accelerator, task, training, validation)
    return Run(arguments, accelerator, task, training, validation, output_dir).train()


class Run:
    """One training from its first or resumed step to the end."""

    def __init__(
        self,
        arguments: TrainingArguments,
        accelerator: Accelerator,
        task: DistillationTask,
        training: TrainingPictures,
        validation: TrainingPictures,
        output_dir: Path,
    ):
        self.arguments = arguments
        self.accelerator = accelerator
        self.task = task.to(accelerator.device)
        self.training = training
        self.validation = validation
        self.output_dir = output_dir
        if arguments.channels_last:
            self.task.student.to(memory_format=torch.channels_last)
            if self.task.refiner is not None:
                self.task.refiner.to(memory_format=torch.channels_last)
        if arguments.compile:
            self.task.student.compile()
        self.parts = [list(self.task.student.parameters())]
        if self.task.refiner is not None:
            self.parts.append(list(self.task.refiner.parameters()))
        self.optimizer = torch.optim.AdamW(
            [{"params": part} for part in self.parts],
            lr=arguments.learning_rate,
            betas=(0.9, 0.95),
            weight_decay=arguments.weight_decay,
        )
        self.average: AveragedModel | None = None
        if arguments.ema_decay:
            self.average = AveragedModel(self.task.student, avg_fn=warmed_up_average(arguments.ema_decay))
            self.average.requires_grad_(False)
        self.phases = phases_of(arguments, self.task.refiner is not None)
        self.sums: dict[str, torch.Tensor] = {}
        self.gradients = torch.zeros((), device=accelerator.device)
        self.logged_at = (0, time.perf_counter())

    def train(self) -> dict[str, float]:
        step = self._resume()
        bar = tqdm(
            total=self.arguments.max_steps,
            initial=step,
            desc=f"{self.arguments.task} {self.arguments.mode}",
            unit="step",
            disable=not self.accelerator.is_local_main_process,
        )
        self.accelerator.init_trackers("logs")
        self.logged_at = (step, time.perf_counter())
        for phase in self.phases:
            if step < phase.last_step:
                self._train_phase(phase, step, bar)
                step = phase.last_step
        bar.close()
        return self._finish()

    def _train_phase(self, phase: Phase, start: int, bar: tqdm) -> None:
        model, optimizer = self._prepare(phase)
        for step, batch in enumerate(self._batches(start, phase.last_step), start):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(step, phase, self.arguments)
            self._optimize(model, optimizer, batch, self._progress(step, phase))
            bar.update()
            self._after_step(step + 1, phase, bar)

    def _prepare(self, phase: Phase) -> tuple[nn.Module, Any]:
        """Wraps the task anew, because DDP learns which parameters are trained when it is made."""
        self.accelerator.free_memory()
        self.task = self.accelerator.unwrap_model(self.task, keep_fp32_wrapper=False)
        self.task.set_phase(phase.name)
        self.task.train()
        return self.accelerator.prepare(self.task, self.optimizer)

    def _optimize(self, model: nn.Module, optimizer: Any, batch: dict[str, torch.Tensor], progress: float) -> None:
        parts = self.arguments.accumulate
        chunks = [dict(zip(batch, values)) for values in zip(*(value.chunk(parts) for value in batch.values()))]
        for number, chunk in enumerate(chunks):
            last = number == len(chunks) - 1
            with self.accelerator.no_sync(model) if not last else nullcontext():
                losses = model(**chunk, progress=progress)
                self.accelerator.backward(losses["total"] / parts)
            for name, value in losses.items():
                self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value.detach() / parts
        if self.arguments.clip_gradient:
            if self.accelerator.mixed_precision == "fp16":
                self.accelerator.unscale_gradients()
            for part in self.parts:
                # Each part for itself, so that the refiner cannot slow the student down.
                norm = torch.nn.utils.clip_grad_norm_(part, self.arguments.clip_gradient)
                if self.accelerator.mixed_precision != "fp16":  # whose scaler skips such steps by itself
                    self.gradients = self.gradients + norm.detach()
        optimizer.step()
        optimizer.zero_grad()
        self.task.after_step()
        if self.average is not None and self.task.phase != "refiner":
            self.average.update_parameters(self.task.student)

    def _after_step(self, step: int, phase: Phase, bar: tqdm) -> None:
        arguments = self.arguments
        last = step == arguments.max_steps
        if step % arguments.log_steps == 0 or last:
            self._log(step, phase, bar)
        if step % arguments.save_steps == 0 or last:
            self._check_finite(step)
            save_checkpoint(self.accelerator, self.output_dir, step, arguments.keep)
        if arguments.validate_steps and step % arguments.validate_steps == 0 and not last:
            self._validate(step)

    def _log(self, step: int, phase: Phase, bar: tqdm) -> None:
        self._check_finite(step)
        since, then = self.logged_at
        now = time.perf_counter()
        values = {name: float(value) / (step - since) for name, value in self._mean_over_processes().items()}
        values["learning_rate"] = learning_rate_at(step - 1, phase, self.arguments)
        values["steps_per_second"] = (step - since) / (now - then)
        self.sums, self.logged_at = {}, (step, now)
        bar.set_postfix({name: f"{value:.4f}" for name, value in values.items() if name in ("total", "spd", "sgr")})
        self.accelerator.log(values, step=step)
        self._write_line({"step": step, **values})

    def _mean_over_processes(self) -> dict[str, torch.Tensor]:
        if self.accelerator.num_processes == 1:
            return self.sums
        return {name: self.accelerator.reduce(value, "mean") for name, value in self.sums.items()}

    def _check_finite(self, step: int) -> None:
        """The sums keep a NaN until they are looked at."""
        for name, value in {**self.sums, "gradient": self.gradients}.items():
            if not torch.isfinite(value):
                saved = checkpoints(self.output_dir)
                last_good = f"the last good state is {saved[-1]}" if saved else "nothing was saved yet"
                raise InputError(
                    f"The sum of {name!r} became {float(value)} by step {step}; {last_good}. Lower learning_rate "
                    f"(now {self.arguments.learning_rate}) or look for broken pictures, then start again."
                )

    def _validate(self, step: int) -> dict[str, float]:
        values: dict[str, float] = {}
        if self.accelerator.is_main_process:
            values = validate(
                self._kept_student(),
                self.task,
                self.validation,
                self.arguments.validation_pictures,
                self.accelerator.device,
                self.output_dir / "validation" / f"step-{step}",
            )
            self._write_line({"step": step, **{f"validation_{name}": value for name, value in values.items()}})
            text = "  ".join(f"{name} {value:.2f} dB" for name, value in values.items())
            count = min(self.arguments.validation_pictures, len(self.validation))
            tqdm.write(f"step {step}: validation on {count} pictures: {text}")
            self.accelerator.log({f"validation/{name}": value for name, value in values.items()}, step=step)
        self.accelerator.wait_for_everyone()
        return values

    def _finish(self) -> dict[str, float]:
        self.task = self.accelerator.unwrap_model(self.task, keep_fp32_wrapper=False)
        values = self._validate(self.arguments.max_steps)
        if self.accelerator.is_main_process:
            save_student(self._kept_student(), self.output_dir / "student")
            if self.task.refiner is not None:
                save_refiner(self.task.refiner, self.output_dir / "refiner")
            tqdm.write(f"The student is in {self.output_dir / 'student'}.")
        self.accelerator.end_training()
        return values

    def _kept_student(self) -> nn.Module:
        return self.task.student if self.average is None else self.average.module

    def _resume(self) -> int:
        """Loads the newest checkpoint, if there is one, and returns the step to go on from."""
        if self.average is not None:
            self.accelerator.register_for_checkpointing(self.average)
        found = checkpoints(self.output_dir)
        if not found:
            return 0
        step = step_of(found[-1])
        reached = [phase for phase in self.phases if phase.first_step <= step]
        self._prepare(reached[-1])
        load_checkpoint(self.accelerator, found[-1])
        self.accelerator.print(f"Resuming from {found[-1]}.")
        return step

    def _batches(self, start: int, end: int) -> Iterator[dict[str, torch.Tensor]]:
        order = SampleOrder(len(self.training), self.arguments.seed)
        accelerator = self.accelerator
        keys = order.batches(
            start, end, self.arguments.batch_size, accelerator.process_index, accelerator.num_processes
        )
        loader = DataLoader(
            self.training,
            batch_sampler=keys,
            num_workers=self.arguments.data.workers,
            pin_memory=accelerator.device.type == "cuda",
        )
        for batch in _with_plain_errors(loader):
            moved = {name: value.to(accelerator.device, non_blocking=True) for name, value in batch.items()}
            if self.arguments.channels_last:
                moved = {
                    name: value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
                    for name, value in moved.items()
                }
            yield moved

    def _progress(self, step: int, phase: Phase) -> float:
        """Share of the phase that is done: schedules of the distillation count from where it begins."""
        return (step - phase.first_step) / (phase.last_step - phase.first_step)

    def _write_line(self, values: dict[str, float]) -> None:
        if self.accelerator.is_main_process:
            with (self.output_dir / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")


def _with_plain_errors(loader: DataLoader) -> Iterator[dict[str, torch.Tensor]]:
    """The batches; of a mistake that a worker process met only its sentence, not the worker's traceback."""
    try:
        yield from loader
    except InputError as error:
        raise InputError(str(error).strip().splitlines()[-1].partition("InputError: ")[2] or str(error)) from None


def _say_what_runs(
    arguments: TrainingArguments,
    accelerator: Accelerator,
    task: DistillationTask,
    training: TrainingPictures,
    validation: TrainingPictures,
) -> None:
    student = sum(parameter.numel() for parameter in task.student.parameters())
    refiner = sum(parameter.numel() for parameter in task.refiner.parameters()) if task.refiner is not None else 0
    accelerator.print(
        f"{arguments.task}, mode {arguments.mode}: {accelerator.num_processes} process(es) on "
        f"{accelerator.device.type}, {accelerator.mixed_precision} precision, {accelerator.distributed_type.value}. "
        f"Student {student / 1e6:.2f} M parameters, refiner {refiner / 1e6:.2f} M. "
        f"{len(training)} pictures to train on, {len(validation)} to validate on."
    )
