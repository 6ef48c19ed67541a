"""How well a segmentation meets what people drew: covering of a label map, and IoU after clicks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .run import Evaluation, PictureValues

#: The metrics after clicks, and the number of clicks of each.
CLICK_METRICS = {"iou_1_click": 1, "iou_3_clicks": 3}


@dataclass(frozen=True)
class AnnotatedPicture:
    """A picture (H, W, 3), float32 RGB in [0, 1], and label maps (H, W) of one or more annotators, 0 = none."""

    name: str
    pixels: np.ndarray
    annotations: list[np.ndarray]


class Clicks(Protocol):
    """One picture that is segmented by clicks, round after round."""

    def masks(self, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Masks (R, H, W) bool of R prompts, each with points (R, N, 2), x and y, and labels (R, N), 1 inside."""


def evaluate_segments(
    pictures: Iterable[AnnotatedPicture],
    segment: Callable[[np.ndarray], np.ndarray],
    clicks: Callable[[np.ndarray], Clicks] | None = None,
    *,
    dataset: str,
    split: str = "test",
    arguments: dict[str, float | int] | None = None,
) -> Evaluation:
    """Measures a segmentation on every picture, by the protocol `segments`.

    Args:
        segment: from a picture (H, W, 3) in [0, 1] to its label map (H, W).
        clicks: starts the clicks of a picture; without it only `covering` is measured.
        dataset, split, arguments: for the results file.

    Returns:
        Of each picture `covering` and, with `clicks`, the `CLICK_METRICS`: the mean IoU over all regions of all
        annotators. There is no degraded input, so there are no values of it.
    """
    measured = []
    for picture in pictures:
        values = {"covering": covering(segment(picture.pixels), picture.annotations)}
        if clicks is not None:
            regions = [labels == label for labels in picture.annotations for label in np.unique(labels[labels > 0])]
            rounds = click_ious(clicks(picture.pixels), np.stack(regions), max(CLICK_METRICS.values()))
            values |= {name: float(rounds[count - 1].mean()) for name, count in CLICK_METRICS.items()}
        height, width = picture.pixels.shape[:2]
        measured.append(PictureValues(picture.name, height, width, values, {}))
    return Evaluation("segments", arguments or {}, dataset, split, tuple(measured))


def covering(labels: np.ndarray, annotations: Sequence[np.ndarray]) -> float:
    """Segmentation covering of each annotation by a label map, mean over the annotations.

    The mean over an annotation's regions, weighted by their areas, of the best IoU with any region of the label map
    (Arbelaez et al., "Contour detection and hierarchical image segmentation", 2011, equation 7). Pixels of label 0
    are one more region of the label map; those of an annotation are left out.

    Args:
        labels: (H, W) integers from 0. annotations: (H, W) integers from 0 each.
    """
    return float(np.mean([_covering(labels, annotation) for annotation in annotations]))


def click_ious(clicks: Clicks, regions: np.ndarray, count: int) -> np.ndarray:
    """(count, R) IoU of each region (R, H, W) bool after 1, 2, ... `count` clicks.

    The first click is in the middle of the region, each later one in the middle of what the mask so far lacks or has
    too much, whichever is wider there: at the pixel farthest from its edge, as the SAM paper has it.
    """
    points = np.zeros((len(regions), 0, 2))
    labels = np.zeros((len(regions), 0), dtype=np.int64)
    masks = np.zeros_like(regions)
    ious = []
    for _ in range(count):
        places = np.array([_next_click(mask, region) for mask, region in zip(masks, regions, strict=True)])
        kinds = regions[np.arange(len(regions)), places[:, 1], places[:, 0]]
        points = np.concatenate([points, places[:, None] + 0.5], axis=1)
        labels = np.concatenate([labels, kinds[:, None].astype(np.int64)], axis=1)
        masks = clicks.masks(points, labels)
        ious.append((masks & regions).sum((1, 2)) / np.maximum((masks | regions).sum((1, 2)), 1))
    return np.stack(ious)


def middle(part: np.ndarray) -> tuple[int, int, float]:
    """x and y of the pixel of `part` (H, W) bool that is farthest from its edge and the picture's, and how far.

    The first of equal ones; of an empty part, the picture's middle and 0.
    """
    from scipy.ndimage import distance_transform_edt

    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    if not len(rows):
        return part.shape[1] // 2, part.shape[0] // 2, 0.0
    top, left = int(rows[0]), int(columns[0])
    # Beyond its box a part has no pixel, so the distances inside are right.
    box = np.pad(part[top : rows[-1] + 1, left : columns[-1] + 1], 1)
    distances = distance_transform_edt(box)
    y, x = np.unravel_index(distances.argmax(), box.shape)
    return left + int(x) - 1, top + int(y) - 1, float(distances[y, x])


def _next_click(mask: np.ndarray, region: np.ndarray) -> tuple[int, int]:
    lacking, too_much = middle(region & ~mask), middle(mask & ~region)
    if lacking[2] == too_much[2] == 0:
        return middle(region)[:2]
    return lacking[:2] if lacking[2] >= too_much[2] else too_much[:2]


def _covering(labels: np.ndarray, annotation: np.ndarray) -> float:
    _, found = np.unique(labels, return_inverse=True)
    names, drawn = np.unique(annotation, return_inverse=True)
    count = int(found.max()) + 1
    both = np.bincount(drawn.ravel() * count + found.ravel(), minlength=len(names) * count).reshape(len(names), count)
    areas, found_areas = both.sum(1), both.sum(0)
    best = (both / (areas[:, None] + found_areas[None] - both)).max(1)
    areas = np.where(names > 0, areas, 0)
    return float((areas * best).sum() / max(1, areas.sum()))
