"""Prompts through SAM's decoder, and the grid of points that asks for everything in a picture."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import SamModel


def decode(
    model: SamModel,
    embeddings: Tensor,
    points: Tensor | None = None,
    labels: Tensor | None = None,
    boxes: Tensor | None = None,
    previous_masks: Tensor | None = None,
    multimask_output: bool = True,
) -> tuple[Tensor, Tensor]:
    """Mask logits (B, P, C, M, M) and predicted IoUs (B, P, C) of prompts for B encoded pictures.

    Positions are encoded in float32 also under autocast: bfloat16 would round them to whole pixels.

    Args:
        embeddings: (B, D, E, E), of the vision encoder.
        points: (B, P, N, 2), x and y in pixels of the encoder's picture, 0 at the centre of the first.
        labels: (B, P, N), 1 inside the wanted region, 0 outside.
        boxes: (B, P, 4), x1 y1 x2 y2.
        previous_masks: (B, 1, M, M) logits.
        multimask_output: C is 3, else 1.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        sparse, dense = model.prompt_encoder(
            input_points=points, input_labels=labels, input_boxes=boxes, input_masks=previous_masks
        )
        positions = model.get_image_wide_positional_embeddings().expand(embeddings.shape[0], -1, -1, -1)
    return model.mask_decoder(
        image_embeddings=embeddings,
        image_positional_embeddings=positions,
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask_output,
    )


def point_grid(points_per_side: int, height: int, width: int, device: torch.device) -> Tensor:
    """(points_per_side ** 2, 2), x and y of points spread evenly over a picture, row by row, for `decode`."""
    places = (torch.arange(points_per_side, device=device, dtype=torch.float32) + 0.5) / points_per_side
    rows, columns = torch.meshgrid(places * height, places * width, indexing="ij")
    return torch.stack([columns, rows], dim=-1).flatten(0, 1) - 0.5
