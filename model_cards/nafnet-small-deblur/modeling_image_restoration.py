"""What all restoration networks share: the output, any picture size, the loss from labels, how they are saved."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from .configuration_image_restoration import ImageRestorationConfig


@dataclass
class ImageRestorationOutput(ModelOutput):
    """
    Args:
        loss (`torch.Tensor` of shape `()`, *optional*, given with `labels`):
            The configured loss between reconstruction and labels.
        reconstruction (`torch.Tensor` of shape `(batch, num_channels_out, height, width)`):
            The restored pictures, nominally in [0, 1] and not clamped, as high and wide as the input.
        hidden_states (`tuple[torch.Tensor, ...]`, *optional*, given with `output_hidden_states=True`):
            The features after each stage, in the order in which they are computed.
    """

    loss: torch.Tensor | None = None
    reconstruction: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None


class ImageRestorationPreTrainedModel(PreTrainedModel):
    """Base of all restoration networks. A child implements `restore` and names its `size_multiple`."""

    config_class = ImageRestorationConfig
    base_model_prefix = ""
    main_input_name = "pixel_values"
    input_modalities = ["image"]
    _auto_class = "AutoModelForImageToImage"

    @property
    def size_multiple(self) -> int:
        """Height and width that `restore` is given are multiples of this."""
        return 1

    def restore(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The network proper: a padded batch to its restoration and the features after each stage."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it restores")

    def forward(
        self,
        pixel_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> ImageRestorationOutput | tuple[torch.Tensor, ...]:
        r"""
        Args:
            pixel_values (`torch.Tensor` of shape `(batch, num_channels, height, width)`):
                Degraded pictures, RGB or gray, float in [0, 1]. Any height and width from 1.
            labels (`torch.Tensor` of shape `(batch, num_channels_out, height, width)`, *optional*):
                The clean pictures, float in [0, 1]; with them the output has a loss.

        Raises:
            ValueError: where shape or channels are not those of the configuration.
        """
        self._check(pixel_values, labels)
        height, width = pixel_values.shape[-2:]
        bottom, right = -height % self.size_multiple, -width % self.size_multiple
        padded = F.pad(pixel_values, (0, right, 0, bottom), mode="replicate") if bottom or right else pixel_values
        restored, features = self.restore(padded)
        reconstruction = restored[..., :height, :width]
        loss = None if labels is None else reconstruction_loss(reconstruction, labels, self.config.loss)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        output = ImageRestorationOutput(
            loss=loss, reconstruction=reconstruction, hidden_states=tuple(features) if wanted else None
        )
        return output.to_tuple() if return_dict is False else output

    def save_pretrained(self, save_directory, **kwargs):  # type: ignore[override]
        """As in transformers; the folder also loads where this package is not installed (`trust_remote_code`)."""
        model, config = type(self), type(self.config)
        model_reference = f"{model.__module__.rpartition('.')[2]}.{model.__name__}"
        self.config.auto_map = {
            "AutoConfig": f"{config.__module__.rpartition('.')[2]}.{config.__name__}",
            "AutoModel": model_reference,
            "AutoModelForImageToImage": model_reference,
        }
        super().save_pretrained(save_directory, **kwargs)

    def _check(self, pixel_values: torch.Tensor, labels: torch.Tensor | None) -> None:
        expected = self.config.num_channels
        if pixel_values.ndim != 4 or pixel_values.shape[1] != expected:
            raise ValueError(
                f"pixel_values has the shape {tuple(pixel_values.shape)}; this {self.config.model_type} expects "
                f"(batch, {expected}, height, width). The image processor of the model prepares pictures so."
            )
        if labels is not None and labels.shape[-2:] != pixel_values.shape[-2:]:
            raise ValueError(
                f"labels are {tuple(labels.shape[-2:])} pixels and pixel_values {tuple(pixel_values.shape[-2:])}: "
                "give the clean pictures at the size of the degraded ones."
            )

    def _init_weights(self, module: nn.Module) -> None:
        """PyTorch's own initialisation of convolutions: transformers' default would ruin a restoration network."""
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            init.kaiming_uniform_(module.weight, a=5**0.5)
            if module.bias is not None:
                bound = (module.weight[0].numel() or 1) ** -0.5
                init.uniform_(module.bias, -bound, bound)


def reconstruction_loss(reconstruction: torch.Tensor, labels: torch.Tensor, kind: str) -> torch.Tensor:
    """A scalar loss between two batches of shape (B, C, H, W) in [0, 1], computed in float32.

    Args:
        kind: `"l1"`; `"charbonnier"`, the mean of sqrt(d^2 + eps^2) with eps = 1e-3 (Lai et al., CVPR 2017);
            `"psnr"`, the mean over pictures of 10 log10(mean squared error), in dB (Chen et al., 2021, HINet).

    Raises:
        ValueError: for another `kind`.
    """
    difference = reconstruction.float() - labels.float()
    if kind == "l1":
        return difference.abs().mean()
    if kind == "charbonnier":
        return (difference.square() + 1e-6).sqrt().mean()
    if kind == "psnr":
        return 10 * torch.log10(difference.square().mean(dim=(1, 2, 3)) + 1e-8).mean()
    raise ValueError(f"loss {kind!r} is not known: choose 'l1', 'charbonnier' or 'psnr'.")


__all__ = ["ImageRestorationOutput", "ImageRestorationPreTrainedModel", "reconstruction_loss"]
