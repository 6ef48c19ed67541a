"""What the configurations of all restoration networks share."""

from __future__ import annotations

from transformers import PreTrainedConfig


class ImageRestorationConfig(PreTrainedConfig):
    r"""
    Args:
        num_channels (`int`, *optional*, defaults to 3):
            Channels of the input: 3 for RGB, 1 for gray. More when further planes are given beside the picture.
        num_channels_out (`int`, *optional*, defaults to 3):
            Channels of the reconstruction. The first `num_channels_out` input channels are the picture itself.
        task (`str`, *optional*):
            What the weights were trained for: `"denoise"`, `"derain"` or `"deblur"`. Unset for fresh weights.
        loss (`str`, *optional*, defaults to `"charbonnier"`):
            The loss that `labels` give: `"l1"`, `"charbonnier"` or `"psnr"`.
    """

    num_channels: int = 3
    num_channels_out: int = 3
    task: str | None = None
    loss: str = "charbonnier"

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if self.num_channels < self.num_channels_out:
            raise ValueError(
                f"num_channels={self.num_channels} is less than num_channels_out={self.num_channels_out}: "
                "the picture that the network corrects has to be among its input channels."
            )


__all__ = ["ImageRestorationConfig"]
