"""Model cards, written from the config and the results file: a number that was not measured cannot get in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from transformers import AutoModelForImageToImage

from ..bundled_models import TEACHER
from ..evaluation.results import Measurement, read_results, weights_sha256
from ..models import ImageRestorationConfig

PURPOSE = {
    "denoise": "removes noise from photographs",
    "derain": "removes rain streaks from photographs",
    "deblur": "sharpens photographs blurred by a shaking camera",
}

#: How the modes of a training are told to a reader.
MODES = {
    "alone": "It was trained alone, without a cascade or SAM.",
    "null": "It was trained alone, with a vanishing extra term, to show how far chance moves a result.",
    "self": "It was trained in a cascade without masks, a control of the method.",
    "placebo": "It was trained in a cascade with masks that mean nothing, a control of the method.",
    "sam": "It was distilled: a second network that also sees semantic masks taught it, and is not part of it.",
}


def restoration_card(
    name: str,
    config: ImageRestorationConfig,
    parameters: int,
    training: dict,
    results: Sequence[Measurement],
    pictures: str,
    license_text: str | None = None,
    note: str = "",
) -> ModelCard:
    """
    Args:
        name: Of the folder or repository, as `from_pretrained` takes it.
        config: The student's.
        parameters: How many it has.
        training: The run's settings, as a dictionary.
        results: The lines of the results file that are about these weights.
        pictures: What it was trained on, in words or as a Hub id.
        license_text: On what terms the weights are given, where that is known.
        note: A sentence about their standing, for the limits.
    """
    data = ModelCardData(
        license="other" if license_text else None,
        license_name="bsds500-research" if license_text else None,
        library_name="transformers",
        pipeline_tag="image-to-image",
        tags=["image-restoration", str(config.task), config.model_type, "samdistill"],
        metrics=sorted({row.metric for row in results}) or None,
        model_name=name,
        eval_results=[_eval_result(row, config) for row in results] or None,
    )
    body = "\n\n".join(
        part
        for part in (
            f"# {name}",
            f"A {config.model_type} network of {parameters / 1e6:.2f} M parameters that {_purpose(config)}. "
            f"{MODES[training['mode']]} At test time it is a plain network: no SAM, no second network.",
            _example(name),
            _results_table(results),
            _training(training, pictures),
            _limits(config, note),
            f"## Licence\n\n{license_text}" if license_text else "",
            "## Citation\n\nThe method is that of *Distilling Semantic Priors from SAM to Efficient Image Restoration "
            "Models*, CVPR 2024, [arXiv 2403.16368](https://arxiv.org/abs/2403.16368), implemented anew by samdistill; "
            "what its abstract leaves open is ours.",
        )
        if part
    )
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}\n")


def write_restoration_card(
    folder: Path, training: dict, pictures: str, results_file: Path, license_text: str | None = None, note: str = ""
) -> None:
    """Writes `README.md` into a folder that `save_student` made; it is named by that folder.

    Args:
        training, pictures, license_text, note: See `restoration_card`.
        results_file: Its lines about these very weights come into the card.
    """
    student = AutoModelForImageToImage.from_pretrained(folder)
    sha256 = weights_sha256(folder)
    measured = read_results(results_file) if results_file.is_file() else []
    of_these = [row for row in measured if row.weights_sha256 == sha256]
    card = restoration_card(
        folder.name, student.config, student.num_parameters(), training, of_these, pictures, license_text, note
    )
    (folder / "README.md").write_text(str(card), encoding="utf-8")


def write_teacher_card(
    folder: Path, training: dict, pictures: str, results_file: Path, license_text: str | None = None
) -> None:
    """Writes `README.md` into the folder of a small SAM: what it is not, how it was trained, what it reaches.

    Args:
        training: The settings of `recipes/train_sam.py`, as a dictionary.
        pictures, license_text: See `restoration_card`.
        results_file: Its lines about these weights, and about methods without any, come into the card.
    """
    sha256 = weights_sha256(folder)
    measured = read_results(results_file) if results_file.is_file() else []
    rows = [row for row in measured if row.protocol == "segments" and row.weights_sha256 in (sha256, None)]
    data = ModelCardData(
        license="other" if license_text else "apache-2.0",
        license_name="bsds500-research" if license_text else None,
        library_name="transformers",
        pipeline_tag="mask-generation",
        tags=["sam", "samdistill"],
    )
    table = ["| method | set | pictures | metric | value |", "|---|---|---|---|---|"]
    table += [f"| {row.model} | {row.dataset} | {row.pictures} | {row.metric} | {row.value:.3f} |" for row in rows]
    body = "\n\n".join(
        part
        for part in (
            f"# {folder.name}",
            "A small `SamModel` trained from scratch by samdistill on human segmentations. **It is not Meta's Segment "
            "Anything Model**: it has the architecture, none of the weights, and is far behind it. It is there so that "
            "distillation can be tried without the Hub; for real use take `facebook/sam-vit-base` or larger.",
            "```python\nfrom modeling_samdistill import SamTeacher\n\n"
            f'teacher = SamTeacher.from_pretrained("{folder.name}")'
            "\nmasks = teacher(pictures)  # (B, 3, H, W) RGB in [0, 1] -> SemanticMasks\n```",
            "## Results\n\n" + ("\n".join(table) if rows else "Not measured yet."),
            f"## Training\n\n{training['max_steps']} steps of {training['batch_size']} pictures, seed {training['seed']}, "
            f"by `recipes/train_sam.py` with `teacher_small_sam.yaml`. Pictures and label maps: {pictures}, without every "
            f"{training['validation_every']}th, on which the thresholds of its label maps were chosen.",
            f"## Licence\n\n{license_text}" if license_text else "",
        )
        if part
    )
    (folder / "README.md").write_text(str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}\n")), encoding="utf-8")


def _purpose(config: ImageRestorationConfig) -> str:
    return PURPOSE.get(str(config.task), "restores photographs")


def _eval_result(row: Measurement, config: ImageRestorationConfig) -> EvalResult:
    return EvalResult(
        task_type="image-to-image",
        task_name=str(config.task),
        dataset_type=row.dataset,
        dataset_name=row.dataset,
        dataset_split=row.split,
        metric_type=row.metric,
        metric_name=f"{row.metric} ({row.protocol})",
        metric_value=round(row.value, 4),
        metric_args={"protocol": row.protocol, **row.arguments},
    )


def _example(name: str) -> str:
    return f"""```python
from modeling_samdistill import ImageRestorationPipeline

restore = ImageRestorationPipeline.from_pretrained("{name}")
restore("photo.jpg").save("restored.png")
```

Where the package is not installed, `AutoModelForImageToImage.from_pretrained(..., trust_remote_code=True)` loads the
same network from the files beside this card."""


def _results_table(results: Sequence[Measurement]) -> str:
    if not results:
        return "## Results\n\nNot measured yet by a named protocol."
    rows = ["| set | protocol | pictures | metric | degraded input | restored |", "|---|---|---|---|---|---|"]
    for row in results:
        digits = 2 if row.metric == "psnr" else 4
        arguments = "".join(
            f", {key} {value:g}" for key, value in row.arguments.items() if key in ("sigma", "kernels")
        )
        degraded = "" if row.input_value is None else f"{row.input_value:.{digits}f}"
        rows.append(
            f"| {row.dataset} | `{row.protocol}`{arguments} | {row.pictures} | {row.metric.upper()} "
            f"| {degraded} | {row.value:.{digits}f} |"
        )
    note = "PSNR in dB. Means over pictures, measured by `samdistill evaluate`; the lines are in the results file."
    return "## Results\n\n" + "\n".join(rows) + f"\n\n{note}"


def _training(training: dict, pictures: str) -> str:
    data = training["data"]
    return (
        f"## Training\n\n{training['max_steps']} steps of {training['batch_size']} crops of {data['crop_size']} pixels, "
        f"AdamW from {training['learning_rate']:g} to {training['final_learning_rate']:g} by a cosine, loss "
        f"{training['loss']}, moving average {training['ema_decay']}, seed {training['seed']}, "
        f"mixed precision {training['mixed_precision']}. Pictures: {pictures}, without every {data['validation_every']}th, "
        "which is kept for validation. "
        + (f"{training['history']} " if training.get("history") else "")
        + _masks(training)
        + _degradation(data)
    )


def _masks(training: dict) -> str:
    if training["mode"] not in ("sam", "placebo"):
        return ""
    if training["data"]["segments"] is not None:
        return (
            "The masks were label maps given beside the pictures, not a teacher's: where people drew them, an oracle. "
        )
    return f"The masks were those of the teacher `{Path(training['teacher'] or TEACHER).name}`. "


def _degradation(data: dict) -> str:
    kind = data["degradation"]["kind"]
    if kind == "none":
        return "Degraded and clean pictures were given in pairs."
    ranges = {kind: data["degradation"][kind]}
    text = yaml.safe_dump(ranges, sort_keys=False, default_flow_style=None).strip()
    return f"Degraded on the fly:\n\n```yaml\n{text}\n```"


def _limits(config: ImageRestorationConfig, note: str) -> str:
    kind = {
        "denoise": "Gaussian noise; the noise of real cameras differs, and the network has not seen it",
        "derain": "rain streaks drawn by a program; mist, drops on the lens and standing water stay",
        "deblur": "blur by one motion of the whole picture; things that move by themselves stay blurred",
    }.get(str(config.task), "what its training shows")
    warning = "Not for evidence, medicine or anything where invented detail does harm."
    return f"## Limits\n\n{' '.join(part for part in (f'It was trained on {kind}.', note, warning) if part)}"
