"""NAFNet: a U-shaped network without nonlinear activation functions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from transformers import initialization as init

from .configuration_nafnet import NafnetConfig
from .modeling_image_restoration import ImageRestorationPreTrainedModel


class NafnetForImageRestoration(ImageRestorationPreTrainedModel):
    r"""
    "Simple Baselines for Image Restoration" (Chen et al., ECCV 2022, arXiv 2204.04676), figure 2 and section 4.

    Example:

    ```python
    >>> import torch
    >>> from modeling_samdistill import NafnetConfig, NafnetForImageRestoration

    >>> config = NafnetConfig(width=8, encoder_depths=(1, 1), middle_depth=1, decoder_depths=(1, 1))
    >>> model = NafnetForImageRestoration(config)
    >>> model(torch.rand(1, 3, 33, 17)).reconstruction.shape
    torch.Size([1, 3, 33, 17])
    ```
    """

    config_class = NafnetConfig

    def __init__(self, config: NafnetConfig):
        super().__init__(config)
        fold = config.pixel_unshuffle
        widths = [config.width * 2**stage for stage in range(len(config.encoder_depths))]
        pooled = config.local_statistics_window // fold if config.local_statistics else 0
        windows = [pooled and max(pooled >> stage, 1) for stage in range(len(widths) + 1)]

        self.intro = nn.Conv2d(config.num_channels * fold**2, config.width, 3, padding=1)
        self.encoder = nn.ModuleList()
        self.down = nn.ModuleList()
        for stage, (width, depth) in enumerate(zip(widths, config.encoder_depths)):
            self.encoder.append(stack(width, depth, windows[stage]))
            self.down.append(nn.Conv2d(width, 2 * width, 2, stride=2))
        self.middle = stack(2 * widths[-1], config.middle_depth, windows[-1])
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for stage, depth in zip(reversed(range(len(widths))), config.decoder_depths):
            self.up.append(nn.Conv2d(2 * widths[stage], 4 * widths[stage], 1, bias=False))
            self.decoder.append(stack(widths[stage], depth, windows[stage]))
        self.ending = nn.Conv2d(config.width, config.num_channels_out * fold**2, 3, padding=1)
        self.post_init()

    @property
    def size_multiple(self) -> int:
        return self.config.pixel_unshuffle * 2 ** len(self.config.encoder_depths)

    def restore(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        fold = self.config.pixel_unshuffle
        features = self.intro(F.pixel_unshuffle(pixel_values, fold) if fold > 1 else pixel_values)
        skips, stages = [], []
        for blocks, down in zip(self.encoder, self.down):
            features = blocks(features)
            skips.append(features)
            stages.append(features)
            features = down(features)
        features = self.middle(features)
        stages.append(features)
        for up, blocks, skip in zip(self.up, self.decoder, reversed(skips)):
            features = blocks(F.pixel_shuffle(up(features), 2) + skip)
            stages.append(features)
        correction = self.ending(features)
        if fold > 1:
            correction = F.pixel_shuffle(correction, fold)
        return pixel_values[:, : self.config.num_channels_out] + correction, stages

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, NafnetLayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, NafnetBlock):
            init.zeros_(module.mixing_scale)
            init.zeros_(module.feed_forward_scale)


def stack(width: int, depth: int, window: int) -> nn.Sequential:
    return nn.Sequential(*(NafnetBlock(width, window) for _ in range(depth)))


class NafnetBlock(nn.Module):
    """Figure 3e of the paper: spatial mixing with channel attention, then a gated feed-forward part."""

    def __init__(self, width: int, window: int):
        super().__init__()
        self.norm_mixing = NafnetLayerNorm(width)
        self.expand = nn.Conv2d(width, 2 * width, 1)
        self.depthwise = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.attention = NafnetChannelAttention(width, window)
        self.project = nn.Conv2d(width, width, 1)
        self.norm_feed_forward = NafnetLayerNorm(width)
        self.feed_forward_expand = nn.Conv2d(width, 2 * width, 1)
        self.feed_forward_project = nn.Conv2d(width, width, 1)
        # Zero at the start, so that a fresh block is the identity.
        self.mixing_scale = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.feed_forward_scale = nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        mixed = simple_gate(self.depthwise(self.expand(self.norm_mixing(features))))
        features = features + self.project(self.attention(mixed)) * self.mixing_scale
        gated = simple_gate(self.feed_forward_expand(self.norm_feed_forward(features)))
        return features + self.feed_forward_project(gated) * self.feed_forward_scale


def simple_gate(features: torch.Tensor) -> torch.Tensor:
    """The product of the two halves of the channels (equation 4 of the paper)."""
    first, second = features.chunk(2, dim=1)
    return first * second


class NafnetChannelAttention(nn.Module):
    """Simplified channel attention (equation 6): each channel scaled by a projection of the pooled channels."""

    def __init__(self, width: int, window: int):
        super().__init__()
        self.window = window
        self.project = nn.Conv2d(width, width, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.window and not self.training:
            pooled = local_mean(local_mean(features, self.window, dim=-2), self.window, dim=-1)
        else:
            pooled = features.mean(dim=(-2, -1), keepdim=True)
        return features * self.project(pooled)


def local_mean(features: torch.Tensor, window: int, dim: int) -> torch.Tensor:
    """The mean over a sliding window along one dimension; near the ends the window stays inside.

    A running sum makes the cost independent of the window. TLC, arXiv 2112.04491, section 3.2.
    """
    length = features.shape[dim]
    if window >= length:
        return features.mean(dim=dim, keepdim=True)
    sums = features.float().cumsum(dim=dim)
    start = torch.zeros_like(sums.narrow(dim, 0, 1))
    sums = torch.cat([start, sums], dim=dim)
    means = (sums.narrow(dim, window, length - window + 1) - sums.narrow(dim, 0, length - window + 1)) / window
    centres = torch.arange(length, device=features.device) - window // 2
    return means.index_select(dim, centres.clamp(0, length - window)).to(features.dtype)


class NafnetLayerNorm(nn.Module):
    """Layer normalisation over the channels of (B, C, H, W)."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        channels_last = features.permute(0, 2, 3, 1)
        normed = F.layer_norm(channels_last, self.weight.shape, self.weight, self.bias, eps=1e-6)
        return normed.permute(0, 3, 1, 2)


__all__ = ["NafnetForImageRestoration"]
