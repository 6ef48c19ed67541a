"""What our modules of the `evaluate` library share: 8-bit pictures in, the mean of a protocol's values out."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import numpy as np
from PIL import Image

from .protocols import protocol_named


class PictureMetric(evaluate.Metric):
    """A child names its `metric` ("psnr" or "ssim") and its `description`.

    Predictions and references are 8-bit pictures: `(H, W, 3)` or gray `(H, W)` uint8 arrays, or PIL images. They are
    kept as PNG between `add` and `compute`, which is exact and much faster than nested lists.
    """

    metric: str
    description: str

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=self.description,
            citation="",
            inputs_description="8-bit pictures: (H, W, 3) or (H, W) uint8 arrays, or PIL images; protocol: its name.",
            features=datasets.Features({"predictions": datasets.Image(), "references": datasets.Image()}),
        )

    def add(self, *, prediction: Any = None, reference: Any = None, **kwargs: Any) -> None:
        """One restored picture and its clean version."""
        super().add(prediction=_as_image(prediction), reference=_as_image(reference), **kwargs)

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> None:
        """Restored pictures and their clean versions."""
        super().add_batch(
            predictions=[_as_image(picture) for picture in predictions],
            references=[_as_image(picture) for picture in references],
            **kwargs,
        )

    def _compute(self, predictions: list, references: list, protocol: str = "rgb") -> dict[str, Any]:
        measure = protocol_named(protocol).measure
        values = [
            measure(np.asarray(prediction) / 255.0, np.asarray(reference))[self.metric]
            for prediction, reference in zip(predictions, references)
        ]
        return {self.metric: float(np.mean(values)), "per_picture": values}


def _as_image(picture: Any) -> Image.Image:
    """A picture in memory of no file format, which `datasets` stores as PNG; a JPEG would be compressed once more."""
    pixels = np.asarray(picture)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise ValueError(
            f"a picture is an RGB (H, W, 3) or gray (H, W) uint8 array or such a PIL image, got {pixels.dtype} of the "
            f"shape {pixels.shape}"
        )
    return Image.fromarray(pixels)
