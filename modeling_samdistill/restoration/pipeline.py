"""Pictures of any kind and size through a restoration network."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageToImage, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY

from ..errors import InputError
from ..models import ImageRestorationPreTrainedModel, RestorationImageProcessor
from .loading import load_model, load_processor
from .orientation import as_stored, upright
from .pictures import Picture, check_range, image_from_picture, picture_from_image, read_picture, write_picture
from .tiles import DEFAULT_TILE, restore_in_tiles


class ImageRestorationPipeline(Pipeline):
    r"""
    Restores pictures with any network of this package. Also `pipeline("image-restoration", model=...)`.

    Takes the path of a picture file, a Pillow image, a numpy array `(H, W)` or `(H, W, C)` (uint8, uint16 or float in
    [0, 1]), a torch tensor `(C, H, W)` (uint8 or float in [0, 1]), or a list of these, of any sizes. Returns the same
    kind of picture at exactly the same size (for a path a Pillow image; 16-bit colour, which Pillow cannot hold, comes
    back with 8 bit: `restore_file` keeps it). Gray stays gray, alpha is passed through, EXIF and ICC data are kept.

    Example:

    ```python
    >>> from modeling_samdistill import ImageRestorationPipeline

    >>> pipe = ImageRestorationPipeline.from_pretrained("nafnet-small-denoise")  # doctest: +SKIP
    >>> restored = pipe("photo.jpg")  # doctest: +SKIP
    ```
    """

    model: ImageRestorationPreTrainedModel
    image_processor: RestorationImageProcessor

    _load_processor = False  # type: ignore[assignment]
    _load_image_processor = True  # type: ignore[assignment]
    _load_video_processor = False  # type: ignore[assignment]
    _load_feature_extractor = False  # type: ignore[assignment]
    _load_tokenizer = False  # type: ignore[assignment]

    def __init__(self, model, image_processor=None, dtype: str | torch.dtype | None = None, **kwargs):
        processor = image_processor or RestorationImageProcessor(num_channels=model.config.num_channels)
        super().__init__(model=model, image_processor=processor, **kwargs)
        half = self.model.dtype in (torch.float16, torch.bfloat16)
        if half and self.device.type == "cpu" and dtype in (None, "auto"):
            self.model.float()  # small files are stored as float16, which CPUs compute slowly
        self.model.eval()

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        device: str | torch.device | None = None,
        trust_remote_code: bool = False,
        task: str | None = None,
        tile: int | None = None,
    ) -> ImageRestorationPipeline:
        """
        Args:
            name: A bundled model, a folder with `config.json` and `model.safetensors`, or a Hub id (`owner/name`).
            device: `"cpu"`, `"cuda"`, ...; None takes the GPU where there is one.
            trust_remote_code: Whether a network that this package does not know may bring code of its own.
            task: What the model has to be trained for: `"denoise"`, `"derain"` or `"deblur"`; None takes any.
            tile: Side of the tiles in pixels in which large pictures are restored.

        Raises:
            InputError: when there is no such model, its weights are missing, pickled or do not fit, it was trained for
                another task, or the device is not there.
        """
        chosen = choose_device(device)
        model = load_model(str(name), task, trust_remote_code)
        processor = load_processor(model, trust_remote_code)
        return cls(model=model, image_processor=processor, device=chosen, task="image-restoration", tile=tile)

    def __call__(self, inputs: Any, *, tile: int | None = None) -> Any:  # type: ignore[override]
        """
        Args:
            inputs: A picture or a list of pictures, see the class.
            tile: Side of the tiles in pixels, 128 or more, in place of that of the pipeline.

        Raises:
            FileNotFoundError: when a path names no file.
            InputError: when an input is no picture, or one of a kind that the model does not take.
        """
        if isinstance(inputs, (list, tuple)):
            return [self(picture, tile=tile) for picture in inputs]
        return super().__call__(inputs, batch_size=1, num_workers=0, tile=tile)

    def restore_file(self, source: str | Path, target: str | Path, overwrite: bool = False, tile: int | None = None):
        """Restores one picture file into another, keeping format, bit depth and metadata.

        Raises:
            FileNotFoundError, FileExistsError, InputError: as `read_picture`, `write_picture` and `__call__`.
        """
        restored = self(read_picture(source), tile=tile)
        write_picture(restored, target, overwrite)

    def _sanitize_parameters(self, tile: int | None = None):  # type: ignore[override]
        return {}, {} if tile is None else {"tile": tile}, {}

    def preprocess(self, input_: Any) -> dict[str, Any]:  # type: ignore[override]
        picture = to_picture(input_)
        self._check_channels(picture)
        return {"picture": picture, "like": input_}

    def _forward(self, input_tensors, tile: int = DEFAULT_TILE) -> dict[str, Any]:  # type: ignore[override]
        picture = input_tensors["picture"]
        pixels = upright(picture.pixels, picture.orientation)
        restored = restore_in_tiles(pixels, self._restore_tile, tile, align=self.model.size_multiple)
        stored = np.ascontiguousarray(as_stored(restored, picture.orientation))
        return {**input_tensors, "picture": dataclasses.replace(picture, pixels=stored)}

    def postprocess(self, model_outputs: dict[str, Any]) -> Any:  # type: ignore[override]
        return from_picture(model_outputs["picture"], model_outputs["like"])

    def _restore_tile(self, pixels: np.ndarray) -> torch.Tensor:
        """(h, w, C) pixels to a restored (C, h, w) tensor; gray by a colour network is the mean of its colours."""
        batch = self.image_processor(pixels, return_tensors="pt")["pixel_values"]
        restored = self.model(batch.to(self.device, self.model.dtype)).reconstruction[0]
        return restored.mean(dim=0, keepdim=True) if pixels.shape[2] == 1 else restored

    def _check_channels(self, picture: Picture) -> None:
        takes = self.model.config.num_channels
        if takes not in (1, 3):
            raise InputError(
                f"This model takes {takes} channels, more than a picture has: it is a part of another network, "
                "such as a refiner; restore with the student."
            )
        if takes == 1 and not picture.is_gray:
            raise InputError(
                "This model restores gray pictures and the picture has 3 colour channels: convert it to gray, or "
                "take a model for colour."
            )


def choose_device(device: str | torch.device | None) -> torch.device:
    """None and "auto" take the GPU where there is one.

    Raises:
        InputError: for a device that is not there.
    """
    if device is None or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"The device {str(device)!r} is not there (PyTorch finds {torch.cuda.device_count()} CUDA GPUs): use "
            "'auto' or 'cpu'."
        ) from error
    return chosen


def to_picture(given: Any) -> Picture:
    """A path, Pillow image, numpy array, torch tensor or `Picture` as a `Picture`.

    Raises:
        FileNotFoundError: when a path names no file.
        InputError: when it is none of these, or not the pixels of a picture.
    """
    if isinstance(given, Picture):
        return given
    if isinstance(given, (str, Path)):
        return read_picture(given)
    if isinstance(given, Image.Image):
        return picture_from_image(given)
    if isinstance(given, torch.Tensor):
        if given.ndim != 3:
            raise InputError(
                f"A tensor of shape {tuple(given.shape)} is not a picture (channels, height, width): give a batch as "
                "a list of its pictures."
            )
        tensor = given.detach().cpu()
        return _array_picture((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).permute(1, 2, 0).numpy())
    if isinstance(given, np.ndarray):
        return _array_picture(given[..., None] if given.ndim == 2 else given)
    raise InputError(
        f"{type(given).__name__} is not a picture: give a path, a Pillow image, a numpy array or a tensor."
    )


def from_picture(picture: Picture, like: Any) -> Any:
    """A `Picture` as the kind, shape and type of picture that `like` is."""
    if isinstance(like, Picture):
        return picture
    if not isinstance(like, (torch.Tensor, np.ndarray)):
        return image_from_picture(picture)
    planes = picture.pixels
    if picture.alpha is not None:
        planes = np.concatenate([planes, picture.alpha[..., None]], axis=2)
    if isinstance(like, np.ndarray):
        return planes.reshape(like.shape).astype(like.dtype, copy=False)
    return torch.from_numpy(planes).permute(2, 0, 1).to(like.device, like.dtype).contiguous()


def _array_picture(array: np.ndarray) -> Picture:
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4 or 0 in array.shape:
        raise InputError(
            f"An array of shape {array.shape} is not a picture: give (height, width) or (height, width, channels) "
            "with 1 to 4 channels and at least one pixel; tensors have the channels first."
        )
    if np.issubdtype(array.dtype, np.floating):
        check_range(array, "The picture")
    elif array.dtype not in (np.uint8, np.uint16):
        raise InputError(f"Pixels are {array.dtype}: give uint8, uint16 or float in [0, 1].")
    colours = 3 if array.shape[2] >= 3 else 1
    return Picture(pixels=array[..., :colours], alpha=array[..., colours] if array.shape[2] > colours else None)


def register() -> None:
    """Makes `pipeline("image-restoration", model=...)` work by name."""
    if "image-restoration" not in PIPELINE_REGISTRY.get_supported_tasks():
        PIPELINE_REGISTRY.register_pipeline(
            "image-restoration",
            pipeline_class=ImageRestorationPipeline,
            pt_model=AutoModelForImageToImage,
            type="image",
        )


register()
