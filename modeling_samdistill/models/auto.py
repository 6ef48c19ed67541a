"""Every architecture, one line each, and its registration with transformers' Auto classes."""

from __future__ import annotations

from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageToImage

from .configuration_image_restoration import ImageRestorationConfig
from .configuration_nafnet import NafnetConfig
from .image_processing_restoration import RestorationImageProcessor
from .modeling_image_restoration import ImageRestorationPreTrainedModel
from .modeling_nafnet import NafnetForImageRestoration

ARCHITECTURES: dict[str, tuple[type[ImageRestorationConfig], type[ImageRestorationPreTrainedModel]]] = {
    "nafnet": (NafnetConfig, NafnetForImageRestoration),
}


def register() -> None:
    """Makes `Auto*.from_pretrained` find every architecture without remote code. Safe to call again."""
    for model_type, (config, model) in ARCHITECTURES.items():
        AutoConfig.register(model_type, config, exist_ok=True)
        AutoModel.register(config, model, exist_ok=True)
        AutoModelForImageToImage.register(config, model, exist_ok=True)
        both_backends: dict[str, type] = {"pil": RestorationImageProcessor, "torchvision": RestorationImageProcessor}
        AutoImageProcessor.register(config, image_processor_classes=both_backends, exist_ok=True)
