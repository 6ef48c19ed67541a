"""Pictures for training: read from anywhere, degraded and cropped as a pure function of (seed, epoch, index)."""

from .crops import Crop, draw_crop
from .degradations import (
    BlurArguments,
    DegradationArguments,
    NoiseArguments,
    RainArguments,
    degrade,
)
from .order import SampleOrder
from .pictures import PictureSource, Sample, open_pictures
from .training_pictures import DataArguments, TrainingPictures, make_rng

__all__ = [
    "BlurArguments",
    "Crop",
    "DataArguments",
    "DegradationArguments",
    "NoiseArguments",
    "PictureSource",
    "RainArguments",
    "Sample",
    "SampleOrder",
    "TrainingPictures",
    "degrade",
    "draw_crop",
    "make_rng",
    "open_pictures",
]
