"""SAM as a frozen teacher: masks of everything in a picture as one label map, and features of its encoder."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import SamConfig, SamModel

from .mask_selection import drop_small, fill_uncovered, paint, painting_order, stability_of, suppress_overlaps
from .sam_loading import LabelMapOptions, load_sam, options_of
from .sam_prompting import decode, point_grid
from .semantic_masks import SemanticMasks

# What keeps memory bounded: values of one activation of the decoder (few on a CPU, where its cache is what counts),
# pixels of the pictures that are encoded together, and masks that are compared with each other.
_DECODER_VALUES = 2**24
_DECODER_VALUES_CPU = 2**20
_ENCODER_PIXELS = 2**22
_COMPARED_MASKS = 256


class SamTeacher(nn.Module):
    """A `SamModel` that is never trained: no parameter requires a gradient and it stays in eval.

    Args:
        model: the network.
        mean, std: of its pictures, for R, G and B in [0, 1].
        options: how masks become label maps.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: SamModel, mean: list[float], std: list[float], options: LabelMapOptions | None = None):
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.options = options or LabelMapOptions()
        config: SamConfig = model.config
        self.image_size = int(config.vision_config.image_size)  # type: ignore[union-attr]
        self.patch_size = int(config.vision_config.patch_size)  # type: ignore[union-attr]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path,
        *,
        points_per_side: int | None = None,
        predicted_iou: float | None = None,
        stability: float | None = None,
        overlap: float | None = None,
        smallest: float | None = None,
        fill: bool | None = None,
        max_regions: int | None = None,
        device: torch.device | str | None = None,
    ) -> SamTeacher:
        """A SAM from a folder or the Hub, in float32.

        The options are those of `LabelMapOptions`; one that is None is what the checkpoint's `config.json` has in its
        entry `label_maps`, or else the default.

        Raises:
            InputError: there is no such checkpoint, it is no SAM, or an option is out of its range.
        """
        model, processor = load_sam(name_or_folder)
        options = options_of(
            model.config,
            {
                "points_per_side": points_per_side,
                "predicted_iou": predicted_iou,
                "stability": stability,
                "overlap": overlap,
                "smallest": smallest,
                "fill": fill,
                "max_regions": max_regions,
            },
        )
        return cls(model, processor.image_mean, processor.image_std, options).to(device)

    @torch.no_grad()
    def forward(self, images: Tensor) -> SemanticMasks:
        """The regions of pictures (B, 3, H, W), RGB in [0, 1], as label maps (B, H, W).

        A grid of points asks for three masks each. Those that the network expects to fit badly, that are not stable
        or tiny are dropped, and of those alike all but the best. The rest is painted, the largest first, so that
        smaller ones lie over it (`painting_order`). What no mask covers is 0 or, with `fill`, a region a connected
        part. A picture of one colour, and one in which no mask is left, has no region at all.
        """
        embeddings = self.encode(images)
        one_colour = (images == images[..., :1, :1]).flatten(1).all(1).tolist()
        height, width = images.shape[-2:]
        maps: list[Tensor] = []
        scores: list[Tensor] = []
        for embedding, empty in zip(embeddings.split(1), one_colour, strict=True):
            logits, expected = self._proposals(embedding, height, width)
            if empty:
                logits, expected = logits[:0], expected[:0]
            with torch.autocast(images.device.type, enabled=False):
                labels = self._label_map(logits, height, width)
            maps.append(labels)
            # Labels after those of the masks are uncovered parts, with score 0.
            scores.append(F.pad(expected.clamp(0, 1), (0, max(0, int(labels.max()) - len(expected)))))
        padded = nn.utils.rnn.pad_sequence(scores, batch_first=True)
        return SemanticMasks.from_label_maps(torch.stack(maps), self.options.max_regions, padded)

    def image_features(self, images: Tensor) -> Tensor:
        """The encoder's features (B, C, h, w) of pictures (B, 3, H, W) in [0, 1], without those of the padding.

        Gradients flow to `images`; the network stays as it is.
        """
        rows, columns = self.picture_part(*images.shape[-2:])
        rows, columns = (max(1, round(side / self.patch_size)) for side in (rows, columns))
        return self.encode(images)[..., :rows, :columns]

    def train(self, mode: bool = True) -> SamTeacher:
        """Stays in eval."""
        return super().train(False)

    def preprocess(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [0, 1] as the network takes them: (B, 3, S, S), normalised, padded right and below.

        As transformers' image processor does it, but for rounding to 8 bit in between.
        """
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point() or 0 in images.shape:
            raise ValueError(
                f"The teacher got {images.dtype} of shape {tuple(images.shape)}; expected float RGB pictures (batch, 3, "
                "height, width) in [0, 1]."
            )
        rows, columns = self.picture_part(*images.shape[-2:])
        resized = F.interpolate(images.float(), (rows, columns), mode="bilinear", antialias=True)
        return F.pad((resized - self.mean) / self.std, (0, self.image_size - columns, 0, self.image_size - rows))

    def picture_part(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the picture in the network's square, in its pixels."""
        scale = self.image_size / max(height, width)
        return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))

    def encode(self, images: Tensor) -> Tensor:
        """The encoder's features (B, C, E, E) of pictures (B, 3, H, W) in [0, 1] with their padding, for `decode`.

        Only so many pictures go through it at a time as memory is set aside for.
        """
        count = max(1, _ENCODER_PIXELS // self.image_size**2)
        parts = [self.model.vision_encoder(self.preprocess(part)).last_hidden_state for part in images.split(count)]
        return torch.cat(parts)

    def _proposals(self, embedding: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Logits (N, rows, columns), of the picture's part, and predicted IoUs (N,) of the masks that are good enough.

        At most a few hundred, those expected to fit best, in painting order.
        """
        part = self.picture_part(height, width)
        points = point_grid(self.options.points_per_side, *part, embedding.device)[:, None]
        values = _DECODER_VALUES_CPU if embedding.device.type == "cpu" else _DECODER_VALUES
        count = max(1, values // embedding[0].numel())
        logits: list[Tensor] = []
        scores: list[Tensor] = []
        for chunk in points.split(count):
            labels = torch.ones(1, *chunk.shape[:2], dtype=torch.int64, device=chunk.device)
            masks, expected = decode(self.model, embedding, chunk[None], labels)
            good_logits, good_scores = self._good(masks[0].flatten(0, 1), expected[0].flatten().float(), part)
            logits.append(good_logits)
            scores.append(good_scores)
            if sum(map(len, scores)) > _COMPARED_MASKS:
                logits, scores = _best(torch.cat(logits), torch.cat(scores))
        with torch.autocast(embedding.device.type, enabled=False):
            found, expected = torch.cat(logits), torch.cat(scores)
            kept = suppress_overlaps(found > 0, expected, self.options.overlap).sort().values
            found, expected = found[kept], expected[kept]
            order = painting_order((found > 0).flatten(1).sum(1), expected)
        return found[order], expected[order]

    def _good(self, logits: Tensor, scores: Tensor, part: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Those of the masks (N, M, M) that pass the thresholds, cut to the picture's part."""
        options = self.options
        pixel = self.image_size / logits.shape[-1]
        rows, columns = (max(1, round(side / pixel)) for side in part)
        chosen = scores >= options.predicted_iou
        logits, scores = logits[chosen, :rows, :columns].float(), scores[chosen]
        stable = stability_of(logits, options.stability_offset) >= options.stability
        large = (logits > 0).flatten(1).sum(1) >= max(1.0, options.smallest * rows * columns)
        return logits[stable & large], scores[stable & large]

    def _label_map(self, logits: Tensor, height: int, width: int) -> Tensor:
        """(height, width) int64: masks in painting order laid over each other, then what they leave uncovered."""
        if not len(logits):
            return torch.zeros(height, width, dtype=torch.int64, device=logits.device)
        smallest = max(1, round(self.options.smallest * height * width))
        labels = drop_small(paint(logits, height, width), smallest)
        return fill_uncovered(labels, len(logits), smallest) if self.options.fill else labels


def _best(logits: Tensor, scores: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The masks with the highest scores, in the order in which they were found."""
    best = scores.argsort(descending=True, stable=True)[:_COMPARED_MASKS].sort().values
    return [logits[best]], [scores[best]]
