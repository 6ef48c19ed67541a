"""Pictures to batches for restoration networks, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from transformers import BaseImageProcessor, BatchFeature


class RestorationImageProcessor(BaseImageProcessor):
    r"""
    Turns pictures into `pixel_values` in [0, 1] at their own size, and reconstructions back into pictures. Nothing is
    resized or normalised: restoration works on the pixels as they are.

    Args:
        num_channels (`int`, *optional*, defaults to 3):
            3 converts every picture to RGB, 1 to gray.

    Example:

    ```python
    >>> from PIL import Image
    >>> from modeling_samdistill import RestorationImageProcessor

    >>> processor = RestorationImageProcessor()
    >>> processor(Image.new("RGB", (17, 33)), return_tensors="pt")["pixel_values"].shape
    torch.Size([1, 3, 33, 17])
    ```
    """

    model_input_names = ["pixel_values"]
    _auto_class = "AutoImageProcessor"

    def __init__(self, num_channels: int = 3, **kwargs):
        super().__init__(**kwargs)
        self.num_channels = num_channels

    def preprocess(self, images, return_tensors: str | None = "pt", **kwargs) -> BatchFeature:
        """
        Args:
            images: One picture or several of one size: PIL; numpy `(H, W)` or `(H, W, C)`, uint8, uint16 or float in
                [0, 1]; or torch `(C, H, W)`, float in [0, 1].

        Returns:
            A `BatchFeature` with `pixel_values` of shape `(batch, num_channels, height, width)`, float32 in [0, 1].

        Raises:
            ValueError: for pictures of different sizes, another dtype or a wrong number of channels.
        """
        pictures = images if isinstance(images, (list, tuple)) else [images]
        tensors = [self._to_tensor(picture) for picture in pictures]
        sizes = {tuple(tensor.shape[-2:]) for tensor in tensors}
        if len(sizes) > 1:
            raise ValueError(
                f"The pictures of one batch have the sizes {sorted(sizes)} (height, width); a batch takes one size: "
                "call the processor once for each size."
            )
        return BatchFeature({"pixel_values": torch.stack(tensors)}, tensor_type=return_tensors)

    def post_process(self, reconstruction: torch.Tensor, bits: int = 8) -> list[np.ndarray]:
        """
        Args:
            reconstruction: `(batch, channels, height, width)`, nominally in [0, 1].
            bits: 8 or 16, the depth of the pictures that come back.

        Returns:
            One array a picture: `(H, W, 3)` RGB or `(H, W)` gray, uint8 or uint16, clipped and rounded.
        """
        peak, dtype = (255, np.uint8) if bits == 8 else (65535, np.uint16)
        scaled = (reconstruction.detach().float().clamp(0, 1) * peak).round().permute(0, 2, 3, 1)
        arrays = scaled.cpu().numpy().astype(dtype)
        return [array[..., 0] if array.shape[-1] == 1 else array for array in arrays]

    def _to_tensor(self, picture) -> torch.Tensor:
        if isinstance(picture, torch.Tensor):
            tensor = picture.float()
        else:
            if isinstance(picture, Image.Image):
                picture = np.asarray(picture.convert("L" if self.num_channels == 1 else "RGB"))
            array = unit_range(np.asarray(picture))
            array = array[..., None] if array.ndim == 2 else array
            tensor = torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 0)))
        if tensor.ndim == 3 and tensor.shape[0] == 1 and self.num_channels == 3:
            tensor = tensor.expand(3, -1, -1)
        if tensor.ndim != 3 or tensor.shape[0] != self.num_channels or 0 in tensor.shape:
            raise ValueError(
                f"A picture has the shape {tuple(tensor.shape)} (channels, height, width); this model takes "
                f"{self.num_channels} channel(s) and at least one pixel: convert the picture first."
            )
        return tensor


def unit_range(array: np.ndarray) -> np.ndarray:
    """uint8, uint16, bool or float pixels to float32 in [0, 1]."""
    if array.dtype == np.uint8:
        return array.astype(np.float32) / 255
    if array.dtype == np.uint16:
        return array.astype(np.float32) / 65535
    if array.dtype == np.bool_ or np.issubdtype(array.dtype, np.floating):
        return array.astype(np.float32)
    raise ValueError(f"Pixels are {array.dtype}; give uint8, uint16 or float in [0, 1].")


__all__: Sequence[str] = ["RestorationImageProcessor"]
