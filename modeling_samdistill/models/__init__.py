"""What `from_pretrained` loads. Importing this registers the Auto classes.

The files of this folder travel to the Hub as remote code: they import only torch, transformers and each other.
"""

from .auto import ARCHITECTURES, register
from .configuration_image_restoration import ImageRestorationConfig
from .configuration_nafnet import NafnetConfig
from .image_processing_restoration import RestorationImageProcessor
from .modeling_image_restoration import ImageRestorationOutput, ImageRestorationPreTrainedModel
from .modeling_nafnet import NafnetForImageRestoration

register()

__all__ = [
    "ARCHITECTURES",
    "ImageRestorationConfig",
    "ImageRestorationOutput",
    "ImageRestorationPreTrainedModel",
    "NafnetConfig",
    "NafnetForImageRestoration",
    "RestorationImageProcessor",
]
