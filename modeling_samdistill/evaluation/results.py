"""The results file: one JSON line a measurement, from which every card and table is made."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path

from ..errors import InputError
from .run import Evaluation

RECORDED_PACKAGES = ("samdistill", "torch", "transformers", "numpy", "scipy", "pillow")


@dataclass(frozen=True)
class Measurement:
    """One line of the results file.

    Attributes:
        model: its name, bundled or given.
        weights_sha256: of its `model.safetensors`; None for a method without weights.
        dataset, split: what was measured on; the folder's last part or the Hub id.
        protocol, arguments: the protocol and what it was given, such as `{"sigma": 25.0}`.
        metric: "psnr" (dB), "ssim", or for segmentations "covering", "iou_1_click", "iou_3_clicks".
        value: mean over the pictures.
        input_value: the same mean of the degraded inputs; None where there are none.
        pictures: how many.
        per_image: CSV of the values of each picture, relative to the results file's folder.
        seed, steps: of the model's training, where known.
        git_revision: of the checkout that measured, with "-dirty" where its package was changed; None without one.
        versions: of Python and the packages that took part.
        command: what makes this line again; paths are shortened to their last part.
    """

    model: str
    weights_sha256: str | None
    dataset: str
    split: str
    protocol: str
    arguments: dict[str, float | int]
    metric: str
    value: float
    input_value: float | None
    pictures: int
    per_image: str
    seed: int | None
    steps: int | None
    git_revision: str | None
    versions: dict[str, str]
    command: str


def record_evaluation(
    path: str | Path,
    evaluation: Evaluation,
    *,
    model: str,
    weights_sha256: str | None,
    command: str,
    seed: int | None = None,
    steps: int | None = None,
) -> list[Measurement]:
    """Writes the per-image values beside the results file and appends one line a metric to it.

    Raises:
        InputError: when a mean is infinite (a picture restored without any error), which a table cannot hold.
    """
    path = Path(path)
    means, input_means = evaluation.means, evaluation.input_means
    for metric in means:
        if not (math.isfinite(means[metric]) and math.isfinite(input_means.get(metric, 0.0))):
            raise InputError(
                f"The mean {metric} is not finite, because a picture equals its clean version: nothing is recorded. "
                "Leave such pictures out of the set."
            )
    per_image = _write_per_image(path.parent, evaluation, model)
    rows = [
        Measurement(
            model=model,
            weights_sha256=weights_sha256,
            dataset=evaluation.dataset,
            split=evaluation.split,
            protocol=evaluation.protocol,
            arguments=evaluation.arguments,
            metric=metric,
            value=value,
            input_value=input_means.get(metric),
            pictures=len(evaluation.pictures),
            per_image=per_image,
            seed=seed,
            steps=steps,
            git_revision=git_revision(),
            versions=versions(),
            command=command,
        )
        for metric, value in means.items()
    ]
    append_results(path, rows)
    return rows


def append_results(path: str | Path, rows: Sequence[Measurement]) -> None:
    """Appends lines; all of them or, whatever happens, none. Several processes may append at the same time.

    The whole file is written anew beside itself and put in its place, under a lock on its folder.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(asdict(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    with _locked(path.parent):
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before and not before.endswith("\n"):
            before += "\n"
        _replace(path, before + lines)


def read_results(path: str | Path) -> list[Measurement]:
    """All lines of a results file, in order.

    Raises:
        FileNotFoundError: when there is none.
        InputError: naming the line that is not a measurement.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no results file {path}.")
    known = {field.name for field in fields(Measurement)}
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"Line {number} of {path} is no JSON: {error}.") from error
        if not isinstance(row, dict) or set(row) != known:
            odd = sorted(known ^ set(row)) if isinstance(row, dict) else type(row).__name__
            raise InputError(f"Line {number} of {path} is no measurement: missing or unknown are {odd}.")
        rows.append(Measurement(**row))
    return rows


def weights_sha256(model: str | Path) -> str:
    """SHA-256 of the `model.safetensors` of a folder or a Hub id (its cached copy), as 64 hex digits.

    Raises:
        InputError: when there is no such file.
    """
    file = Path(model) / "model.safetensors"
    if not file.is_file():
        from transformers.utils import cached_file

        try:
            cached = None if Path(model).is_dir() else cached_file(str(model), "model.safetensors")
        except OSError as error:
            raise InputError(f"{model} has no model.safetensors: {str(error).splitlines()[0]}") from error
        if cached is None:
            raise InputError(f"{model} has no model.safetensors, whose hash results are recorded with.")
        file = Path(cached)
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def git_revision() -> str | None:
    """The commit of the checkout that this package runs from; "-dirty" is added where the package was changed."""
    package = Path(__file__).resolve().parents[1]
    try:
        _git(package, "ls-files", "--error-unmatch", "__init__.py")
        revision = _git(package, "rev-parse", "HEAD")
        return revision + ("-dirty" if _git(package, "status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def versions() -> dict[str, str]:
    """Versions of Python and of the packages whose code decides the values."""
    found = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _write_per_image(folder: Path, evaluation: Evaluation, model: str) -> str:
    """The CSV's path relative to `folder`; its name ends in a hash of its content, so nothing is ever overwritten."""
    metrics = list(evaluation.means)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    of_input = [metric for metric in metrics if metric in evaluation.input_means]
    writer.writerow(["picture", "height", "width", *metrics, *(f"input_{metric}" for metric in of_input)])
    for picture in evaluation.pictures:
        values = [repr(picture.values[metric]) for metric in metrics]
        input_values = [repr(picture.input_values[metric]) for metric in of_input]
        writer.writerow([picture.name, picture.height, picture.width, *values, *input_values])
    text = table.getvalue()
    parts = [model, evaluation.dataset, evaluation.protocol]
    if "sigma" in evaluation.arguments:
        parts.append(f"sigma{evaluation.arguments['sigma']:g}")
    parts.append(hashlib.sha256(text.encode()).hexdigest()[:8])
    name = "_".join("".join(c if c.isalnum() or c in "-." else "-" for c in part) for part in parts) + ".csv"
    (folder / "per_image").mkdir(parents=True, exist_ok=True)
    _replace(folder / "per_image" / name, text)
    return f"per_image/{name}"


def _replace(path: Path, text: str) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, path.stat().st_mode if path.exists() else 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows: appending is still all or nothing, only not from several processes at once
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
