"""From many overlapping masks to one label map."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# Logits of so many pixels are enlarged at a time: 64 MiB in float32.
_PIXELS_AT_A_TIME = 2**24


def stability_of(logits: Tensor, offset: float) -> Tensor:
    """(N,) IoU of each mask (N, h, w) cut `offset` logits above and below its threshold, as the SAM code has it."""
    inner = (logits > offset).flatten(1).sum(1)
    return inner / (logits > -offset).flatten(1).sum(1).clamp(min=1)


def suppress_overlaps(masks: Tensor, scores: Tensor, overlap: float) -> Tensor:
    """Indices of the masks to keep, best score first; of equal ones the one that stands first.

    A mask is dropped when its IoU with a better one that is kept is larger than `overlap` (non-maximum suppression
    with the IoU of the masks, where SAM takes that of their boxes: regions of a label map often share a box).

    Args:
        masks: (N, h, w) bool. scores: (N,).
    """
    order = scores.argsort(descending=True, stable=True)
    flat = masks[order].flatten(1).float()
    intersection = flat @ flat.T
    areas = flat.sum(1)
    iou = intersection / (areas[:, None] + areas[None] - intersection).clamp(min=1)
    rivals = (iou > overlap).cpu().numpy()
    kept: list[int] = []
    for index in range(len(order)):
        if not rivals[index, kept].any():
            kept.append(index)
    return order[torch.tensor(kept, dtype=torch.int64, device=order.device)]


def painting_order(areas: Tensor, scores: Tensor) -> Tensor:
    """Indices in the order in which masks are laid over each other: the last one is on top.

    Larger masks lie under smaller ones; of equal areas the lower score lies under the higher, and of equal scores the
    later mask under the earlier one.
    """
    order = torch.arange(len(areas) - 1, -1, -1, device=areas.device)
    order = order[scores[order].argsort(stable=True)]
    return order[areas[order].argsort(descending=True, stable=True)]


def paint(logits: Tensor, height: int, width: int) -> Tensor:
    """The label map (height, width) int64 in which each pixel has 1 + the index of the last mask over it, or 0.

    Args:
        logits: (N, h, w), in painting order, enlarged bilinearly; a pixel belongs to a mask where it is above 0.
    """
    labels = torch.zeros(height, width, dtype=torch.int64, device=logits.device)
    count = max(1, _PIXELS_AT_A_TIME // (height * width))
    for first in range(0, len(logits), count):
        chunk = logits[first : first + count]
        large = F.interpolate(chunk[None], (height, width), mode="bilinear", align_corners=False)[0]
        numbers = torch.arange(first + 1, first + 1 + len(chunk), device=logits.device)
        labels = torch.maximum(labels, ((large > 0) * numbers[:, None, None]).amax(0))
    return labels


def fill_uncovered(labels: Tensor, used: int, smallest: int) -> Tensor:
    """Gives every connected part (4 neighbours) of label 0 with at least `smallest` pixels a label above `used`."""
    parts = connected_parts(labels == 0)
    large = drop_small(parts, smallest) > 0
    filled = labels.clone()
    filled[large] = torch.unique(parts[large], return_inverse=True)[1] + used + 1
    return filled


def drop_small(labels: Tensor, smallest: int) -> Tensor:
    """Labels of fewer than `smallest` pixels become 0."""
    areas = torch.bincount(labels.flatten())
    return torch.where(areas[labels] >= smallest, labels, 0)


def connected_parts(mask: Tensor) -> Tensor:
    """(H, W) int64: 0 where `mask` (H, W) bool is False, else a number that its connected part (4 neighbours) shares.

    Every pixel has a number of its own at first; the largest one spreads along whole runs of rows and columns in turn
    until nothing changes, so that there are as many rounds as a part has bends.
    """
    across, down = _runs(mask), _runs(mask.T).T
    numbers = torch.arange(1, mask.numel() + 1, device=mask.device).view(mask.shape) * mask
    while True:
        before = numbers
        for runs in (across, down):
            largest = torch.zeros(mask.numel() + 1, dtype=torch.int64, device=mask.device)
            largest.scatter_reduce_(0, runs.flatten(), numbers.flatten(), "amax")
            numbers = largest[runs] * mask
        if torch.equal(numbers, before):
            return numbers


def _runs(mask: Tensor) -> Tensor:
    """(H, W) int64: the pixels of each unbroken run along a row share a number."""
    starts = torch.ones_like(mask)
    starts[:, 1:] = mask[:, 1:] != mask[:, :-1]
    return starts.flatten().cumsum(0).view(mask.shape)
