"""How good a teacher is: measured against what people drew, and the options of its label maps chosen by it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from modeling_samdistill.errors import InputError
from modeling_samdistill.evaluation.results import Measurement, record_evaluation, weights_sha256
from modeling_samdistill.evaluation.run import Evaluation
from modeling_samdistill.evaluation.segments import AnnotatedPicture, evaluate_segments
from modeling_samdistill.teachers.label_maps import LabelMapFolder, check_label_map_size, read_label_map
from modeling_samdistill.teachers.sam import SamTeacher
from modeling_samdistill.teachers.sam_clicks import SamClicks
from modeling_samdistill.teachers.sam_loading import OPTIONS_ENTRY, LabelMapOptions
from modeling_samdistill.training.sam_prompts import split_pictures

#: What `choose_options` tries, what it starts from first: every mask, but for those alike.
CANDIDATES: dict[str, Sequence[float]] = {
    "predicted_iou": (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    "stability": (0.0, 0.3, 0.5, 0.7, 0.8, 0.9),
    "overlap": (0.5, 0.2, 0.3, 0.4, 0.6, 0.7),
}


class AnnotatedFolder:
    """Pictures of a folder with the label maps of all annotators, in sorted order; read one at a time.

    Args:
        dataset: a folder of pictures. segments: a folder of their label maps.
        every: 0 for all pictures; n for every n-th only (the validation split); -n for all others (to train on).
        limit: only the first so many.
    """

    def __init__(self, dataset: str | Path, segments: str | Path, every: int = 0, limit: int | None = None):
        training, validation = split_pictures(dataset, abs(every))
        self.files = (validation if every > 0 else training)[:limit]
        if not self.files:
            raise InputError(f"No picture of {dataset} is left to measure: check --limit and the number of pictures.")
        self.masks = LabelMapFolder(segments)
        for file in self.files:
            self.masks.annotators(file.stem)
        folder = Path(dataset).resolve()
        # bsds/heldout/images is called bsds/heldout.
        self.name = "/".join(folder.parts[-3:-1]) if folder.name == "images" else folder.name

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[AnnotatedPicture]:
        for file in self.files:
            try:
                pixels = np.asarray(Image.open(file).convert("RGB"), dtype=np.float32) / 255
            except OSError as error:
                raise InputError(f"The picture {file} cannot be read ({error}): replace or remove it.") from error
            annotations = [read_label_map(path) for path in self.masks.annotators(file.stem)]
            for annotation in annotations:
                check_label_map_size(annotation, pixels.shape[0], pixels.shape[1], file.name)
            yield AnnotatedPicture(file.stem, pixels, annotations)


def evaluate_teacher(teacher: SamTeacher, pictures: AnnotatedFolder) -> Evaluation:
    """Covering of its label maps, and IoU after 1 and 3 clicks on each region that people drew."""
    return evaluate_segments(
        tqdm(pictures, desc=f"{pictures.name} segments", unit="picture"),
        lambda pixels: label_map(teacher, pixels),
        lambda pixels: SamClicks(teacher, pixels),
        dataset=pictures.name,
        arguments={
            "points_per_side": teacher.options.points_per_side,
            **{name: getattr(teacher.options, name) for name in CANDIDATES},
        },
    )


def evaluate_floor(
    name: str,
    segment: Callable[[np.ndarray], np.ndarray],
    pictures: AnnotatedFolder,
    arguments: dict[str, float | int],
) -> Evaluation:
    """Covering of the label maps of a method without training."""
    bar = tqdm(pictures, desc=f"{pictures.name} {name}", unit="picture")
    return evaluate_segments(bar, segment, dataset=pictures.name, arguments=arguments)


def label_map(teacher: SamTeacher, pixels: np.ndarray) -> np.ndarray:
    """The label map (H, W) of one picture (H, W, 3) in [0, 1]."""
    picture = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32)).permute(2, 0, 1)[None]
    return teacher(picture.to(teacher.mean.device)).labels[0].cpu().numpy()


def choose_options(teacher: SamTeacher, pictures: AnnotatedFolder) -> dict[str, float]:
    """The `CANDIDATES` with the best mean covering, one option after the other; the teacher keeps them.

    Of equal ones, the first is taken.
    """
    chosen = {name: values[0] for name, values in CANDIDATES.items()}
    for name, value in chosen.items():
        teacher.options = _with_option(teacher.options, name, value)
    for name, values in CANDIDATES.items():
        coverings = []
        for value in values:
            teacher.options = _with_option(teacher.options, name, value)
            bar = tqdm(pictures, desc=f"{name} {value:g}", unit="picture")
            evaluation = evaluate_segments(bar, lambda pixels: label_map(teacher, pixels), dataset=pictures.name)
            coverings.append(evaluation.means["covering"])
            tqdm.write(f"{name} {value:g}: covering {coverings[-1]:.4f}")
        chosen[name] = values[int(np.argmax(coverings))]
        teacher.options = _with_option(teacher.options, name, chosen[name])
    return chosen


def write_options(folder: str | Path, chosen: dict[str, float]) -> None:
    """Puts the options into the `config.json` of a teacher, where `SamTeacher.from_pretrained` finds them."""
    file = Path(folder) / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config[OPTIONS_ENTRY] = {**config.get(OPTIONS_ENTRY, {}), **chosen}
    unfinished = file.with_name(f".{file.name}")
    unfinished.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    unfinished.replace(file)


def record(
    results: str | Path, evaluation: Evaluation, model: str, command: list[str], weights: str | None = None
) -> list[Measurement]:
    """Appends an evaluation to the results file and prints its means.

    Args:
        command: what makes it again; paths that exist are shortened to their last part.
        weights: the folder or Hub id of the weights; None for a method without.
    """
    shown = " ".join(f"{metric} {value:.4f}" for metric, value in evaluation.means.items())
    print(f"{model} on {evaluation.dataset} ({len(evaluation.pictures)} pictures): {shown}")
    words = [Path(word).name if Path(word).exists() and not word.startswith("recipes/") else word for word in command]
    sha256 = None if weights is None else weights_sha256(weights)
    return record_evaluation(results, evaluation, model=model, weights_sha256=sha256, command=shlex.join(words))


def _with_option(options: LabelMapOptions, name: str, value: float) -> LabelMapOptions:
    return LabelMapOptions(**{**asdict(options), name: value})
