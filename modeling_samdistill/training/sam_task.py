"""The losses of a small SAM: encoder once a picture, many prompts, a second round with clicks on the errors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss
from transformers import SamModel

from modeling_samdistill.teachers.sam_prompting import decode
from modeling_samdistill.training.sam_prompts import MOST_REGIONS

#: Logit of two patches being in the same region: this times their cosine above the middle.
AFFINITY_SCALE, AFFINITY_MIDDLE = 6.0, 0.5


@dataclass
class SamLossWeights:
    """Factors of the terms, ours: the SAM paper has 20, 1 and 1, and after RetinaNet an alpha of 0.25.

    With the paper's a network without pre-trained weights stays at empty masks: `focal_alpha` (the weight of pixels
    inside a region, against 1 minus it outside) and `dice` are therefore twice as large.

    `affinity` is the weight of a term on the encoder alone: whether two patches lie in the same region, told by how
    alike their features are. It says of every patch what a prompt says of one, and from few pictures the encoder does
    not learn without it.

    `other_masks` is the weight of the mean over the three masks, beside their minimum, in the first round: with the
    minimum alone, from random weights, one mask soon wins every prompt and the other two never learn.
    """

    focal: float = 20.0
    focal_alpha: float = 0.5
    dice: float = 2.0
    iou: float = 1.0
    affinity: float = 2.0
    other_masks: float = 0.05


class SamTrainingTask(nn.Module):
    """Owns a `SamModel` and gives the loss terms of a batch of `RegionPrompts`; this is what DDP wraps."""

    def __init__(self, model: SamModel, weights: SamLossWeights, refined_per_picture: int):
        super().__init__()
        self.model, self.weights, self.refined_per_picture = model, weights, refined_per_picture
        self.image_size: int = model.config.vision_config.image_size  # type: ignore[union-attr]

    def forward(self, batch: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
        """The loss terms, each a number: `loss`, `focal`, `dice`, `iou`, and for watching `iou_1_click`.

        Args:
            batch: what `RegionPrompts` gives, with a leading dimension B.
            seed: of the clicks drawn on errors; the same seed, batch and weights give the same loss.
        """
        points, regions = batch["points"], batch["point_regions"]
        embeddings = self.model.vision_encoder(batch["pixel_values"]).last_hidden_state
        labels = torch.ones(points.shape[:3], dtype=torch.int64, device=points.device)
        masks, scores = decode(self.model, embeddings, points, labels)
        box_masks, box_scores = decode(self.model, embeddings, boxes=batch["boxes"])
        first = self._terms(
            torch.cat([masks, box_masks], 1),
            torch.cat([scores, box_scores], 1),
            torch.cat([regions, batch["box_regions"]], 1),
        )
        best = scores.argmax(dim=2)
        chosen = masks.gather(2, best[:, :, None, None, None].expand(-1, -1, 1, *masks.shape[-2:]))[:, :, 0]
        with torch.no_grad():
            watched = mask_iou(chosen > 0, regions).mean()
        second = self._second_round(embeddings, points, labels, chosen.detach(), regions, seed)
        terms = {name: first[name] + second[name] for name in first}
        terms["affinity"] = affinity_loss(embeddings, batch["label_map"])
        weights = self.weights
        terms["loss"] = (
            weights.focal * terms["focal"]
            + weights.dice * terms["dice"]
            + weights.iou * terms["iou"]
            + weights.affinity * terms["affinity"]
        )
        terms["iou_1_click"] = watched
        return terms

    def _second_round(
        self, embeddings: Tensor, points: Tensor, labels: Tensor, logits: Tensor, regions: Tensor, seed: int
    ) -> dict[str, Tensor]:
        """The first prompts of each picture again, with two clicks on errors and the mask so far: one mask each."""
        count = self.refined_per_picture
        logits, regions = logits[:, :count].flatten(0, 1), regions[:, :count].flatten(0, 1)
        generator = torch.Generator(device=logits.device).manual_seed(seed)
        clicks, click_labels = error_clicks(logits > 0, regions, 2, self.image_size, generator)
        points = torch.cat([points[:, :count].flatten(0, 1), clicks], dim=1)[:, None]
        labels = torch.cat([labels[:, :count].flatten(0, 1), click_labels], dim=1)[:, None]
        # Half of the prompts have one click more, half have two: a label of -10 hides a point.
        labels[::2, :, 2] = -10
        embeddings = embeddings.repeat_interleave(count, dim=0)
        masks, scores = decode(
            self.model, embeddings, points, labels, previous_masks=logits[:, None].float(), multimask_output=False
        )
        return self._terms(masks, scores, regions[:, None])

    def _terms(self, masks: Tensor, scores: Tensor, regions: Tensor) -> dict[str, Tensor]:
        """Focal and dice of the mask that fits best, and the squared error of every predicted IoU.

        Args:
            masks: (B, P, C, M, M) logits. scores: (B, P, C) predicted IoU. regions: (B, P, M, M) bool.
        """
        masks, target = masks.float(), regions[:, :, None].expand_as(masks).float()
        focal = sigmoid_focal_loss(masks, target, alpha=self.weights.focal_alpha, gamma=2.0).mean(dim=(-2, -1))
        probability = masks.sigmoid()
        overlap, total = (probability * target).sum((-2, -1)), (probability + target).sum((-2, -1))
        dice = 1 - (2 * overlap + 1) / (total + 1)
        best = (self.weights.focal * focal + self.weights.dice * dice).detach().argmin(dim=2, keepdim=True)
        share = self.weights.other_masks if masks.shape[2] > 1 else 0.0
        with torch.no_grad():
            iou = mask_iou(masks > 0, regions[:, :, None])
        return {
            "focal": focal.gather(2, best).mean() + share * focal.mean(),
            "dice": dice.gather(2, best).mean() + share * dice.mean(),
            "iou": (scores.float() - iou).square().mean(),
        }


def affinity_loss(embeddings: Tensor, label_map: Tensor) -> Tensor:
    """Cross-entropy of "in the same region" for all pairs of patches, whose logit grows with the cosine of their features.

    Args:
        embeddings: (B, C, E, E).
        label_map: (B, M, M) int64 from 0, -1 in the padding; a patch in several regions counts by its shares.
    """
    shares = F.one_hot(label_map.clamp(min=0), MOST_REGIONS) * (label_map >= 0)[..., None]
    patch = label_map.shape[-1] // embeddings.shape[-1]
    shares = F.avg_pool2d(shares.permute(0, 3, 1, 2).float(), patch).flatten(2).transpose(1, 2)
    same = torch.bmm(shares, shares.transpose(1, 2))
    features = F.normalize(embeddings.float().flatten(2).transpose(1, 2), dim=2)
    logits = AFFINITY_SCALE * (torch.bmm(features, features.transpose(1, 2)) - AFFINITY_MIDDLE)
    inside = shares.sum(dim=2) > 0.99
    pairs = (inside[:, :, None] & inside[:, None]).float()
    return (F.binary_cross_entropy_with_logits(logits, same, reduction="none") * pairs).sum() / pairs.sum().clamp(
        min=1
    )


def mask_iou(masks: Tensor, regions: Tensor) -> Tensor:
    """Intersection over union of bool masks over the last two dimensions; 0 where both are empty."""
    intersection = (masks & regions).sum((-2, -1))
    return intersection / (masks | regions).sum((-2, -1)).clamp(min=1)


def error_clicks(
    masks: Tensor, regions: Tensor, count: int, image_size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`count` clicks a mask, drawn evenly from the pixels that are wrong; from all pixels where none is.

    Args:
        masks, regions: (N, M, M) bool.

    Returns:
        Points (N, count, 2), x and y in pixels of the picture, and labels (N, count): 1 inside the region, else 0.
    """
    size = masks.shape[-1]
    wrong = (masks ^ regions).flatten(1).float()
    wrong = torch.where(wrong.sum(1, keepdim=True) > 0, wrong, torch.ones_like(wrong))
    places = torch.multinomial(wrong, count, replacement=True, generator=generator)
    labels = regions.flatten(1).gather(1, places).long()
    xy = torch.stack([places % size, places // size], dim=-1).float() + 0.5
    return xy * (image_size / size) - 0.5, labels
