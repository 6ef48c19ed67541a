"""NAFNet configuration."""

from __future__ import annotations

from .configuration_image_restoration import ImageRestorationConfig


class NafnetConfig(ImageRestorationConfig):
    r"""
    Configuration of [`NafnetForImageRestoration`], the network of "Simple Baselines for Image Restoration"
    (Chen et al., ECCV 2022, arXiv 2204.04676). The defaults are the paper's width-32 network for GoPro.

    Args:
        width (`int`, *optional*, defaults to 32):
            Channels at full resolution; doubled at each of the encoder's stages.
        encoder_depths (`tuple[int, ...]`, *optional*, defaults to `(1, 1, 1, 28)`):
            Blocks in each encoder stage; each stage ends by halving height and width.
        middle_depth (`int`, *optional*, defaults to 1):
            Blocks at the lowest resolution.
        decoder_depths (`tuple[int, ...]`, *optional*, defaults to `(1, 1, 1, 1)`):
            Blocks in each decoder stage, lowest resolution first.
        pixel_unshuffle (`int`, *optional*, defaults to 1):
            Fold squares of this many pixels a side into channels before the first convolution and unfold after the
            last, so that everything between runs on fewer pixels. 1 is the paper's network; more is ours.
        local_statistics (`bool`, *optional*, defaults to `False`):
            At test time pool over a window as large as in training instead of the whole picture (TLC,
            "Improving Image Restoration by Revisiting Global Information Aggregation", arXiv 2112.04491).
        local_statistics_window (`int`, *optional*, defaults to 384):
            Side of that window in pixels of the picture; the paper's is 1.5 times the training crop.

    Example:

    ```python
    >>> from modeling_samdistill import NafnetConfig, NafnetForImageRestoration

    >>> config = NafnetConfig(width=16, encoder_depths=(1, 1), middle_depth=1, decoder_depths=(1, 1))
    >>> model = NafnetForImageRestoration(config)
    ```
    """

    model_type = "nafnet"

    width: int = 32
    encoder_depths: tuple[int, ...] | list[int] = (1, 1, 1, 28)
    middle_depth: int = 1
    decoder_depths: tuple[int, ...] | list[int] = (1, 1, 1, 1)
    pixel_unshuffle: int = 1
    local_statistics: bool = False
    local_statistics_window: int = 384

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if len(self.encoder_depths) != len(self.decoder_depths):
            raise ValueError(
                f"encoder_depths has {len(self.encoder_depths)} stages and decoder_depths {len(self.decoder_depths)}: "
                "each encoder stage is joined to one decoder stage, so give both the same number."
            )


__all__ = ["NafnetConfig"]
