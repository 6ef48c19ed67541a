"""Restoration networks distilled from the Segment Anything Model.

Importing the package registers its models with transformers' Auto classes; everything else is loaded when it is used.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

__version__ = "0.1.0"

_EXPORTS = {
    "NafnetConfig": "models",
    "NafnetForImageRestoration": "models",
    "ImageRestorationOutput": "models",
    "RestorationImageProcessor": "models",
    "ImageRestorationPipeline": "restoration",
    "SamTeacher": "teachers",
    "SemanticMasks": "teachers",
    "DistillationTask": "distillation",
    "InputError": "errors",
}

__all__ = ["__version__", *_EXPORTS]

# The command line shows its help without loading torch; its commands import the models when they run.
if Path(sys.argv[0]).stem != "samdistill":
    from . import models as models
    from .restoration import pipeline as pipeline  # registers pipeline("image-restoration")


def __getattr__(name: str):
    if name in _EXPORTS:
        return getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
