"""Many picture files: what comes in, where it goes, and what went wrong."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..errors import InputError
from .pictures import FORMAT_OF_SUFFIX

if TYPE_CHECKING:
    from .pipeline import ImageRestorationPipeline


@dataclass(frozen=True)
class Job:
    """One picture file and where its restoration goes."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Failure:
    """A picture that was not restored, and why in one sentence."""

    source: Path
    reason: str


def plan_jobs(inputs: Sequence[str | Path], output: str | Path) -> list[Job]:
    """
    Args:
        inputs: Picture files, folders (their pictures, without those of folders inside) and glob patterns.
        output: A file, when exactly one picture comes in and this ends like a picture; else a folder, in which
            every output keeps its input's name.

    Raises:
        InputError: when nothing comes in, a folder or pattern holds no picture, two outputs would have the same name,
            or `output` cannot be the folder for several pictures.
    """
    sources = list(dict.fromkeys(path for given in inputs for path in _pictures_of(given)))
    if not sources:
        raise InputError("No picture was given: name picture files, folders or patterns such as 'in/*.png'.")
    output = Path(output)
    like_picture = output.suffix.lower() in FORMAT_OF_SUFFIX and not output.is_dir()
    if like_picture and len(sources) == 1:
        return [Job(sources[0], output)]
    if like_picture or output.is_file():
        raise InputError(
            f"{len(sources)} picture(s) come in and the output {str(output)!r} is not a folder for them: name a "
            "folder, or for one picture a file that ends in " + ", ".join(FORMAT_OF_SUFFIX) + "."
        )
    jobs = [Job(source, output / source.name) for source in sources]
    by_target: dict[Path, Path] = {}
    for job in jobs:
        if job.target in by_target:
            raise InputError(
                f"{str(by_target[job.target])!r} and {str(job.source)!r} would both become {str(job.target)!r}: "
                "restore them into two folders."
            )
        by_target[job.target] = job.source
    return jobs


def split_existing(jobs: Sequence[Job], overwrite: bool) -> tuple[list[Job], list[Failure]]:
    """The jobs to do, and those whose output is there already and is kept unless `overwrite` is set."""
    todo, failures = [], []
    for job in jobs:
        if job.target.exists() and not overwrite:
            reason = f"{str(job.target)!r} exists and is kept: name another output or give --overwrite."
            failures.append(Failure(job.source, reason))
        else:
            todo.append(job)
    return todo, failures


def restore_jobs(
    pipeline: ImageRestorationPipeline, jobs: Sequence[Job], overwrite: bool = False, tile: int | None = None
) -> list[Failure]:
    """Restores every picture; one that cannot be is returned with its reason while the others go on."""
    failures = []
    for job in tqdm(jobs, desc="restore", unit="picture", disable=None if len(jobs) > 1 else True):
        try:
            pipeline.restore_file(job.source, job.target, overwrite, tile)
        except (InputError, OSError) as error:
            failures.append(Failure(job.source, str(error)))
    return failures


def _pictures_of(given: str | Path) -> list[Path]:
    path = Path(given).expanduser()
    if path.is_dir():
        pictures = sorted(entry for entry in path.iterdir() if _is_picture(entry))
        if not pictures:
            raise InputError(f"The folder {str(given)!r} has no pictures ({', '.join(FORMAT_OF_SUFFIX)}) in it.")
        return pictures
    if not path.exists() and glob.has_magic(str(given)):
        pictures = sorted(entry for entry in map(Path, glob.glob(str(path), recursive=True)) if _is_picture(entry))
        if not pictures:
            raise InputError(f"The pattern {str(given)!r} matches no pictures: check it, and quote it for the shell.")
        return pictures
    return [path]


def _is_picture(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in FORMAT_OF_SUFFIX and not path.name.startswith(".")
