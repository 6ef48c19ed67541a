"""Loading a SAM with one clear sentence for everything that can be wrong, and the options it carries."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError
from transformers import AutoConfig, SamConfig, SamImageProcessor, SamModel

from ..bundled_models import resolve_model
from ..errors import InputError, nearest

#: The entry of a checkpoint's `config.json` with its own values of `LabelMapOptions`; transformers leaves it alone.
OPTIONS_ENTRY = "label_maps"


@dataclass(frozen=True)
class LabelMapOptions:
    """How the masks of a grid of points become one label map.

    The defaults suit Meta's checkpoints; another one keeps its own in its `config.json`, in the entry `label_maps`.

    Attributes:
        points_per_side: points of the grid along each side of the picture.
        predicted_iou: masks that the network itself expects to fit worse are dropped.
        stability: so are those whose area changes more than this when the threshold moves by `stability_offset`
            logits up or down (intersection over union of the two).
        overlap: of two masks with a larger IoU than this only the better one is kept.
        smallest: regions of a smaller share of the picture are left out.
        fill: whether connected parts that no mask covers become regions of their own, with score 0.
        max_regions: the largest so many regions are kept.
    """

    points_per_side: int = 16
    predicted_iou: float = 0.88
    stability: float = 0.95
    stability_offset: float = 1.0
    overlap: float = 0.7
    smallest: float = 0.001
    fill: bool = True
    max_regions: int = 32

    def __post_init__(self):
        for name in ("points_per_side", "max_regions"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give at least 1.")
        for name in ("predicted_iou", "stability", "overlap", "smallest"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; give a number from 0 to 1.")


def load_sam(name: str | Path) -> tuple[SamModel, SamImageProcessor]:
    """A `SamModel` with float32 weights, whatever type they are stored in, and its image processor.

    Args:
        name: a bundled name, a folder or a Hub id.

    Raises:
        InputError: there is no such model, it is no SAM, or its weights are missing, broken or do not fit.
    """
    local = Path(resolve_model(str(name))).expanduser()
    place = str(local) if local.exists() else str(name)
    _check_place(place)
    try:
        config = AutoConfig.from_pretrained(place)
        if not isinstance(config, SamConfig):
            raise InputError(
                f"The teacher {place!r} is a model of the type {config.model_type!r}, not 'sam': name a SAM, such as "
                "facebook/sam-vit-base, or a folder that recipes/train_sam.py wrote."
            )
        loaded: Any = SamModel.from_pretrained(
            place, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
        model, report = loaded
        processor = SamImageProcessor.from_pretrained(place)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, HfHubHTTPError) as error:
        reason = (str(error) or type(error).__name__).strip().splitlines()[0][:200]
        raise InputError(
            f"The teacher {place!r} cannot be loaded ({reason}): give a bundled name, a folder written by "
            "`save_pretrained` of a SamModel and its processor, or a Hub id that can be reached."
        ) from error
    if report["missing_keys"] or report["mismatched_keys"]:
        wrong = [*sorted(report["missing_keys"]), *map(str, report["mismatched_keys"])]
        raise InputError(
            f"The weights of the teacher {place!r} do not fit its config.json ({len(wrong)} parameters, such as "
            f"{wrong[0]}): take both from the same model."
        )
    _check_sizes(place, config, processor)
    return model, processor


def options_of(config: SamConfig, changes: dict[str, float | int | bool | None]) -> LabelMapOptions:
    """The checkpoint's own options over the defaults, and `changes` that are not None over both.

    Raises:
        InputError: an unknown option or one out of its range.
    """
    own = config.to_dict().get(OPTIONS_ENTRY) or {}
    known = [field.name for field in fields(LabelMapOptions)]
    for name in own:
        if name not in known:
            raise InputError(
                f"The entry {OPTIONS_ENTRY!r} of the teacher's config.json has the unknown option "
                f"{name!r}{nearest(name, known)} Known are: {', '.join(known)}."
            )
    given = {name: value for name, value in changes.items() if value is not None}
    return replace(LabelMapOptions(), **{**own, **given})


def _check_place(place: str) -> None:
    folder = Path(place)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(f"The folder {place!r} has no config.json, so it is not a teacher: check the name.")
    elif folder.exists() or place.startswith((".", "/", "~")) or place.count("/") != 1:
        raise InputError(
            f"There is no teacher {place!r}: give a bundled name, a folder with config.json and model.safetensors, "
            "or a Hub id such as facebook/sam-vit-base."
        )


def _check_sizes(place: str, config: SamConfig, processor: SamImageProcessor) -> None:
    expected = config.vision_config.image_size  # type: ignore[union-attr]
    sizes = {processor.size["longest_edge"], processor.pad_size["height"], processor.pad_size["width"]}
    if sizes != {expected}:
        raise InputError(
            f"The processor of the teacher {place!r} makes pictures of {sorted(sizes)} pixels and its network takes "
            f"{expected}: take both from the same model."
        )
