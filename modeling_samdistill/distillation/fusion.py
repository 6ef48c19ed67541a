"""Semantic priors fusion (SPF): the degraded picture, the restored one and the masks become one input.

That there is such a fusion is the paper's (arXiv 2403.16368); the operators are ours. Each gives a batch whose first
three channels are the restored picture, which the refiner then corrects.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..teachers.semantic_masks import SemanticMasks


def one_hot(masks: SemanticMasks, regions: int, dtype: torch.dtype) -> torch.Tensor:
    """(B, regions + 1, H, W): plane 0 is where no region lies, plane k + 1 region k."""
    return F.one_hot(masks.labels, regions + 1).permute(0, 3, 1, 2).to(dtype)


class NoFusion(nn.Module):
    """The control without masks: restored and degraded picture side by side."""

    out_channels = 6

    def forward(self, degraded: torch.Tensor, restored: torch.Tensor, masks: SemanticMasks | None) -> torch.Tensor:
        return torch.cat([restored, degraded], dim=1)


class ConcatFusion(nn.Module):
    """The masks as further planes, largest region first."""

    def __init__(self, regions: int):
        super().__init__()
        self.regions = regions
        self.out_channels = 6 + regions

    def forward(self, degraded: torch.Tensor, restored: torch.Tensor, masks: SemanticMasks) -> torch.Tensor:
        planes = one_hot(masks, self.regions, restored.dtype)[:, 1:]
        return torch.cat([restored, degraded, planes], dim=1)


class ModulateFusion(nn.Module):
    """Features of both pictures, scaled and shifted by maps made of the masks (as SFT, Wang et al., CVPR 2018)."""

    def __init__(self, regions: int, width: int):
        super().__init__()
        self.regions = regions
        self.out_channels = 6 + width
        self.features = nn.Conv2d(6, width, 3, padding=1)
        self.condition = nn.Sequential(
            nn.Conv2d(regions, width, 3, padding=1), nn.GELU(), nn.Conv2d(width, 2 * width, 3, padding=1)
        )

    def forward(self, degraded: torch.Tensor, restored: torch.Tensor, masks: SemanticMasks) -> torch.Tensor:
        planes = one_hot(masks, self.regions, restored.dtype)[:, 1:]
        scale, shift = self.condition(planes).chunk(2, dim=1)
        pictures = torch.cat([restored, degraded], dim=1)
        return torch.cat([pictures, self.features(pictures) * (1 + scale) + shift], dim=1)


class RegionPoolFusion(nn.Module):
    """Features and colours averaged over each region and spread over it again; uncovered pixels are one region."""

    def __init__(self, regions: int, width: int):
        super().__init__()
        self.regions = regions
        self.out_channels = 12 + width
        self.features = nn.Sequential(nn.Conv2d(6, width, 3, padding=1), nn.GELU(), nn.Conv2d(width, width, 1))

    def forward(self, degraded: torch.Tensor, restored: torch.Tensor, masks: SemanticMasks) -> torch.Tensor:
        pictures = torch.cat([restored, degraded], dim=1)
        pooled = torch.cat([pictures, self.features(pictures)], dim=1)
        membership = one_hot(masks, self.regions, pooled.dtype).flatten(2)
        areas = membership.sum(dim=2).clamp(min=1)
        # Products of matrices, not scatter, so that it is deterministic on every device.
        means = torch.bmm(membership, pooled.flatten(2).transpose(1, 2)) / areas[..., None]
        spread = torch.bmm(means.transpose(1, 2), membership).unflatten(2, restored.shape[-2:])
        return torch.cat([pictures, spread], dim=1)


Fusion = NoFusion | ConcatFusion | ModulateFusion | RegionPoolFusion


def build_fusion(name: str, regions: int, width: int) -> Fusion:
    """The SPF operator `none`, `concat`, `modulate` or `region_pool`."""
    if name == "none":
        return NoFusion()
    if name == "concat":
        return ConcatFusion(regions)
    if name == "modulate":
        return ModulateFusion(regions, width)
    return RegionPoolFusion(regions, width)
