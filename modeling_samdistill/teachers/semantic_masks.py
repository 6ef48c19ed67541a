"""What a teacher gives: one label map a picture, its regions sorted by size."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class SemanticMasks:
    """Regions of a batch of pictures.

    Attributes:
        labels: (B, H, W) int64. 0 is where no region lies; region k is `labels == k + 1`, the largest first.
        valid: (B, K) bool, which of the K regions there are.
        scores: (B, K) float in [0, 1], the teacher's confidence; 1 for label maps that were ready, 0 where not valid.
    """

    labels: torch.Tensor
    valid: torch.Tensor
    scores: torch.Tensor

    def __post_init__(self):
        if self.labels.ndim != 3 or self.labels.dtype != torch.int64:
            raise ValueError(
                f"labels are {self.labels.dtype} of shape {tuple(self.labels.shape)}; expected int64 of (batch, height, "
                "width)."
            )
        if self.valid.shape != self.scores.shape or self.valid.shape[:1] != self.labels.shape[:1]:
            raise ValueError(
                f"valid is {tuple(self.valid.shape)} and scores {tuple(self.scores.shape)} for {len(self.labels)} label "
                "maps; expected both (batch, regions)."
            )

    @classmethod
    def from_label_maps(
        cls, labels: torch.Tensor, max_regions: int = 32, scores: torch.Tensor | None = None
    ) -> SemanticMasks:
        """Sorts the regions of label maps by size; of equal ones the smaller label comes first.

        Args:
            labels: (B, H, W) integers from 0, where 0 is no region.
            max_regions: K; smaller regions beyond it become 0.
            scores: (B, L) float, the score of label l at l - 1; without them every region scores 1.
        """
        if labels.ndim != 3 or labels.is_floating_point() or (labels.numel() and labels.min() < 0):
            raise ValueError(
                f"The label maps are {labels.dtype} of shape {tuple(labels.shape)}; expected integers from 0 of (batch, "
                "height, width)."
            )
        flat = labels.flatten(1).to(torch.int64)
        # Label 0 has a column too, and there are always `max_regions` others to take.
        columns = max(int(flat.max()) + 1 if flat.numel() else 1, max_regions + 1)
        offsets = torch.arange(len(flat), device=flat.device)[:, None] * columns
        areas = torch.bincount((flat + offsets).flatten(), minlength=len(flat) * columns).view(len(flat), columns)
        areas[:, 0] = 0
        largest, order = areas.sort(dim=1, descending=True, stable=True)
        order, valid = order[:, :max_regions], largest[:, :max_regions] > 0
        numbers = torch.arange(1, max_regions + 1, device=flat.device)
        ranks = torch.zeros_like(areas).scatter_(1, order, numbers * valid)
        ranks[:, 0] = 0
        if scores is None:
            sorted_scores = valid.float()
        else:
            padded = nn.functional.pad(scores, (1, max(0, columns - 1 - scores.shape[1])))
            sorted_scores = padded.gather(1, order) * valid
        return cls(ranks.gather(1, flat).view(labels.shape), valid, sorted_scores)

    def masks(self) -> torch.Tensor:
        """(B, K, H, W) bool, one plane a region; planes of regions that are not there are empty."""
        ranks = torch.arange(1, self.valid.shape[1] + 1, device=self.labels.device)
        return self.labels[:, None] == ranks[None, :, None, None]

    def to(self, device: torch.device | str) -> SemanticMasks:
        """The same on another device."""
        return SemanticMasks(self.labels.to(device), self.valid.to(device), self.scores.to(device))
