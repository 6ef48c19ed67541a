"""What a teacher gives: one label map a picture, its regions sorted by size."""

from __future__ import annotations

from dataclasses import dataclass

import torch


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
        sorted_labels = torch.zeros_like(labels, dtype=torch.int64)
        valid = torch.zeros(len(labels), max_regions, dtype=torch.bool, device=labels.device)
        sorted_scores = torch.zeros(len(labels), max_regions, device=labels.device)
        for index, label_map in enumerate(labels.to(torch.int64)):
            names, inverse, areas = torch.unique(label_map, return_inverse=True, return_counts=True)
            areas = areas.masked_fill(names == 0, -1)
            order = areas.argsort(descending=True, stable=True)[:max_regions]
            order = order[areas[order] > 0]
            ranks = torch.zeros_like(names)
            ranks[order] = torch.arange(1, len(order) + 1, device=labels.device)
            sorted_labels[index] = ranks[inverse]
            valid[index, : len(order)] = True
            sorted_scores[index, : len(order)] = 1.0 if scores is None else scores[index, names[order] - 1]
        return cls(sorted_labels, valid, sorted_scores)

    def masks(self) -> torch.Tensor:
        """(B, K, H, W) bool, one plane a region; planes of regions that are not there are empty."""
        ranks = torch.arange(1, self.valid.shape[1] + 1, device=self.labels.device)
        return self.labels[:, None] == ranks[None, :, None, None]

    def to(self, device: torch.device | str) -> SemanticMasks:
        """The same on another device."""
        return SemanticMasks(self.labels.to(device), self.valid.to(device), self.scores.to(device))
