"""Where semantic priors come from: SAM, or label maps that are ready."""

from __future__ import annotations

import importlib

_EXPORTS = {
    "LabelMapFolder": "label_maps",
    "SamTeacher": "sam",
    "SemanticMasks": "semantic_masks",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str):
    if name in _EXPORTS:
        return getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
