"""Any picture in, the restored picture out: files, tiles, the pipeline.

The names are loaded when they are used: planning a run over files needs no torch.
"""

from __future__ import annotations

import importlib

_EXPORTS = {
    "ImageRestorationPipeline": "pipeline",
    "Picture": "pictures",
    "picture_from_image": "pictures",
    "image_from_picture": "pictures",
    "read_picture": "pictures",
    "write_picture": "pictures",
    "restore_in_tiles": "tiles",
    "plan_jobs": "folder",
    "restore_jobs": "folder",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str):
    if name in _EXPORTS:
        return getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
