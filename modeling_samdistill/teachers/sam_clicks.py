"""One picture, segmented by clicks: round after round, each on top of the last one's masks."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from .sam import SamTeacher
from .sam_prompting import decode

# A round with masks from the last one needs the picture's features once a prompt: so many prompts at a time.
_PROMPTS_AT_A_TIME = 32


class SamClicks:
    """Masks of R prompts in one picture. The first round takes, of three masks, the one expected to fit best; each
    later one gives a single mask, and is told the logits of the last round, as in SAM's own training.

    Args:
        teacher: used as it is, without its label map options.
        pixels: (H, W, 3) float in [0, 1], RGB.
    """

    def __init__(self, teacher: SamTeacher, pixels: np.ndarray):
        self.teacher = teacher
        self.size = pixels.shape[:2]
        self.part = teacher.picture_part(*self.size)
        picture = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32)).permute(2, 0, 1)[None]
        with torch.no_grad():
            self.embedding = teacher.encode(picture.to(teacher.mean.device))
        self.logits: torch.Tensor | None = None

    @torch.no_grad()
    def masks(self, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(R, H, W) bool.

        Args:
            points: (R, N, 2), x and y of all clicks so far in pixels of the picture, 0 at its left and upper edge.
            labels: (R, N), 1 for a click inside of what is wanted, 0 for one outside.
        """
        scale = np.array([self.part[1] / self.size[1], self.part[0] / self.size[0]])
        places = torch.from_numpy(points * scale - 0.5).float().to(self.embedding.device)
        kinds = torch.from_numpy(labels).long().to(self.embedding.device)
        last = [None] * len(places) if self.logits is None else list(self.logits[:, None])
        found = []
        for first in range(0, len(places), _PROMPTS_AT_A_TIME):
            chunk = slice(first, first + _PROMPTS_AT_A_TIME)
            previous = None if last[0] is None else torch.stack(last[chunk])  # type: ignore[arg-type]
            found.append(self._round(places[chunk], kinds[chunk], previous))
        self.logits = torch.cat(found)
        return self._enlarged(self.logits)

    def _round(self, points: torch.Tensor, labels: torch.Tensor, previous: torch.Tensor | None) -> torch.Tensor:
        """(R, M, M) logits."""
        if previous is None:
            logits, scores = decode(self.teacher.model, self.embedding, points[None], labels[None])
            return logits[0, torch.arange(len(points)), scores[0].argmax(1)].float()
        embeddings = self.embedding.expand(len(points), -1, -1, -1)
        logits, _ = decode(
            self.teacher.model,
            embeddings,
            points[:, None],
            labels[:, None],
            previous_masks=previous,
            multimask_output=False,
        )
        return logits[:, 0, 0].float()

    def _enlarged(self, logits: torch.Tensor) -> np.ndarray:
        pixel = self.teacher.image_size / logits.shape[-1]
        rows, columns = (max(1, round(side / pixel)) for side in self.part)
        masks = []
        for chunk in logits[:, :rows, :columns].split(_PROMPTS_AT_A_TIME):
            large = F.interpolate(chunk[None], self.size, mode="bilinear", align_corners=False)[0]
            masks.append((large > 0).cpu().numpy())
        return np.concatenate(masks)
