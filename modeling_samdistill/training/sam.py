"""Trains a small `SamModel` from scratch on pictures with label maps, after the recipe of the SAM paper."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers import SamModel

from modeling_samdistill.distillation.cascade import warmed_up_average
from modeling_samdistill.errors import InputError
from modeling_samdistill.teachers.label_maps import LabelMapFolder
from modeling_samdistill.teachers.small_sam import (
    MASK_PIXELS_PER_PATCH,
    build_small_sam,
    small_sam_config,
    small_sam_processor,
)
from modeling_samdistill.training.arguments import as_yaml
from modeling_samdistill.training.checkpoints import checkpoints, load_checkpoint, save_checkpoint
from modeling_samdistill.training.sam_optimisation import decay_groups, schedule
from modeling_samdistill.training.sam_prompts import RegionPrompts, split_pictures
from modeling_samdistill.training.sam_task import SamLossWeights, SamTrainingTask


@dataclass
class SmallSamSize:
    """The network: see `small_sam_config`."""

    image_size: int = 256
    patch_size: int = 16
    hidden_size: int = 192
    num_layers: int = 6
    num_heads: int = 4
    window_size: int = 8
    decoder_size: int = 128
    decoder_mlp_size: int = 512


@dataclass
class SamTrainingArguments:
    """Everything that `recipes/train_sam.py` can be told."""

    dataset: str | None = None
    """A folder of pictures."""
    segments: str | None = None
    """A folder of label maps, `<stem>.png` or `<stem>_<n>.png`."""
    output_dir: str = "runs/small_sam"
    validation_every: int = 10
    """Every so many-th picture in sorted order is never trained on; 0 trains on all."""
    model: SmallSamSize = field(default_factory=SmallSamSize)
    losses: SamLossWeights = field(default_factory=SamLossWeights)
    batch_size: int = 8
    """Pictures a step and process."""
    points_per_picture: int = 8
    boxes_per_picture: int = 3
    refined_per_picture: int = 4
    """So many of the point prompts get a second round with clicks on the errors."""
    smallest_crop: float = 0.4
    """Crops have sides from this to 1 of the picture's."""
    max_steps: int = 1000
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    clip_gradient_norm: float = 1.0
    ema_decay: float = 0.998
    mixed_precision: str = "no"
    """`no` or `bf16`."""
    save_steps: int = 500
    keep_checkpoints: int = 2
    log_steps: int = 25
    validate_steps: int = 250
    num_workers: int = 0
    seed: int = 0


def train_small_sam(arguments: SamTrainingArguments) -> Path:
    """Trains, resuming from the last checkpoint in `output_dir`, and writes the folder `<output_dir>/teacher`.

    Returns:
        That folder: the averaged weights in float32, `config.json` and the processor's files.

    Raises:
        InputError: missing folders, no pictures, a picture without label map, a loss that is not a number.
    """
    _check(arguments)
    accelerator = Accelerator(mixed_precision=arguments.mixed_precision)
    set_seed(arguments.seed)
    accelerator.print(f"{accelerator.num_processes} process(es) on {accelerator.device}")
    config = small_sam_config(**asdict(arguments.model))
    task = SamTrainingTask(build_small_sam(config), arguments.losses, arguments.refined_per_picture)
    ema = AveragedModel(task.model, avg_fn=warmed_up_average(arguments.ema_decay))
    trained = [parameter for parameter in task.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        decay_groups(task, arguments.weight_decay), lr=arguments.learning_rate, betas=(0.9, 0.98)
    )
    training, validation = _samples(arguments, accelerator.num_processes)
    task, optimizer = accelerator.prepare(task, optimizer)
    ema.to(accelerator.device)
    averaged: SamModel = ema.module  # type: ignore[assignment]
    accelerator.register_for_checkpointing(ema)
    output = Path(arguments.output_dir)
    if accelerator.is_main_process:
        output.mkdir(parents=True, exist_ok=True)
        (output / "config.yaml").write_text(as_yaml(arguments), encoding="utf-8")
    step = _resume(accelerator, output)
    training.first = step * arguments.batch_size * accelerator.num_processes
    loader = accelerator.prepare(
        DataLoader(training, batch_size=arguments.batch_size, num_workers=arguments.num_workers)
    )
    since_log: list[dict[str, Tensor]] = []
    bar = tqdm(total=arguments.max_steps, initial=step, desc="small SAM", disable=not accelerator.is_main_process)
    for batch in loader:
        for group in optimizer.param_groups:
            group["lr"] = arguments.learning_rate * schedule(step, arguments.warmup_steps, arguments.max_steps)
        with accelerator.autocast():
            terms = task(batch, seed=_click_seed(arguments.seed, step, accelerator.process_index))
        accelerator.backward(terms["loss"])
        accelerator.clip_grad_norm_(trained, arguments.clip_gradient_norm)
        optimizer.step()
        optimizer.zero_grad()
        ema.update_parameters(accelerator.unwrap_model(task).model)
        step += 1
        bar.update()
        since_log.append({name: value.detach() for name, value in terms.items()})
        if step % arguments.log_steps == 0 or step == arguments.max_steps:
            _log(accelerator, output, step, since_log)
            since_log = []
        if validation is not None and (step % arguments.validate_steps == 0 or step == arguments.max_steps):
            _validate(accelerator, output, step, averaged, validation, arguments)
        if step % arguments.save_steps == 0 and step < arguments.max_steps:
            save_checkpoint(accelerator, output, step, arguments.keep_checkpoints)
    bar.close()
    folder = output / "teacher"
    if accelerator.is_main_process:
        write_teacher(averaged, folder)
    accelerator.wait_for_everyone()
    return folder


def write_teacher(model: SamModel, folder: Path) -> None:
    """Writes a whole folder for `SamModel.from_pretrained` and `SamProcessor.from_pretrained`, in one rename."""
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    small_sam_processor(model.config).save_pretrained(unfinished)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def _check(arguments: SamTrainingArguments) -> None:
    if not arguments.dataset or not arguments.segments:
        raise InputError(
            "No training data is named; give --dataset a folder of pictures and --segments its label maps."
        )
    for name in ("max_steps", "batch_size", "save_steps", "log_steps", "validate_steps", "keep_checkpoints"):
        if getattr(arguments, name) < 1:
            raise InputError(f"{name} is {getattr(arguments, name)}; give at least 1.")
    if arguments.mixed_precision not in ("no", "bf16"):
        raise InputError(f"mixed_precision is {arguments.mixed_precision!r}: a small SAM trains with 'no' or 'bf16'.")
    if not 1 <= arguments.refined_per_picture <= arguments.points_per_picture:
        raise InputError(
            f"refined_per_picture is {arguments.refined_per_picture}: choose from 1 to points_per_picture "
            f"({arguments.points_per_picture})."
        )
    if arguments.boxes_per_picture < 1:
        raise InputError(f"boxes_per_picture is {arguments.boxes_per_picture}: at least 1 is needed.")


class _From(torch.utils.data.Dataset):
    """The samples of a dataset from number `first` on: what is left after a resume."""

    def __init__(self, samples: RegionPrompts):
        self.samples, self.first = samples, 0

    def __len__(self) -> int:
        return len(self.samples) - self.first

    def __getitem__(self, n: int) -> dict[str, Tensor]:
        return self.samples[self.first + n]


def _samples(arguments: SamTrainingArguments, processes: int) -> tuple[_From, RegionPrompts | None]:
    masks = LabelMapFolder(str(arguments.segments))
    training, validation = split_pictures(str(arguments.dataset), arguments.validation_every)
    for picture in training + validation:
        masks.annotators(picture.stem)
    size = arguments.model.image_size
    prompts = partial(
        RegionPrompts,
        masks=masks,
        image_size=size,
        mask_size=size // arguments.model.patch_size * MASK_PIXELS_PER_PATCH,
        boxes_per_picture=arguments.boxes_per_picture,
        smallest_crop=arguments.smallest_crop,
    )
    count = arguments.max_steps * arguments.batch_size * processes
    points = arguments.points_per_picture
    drawn = prompts(training, points_per_picture=points, seed=arguments.seed, samples=count)
    if not validation:
        return _From(drawn), None
    # More points than in training: the same pictures and prompts each time, so two steps can be compared.
    fixed = prompts(validation, points_per_picture=24, seed=12345, samples=len(validation), augment=False)
    return _From(drawn), fixed


def _click_seed(seed: int, step: int, process: int) -> int:
    return ((seed * 1_000_003 + step) * 1009 + process) % 2**63


def _log(accelerator: Accelerator, output: Path, step: int, since_log: list[dict[str, Tensor]]) -> None:
    """Writes the mean of each term over the steps since the last time, and over the processes."""
    means = {name: torch.stack([terms[name] for terms in since_log]) for name in since_log[0]}
    values = {name: accelerator.gather(value).mean().item() for name, value in means.items()}
    if not all(math.isfinite(value) for value in values.values()):
        raise InputError(f"The loss is not a number at step {step}: choose a smaller learning_rate than this run's.")
    _write_line(accelerator, output, {"step": step, **values})


def _write_line(accelerator: Accelerator, output: Path, values: dict[str, float]) -> None:
    if accelerator.is_main_process:
        tqdm.write(" ".join(f"{name} {value:.4g}" for name, value in values.items()))
        output.mkdir(parents=True, exist_ok=True)
        with (output / "log.jsonl").open("a") as stream:
            stream.write(json.dumps(values) + "\n")


def _validate(
    accelerator: Accelerator,
    output: Path,
    step: int,
    model: SamModel,
    samples: RegionPrompts,
    arguments: SamTrainingArguments,
) -> None:
    """Mean terms of the averaged weights on the pictures set aside; every process does the same, the first tells."""
    task = SamTrainingTask(model, arguments.losses, arguments.refined_per_picture)
    totals: dict[str, float] = {}
    for batch in DataLoader(samples, batch_size=arguments.batch_size):
        moved = {name: value.to(accelerator.device) for name, value in batch.items()}
        with torch.no_grad():
            terms = task(moved, seed=0)
        for name, value in terms.items():
            totals[name] = totals.get(name, 0.0) + float(value) * len(batch["sample"]) / len(samples)
    _write_line(accelerator, output, {"step": step, **{f"validation_{name}": value for name, value in totals.items()}})


def _resume(accelerator: Accelerator, output: Path) -> int:
    """Loads the newest checkpoint if there is one; the number of steps already done."""
    found = checkpoints(output)
    if not found:
        return 0
    accelerator.print(f"resuming from {found[-1]}")
    return load_checkpoint(accelerator, found[-1])
