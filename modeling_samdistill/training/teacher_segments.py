"""Label maps of all clean pictures of a run, made once by its teacher before the training."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from accelerate import Accelerator
from tqdm.auto import tqdm

from ..bundled_models import TEACHER, resolve_model
from ..data import open_pictures
from ..errors import InputError
from ..teachers.label_maps import encode_label_map
from .arguments import TrainingArguments
from .build import load_teacher

if TYPE_CHECKING:
    from ..teachers import SamTeacher


def segments_folder(arguments: TrainingArguments, accelerator: Accelerator) -> str | None:
    """Where ready label maps lie: given, or made now by the teacher, once for each clean picture."""
    if not arguments.uses_masks:
        return None
    if arguments.data.segments is not None:
        return arguments.data.segments
    if arguments.mode == "placebo" and not arguments.cascade.mask_cache:
        raise InputError(
            "mode placebo needs label maps to mix up; give --segments, or set cascade.mask_cache to true."
        )
    if not arguments.cascade.mask_cache:
        return None
    return make_segments(arguments, accelerator)


def make_segments(arguments: TrainingArguments, accelerator: Accelerator) -> str:
    """Writes `<output_dir>/segments-<key>/<name>.png` for every picture and returns the folder.

    Pictures that are done are not done again; the key depends on the teacher, its options and the dataset, so that
    another teacher never finds these. Each process takes its share.
    """
    source = open_pictures(arguments.data.dataset, arguments.data.split)
    folder = Path(arguments.output_dir) / f"segments-{_key(arguments)}"
    folder.mkdir(parents=True, exist_ok=True)
    # Shared out before it is looked what is done: another process may be writing already.
    own = range(accelerator.process_index, len(source), accelerator.num_processes)
    share = [index for index in own if not (folder / f"{source.names[index]}.png").is_file()]
    if share:
        teacher = load_teacher(arguments).to(accelerator.device)
        for index in tqdm(
            share, desc="label maps of the teacher", unit="picture", disable=not accelerator.is_local_main_process
        ):
            _write(teacher, source.read(index).clean, folder / f"{source.names[index]}.png", accelerator.device)
    accelerator.wait_for_everyone()
    return str(folder)


def _write(teacher: SamTeacher, clean: np.ndarray, path: Path, device: torch.device) -> None:
    pixels = torch.from_numpy(clean.copy()).permute(2, 0, 1)[None].to(device).float() / 255
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_bytes(encode_label_map(teacher(pixels).labels[0].cpu().numpy()))
    unfinished.rename(path)


def _key(arguments: TrainingArguments) -> str:
    teacher = resolve_model(arguments.teacher or TEACHER)
    weights = Path(teacher) / "model.safetensors"
    config = Path(teacher) / "config.json"
    made_of = [
        hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else teacher,
        config.read_text(encoding="utf-8") if config.is_file() else "",
        arguments.data.dataset,
        arguments.data.split,
        arguments.cascade.max_regions,
    ]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]
