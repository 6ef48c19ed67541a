"""`samdistill segment`: what the teacher sees in pictures, as label maps and coloured overlays."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from ..restoration.folder import Failure, Job
    from ..restoration.pictures import Picture
    from ..teachers import SamTeacher


def segment(
    inputs: Annotated[list[str], typer.Argument(metavar="IN...", help="Picture files, folders, or quoted patterns.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder.")],
    teacher: Annotated[
        str | None, typer.Option(help="A bundled name, a folder or a Hub id of a SAM; the bundled one.")
    ] = None,
    regions: Annotated[int | None, typer.Option(help="At most so many regions a picture (32).")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
) -> None:
    """Segment pictures: NAME.png is the label map (0 is no region, 1 the largest), NAME_overlay.png shows it.

    A label map has the pixels of its picture as they are stored, an overlay those that a viewer shows.
    """
    import logging

    from tqdm import tqdm

    from ..restoration.folder import Failure, plan_jobs, split_existing

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # a broken file gets our sentence, not its log as well
    if output.is_file() or output.suffix.lower() == ".png":
        raise InputError(f"The output {str(output)!r} is not a folder: name one, each picture becomes two files.")
    planned = _label_map_jobs([job.source for job in plan_jobs(inputs, output)], output)
    jobs, failures = split_existing(planned, overwrite)
    jobs, more = _without_overlay(jobs, overwrite)
    failures += more
    if jobs:
        model = _load(teacher, regions, device)
        for job in tqdm(jobs, desc="segment", unit="picture", disable=None if len(jobs) > 1 else True):
            try:
                _segment_file(model, job, overwrite)
            except (InputError, OSError) as error:
                failures.append(Failure(job.source, str(error)))
    for failure in failures:
        print(f"error: {failure.reason}", file=sys.stderr)
    print(f"{len(planned) - len(failures)} of {len(planned)} segmented into {output}")
    if failures:
        raise typer.Exit(2)


def _label_map_jobs(sources: Sequence[Path], output: Path) -> list[Job]:
    from ..restoration.folder import Job

    jobs = [Job(source, output / f"{source.stem}.png") for source in sources]
    owners: dict[Path, Path] = {}
    for job in jobs:
        for target in (job.target, _overlay_path(job)):
            if target in owners:
                raise InputError(
                    f"{str(owners[target])!r} and {str(job.source)!r} would both become {str(target)!r}: segment them "
                    "into two folders."
                )
            owners[target] = job.source
    return jobs


def _overlay_path(job: Job) -> Path:
    return job.target.with_name(f"{job.target.stem}_overlay.png")


def _without_overlay(jobs: Sequence[Job], overwrite: bool) -> tuple[list[Job], list[Failure]]:
    """As `split_existing`, for the second file of each job."""
    from ..restoration.folder import Job, split_existing

    targets = {job.source: job for job in jobs}
    todo, failures = split_existing([Job(job.source, _overlay_path(job)) for job in jobs], overwrite)
    return [targets[job.source] for job in todo], failures


def _load(teacher: str | None, regions: int | None, device: str) -> SamTeacher:
    from transformers.utils.logging import disable_progress_bar

    from ..bundled_models import TEACHER
    from ..restoration.pipeline import choose_device
    from ..teachers import SamTeacher

    disable_progress_bar()  # the bar of this command is the one over pictures
    if regions is not None and not 1 <= regions <= 65535:
        raise InputError(f"--regions is a number from 1 to 65535, not {regions}.")
    chosen = choose_device(device)
    return SamTeacher.from_pretrained(teacher or TEACHER, max_regions=regions, device=chosen)


def _segment_file(teacher: SamTeacher, job: Job, overwrite: bool) -> None:
    import numpy as np
    import torch

    from ..restoration.orientation import as_stored, upright
    from ..restoration.pictures import Picture, read_picture, write_picture

    picture = read_picture(job.source)
    shown = np.ascontiguousarray(upright(_rgb(picture), picture.orientation))
    device = next(teacher.parameters()).device
    masks = teacher(torch.from_numpy(shown).permute(2, 0, 1)[None].to(device))
    labels = masks.labels[0].cpu().numpy().astype(np.uint8 if masks.valid.sum() < 256 else np.uint16)
    write_picture(Picture(_overlay(shown, labels)), _overlay_path(job), overwrite)
    stored = np.ascontiguousarray(as_stored(labels, picture.orientation))
    write_picture(Picture(stored[..., None]), job.target, overwrite)


def _rgb(picture: Picture) -> np.ndarray:
    """(H, W, 3) float32 in [0, 1]."""
    import numpy as np

    pixels = picture.pixels
    peak = np.iinfo(pixels.dtype).max if np.issubdtype(pixels.dtype, np.integer) else 1
    scaled = (pixels.astype(np.float32) / peak).clip(0, 1)
    return scaled.repeat(3, axis=2) if picture.is_gray else scaled


def _overlay(pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the picture half covered with a colour a region, and white lines where regions meet."""
    import colorsys

    import numpy as np

    # Hues a golden section apart: neighbouring labels never look alike, however many there are.
    hues = [colorsys.hsv_to_rgb(0.618034 * label % 1, 0.75, 1.0) for label in range(int(labels.max()) + 1)]
    colours = np.array(hues, dtype=np.float32)
    mixed = np.where((labels > 0)[..., None], 0.5 * pixels + 0.5 * colours[labels], pixels)
    edges = np.zeros(labels.shape, dtype=bool)
    edges[1:] |= labels[1:] != labels[:-1]
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    mixed[edges] = 1
    return np.rint(mixed * 255).astype(np.uint8)
