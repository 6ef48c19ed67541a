"""Semantic-guided relations (SGR): how the regions of a picture relate, and how far two pictures differ in that.

That relations between semantic regions are kept is the paper's (arXiv 2403.16368); prototypes, relations and distance
as computed here are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from ..teachers.semantic_masks import SemanticMasks


def region_prototypes(features: torch.Tensor, masks: SemanticMasks) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean feature of each region.

    Args:
        features: (B, C, h, w), at any size.
        masks: At the pictures' size; regions are averaged down to the features' size.

    Returns:
        Prototypes (B, K, C), and (B, K) bool: which regions still cover something at that size.
    """
    membership = F.one_hot(masks.labels, masks.valid.shape[1] + 1)[..., 1:].permute(0, 3, 1, 2).to(features.dtype)
    membership = F.adaptive_avg_pool2d(membership, (features.shape[-2], features.shape[-1])).flatten(2)
    areas = membership.sum(dim=2)
    sums = torch.bmm(membership, features.flatten(2).transpose(1, 2))
    return sums / areas.clamp(min=1e-6)[..., None], masks.valid & (areas > 1e-6)


def relation_matrix(prototypes: torch.Tensor, relation: str) -> torch.Tensor:
    """(B, K, C) to (B, K, K).

    Args:
        relation: `cosine`, the cosine similarity in [-1, 1]; `l2`, the root mean square difference over channels.
    """
    if relation == "cosine":
        normed = F.normalize(prototypes, dim=2)
        return torch.bmm(normed, normed.transpose(1, 2))
    difference = prototypes[:, :, None] - prototypes[:, None]
    # The small constant keeps the gradient finite on the diagonal.
    return (difference.square().mean(dim=3) + 1e-12).sqrt()


def relation_distance(
    features: Sequence[torch.Tensor], target_features: Sequence[torch.Tensor], masks: SemanticMasks, relation: str
) -> torch.Tensor:
    """The mean absolute difference of two pictures' relation matrices over pairs of two valid regions, over layers.

    Computed in float32. A picture without two regions counts as zero, with a gradient of zero.

    Args:
        features, target_features: One (B, C, h, w) a layer, of the picture and of the one to come near to.
    """
    # Cosines of regions are near each other: half precision would drown their differences.
    with torch.autocast(features[0].device.type, enabled=False):
        return _relation_distance(features, target_features, masks, relation)


def _relation_distance(
    features: Sequence[torch.Tensor], target_features: Sequence[torch.Tensor], masks: SemanticMasks, relation: str
) -> torch.Tensor:
    distances = []
    for layer, target_layer in zip(features, target_features):
        prototypes, present = region_prototypes(layer.float(), masks)
        target_prototypes, _ = region_prototypes(target_layer.float(), masks)
        pairs = (present[:, :, None] & present[:, None]).float()
        pairs = pairs * (1 - torch.eye(pairs.shape[1], device=pairs.device))
        difference = relation_matrix(prototypes, relation) - relation_matrix(target_prototypes, relation)
        # Each picture for itself, so that it does not matter how a batch is split.
        per_picture = (difference.abs() * pairs).sum(dim=(1, 2)) / pairs.sum(dim=(1, 2)).clamp(min=1)
        distances.append(per_picture.mean())
    return torch.stack(distances).mean()
