"""The models that ship inside the package: `model_cards/` in the repository, `bundled` in a wheel."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from .errors import InputError, nearest

#: The model that a task uses when none is named.
MODEL_OF_TASK = {"denoise": "nafnet-small-denoise", "derain": "nafnet-small-derain", "deblur": "nafnet-small-deblur"}
TEACHER = "sam-small-bsds"


def bundled_names() -> list[str]:
    """The names of all bundled models, sorted."""
    return sorted(folder.name for folder in _root().iterdir() if (folder / "config.json").is_file())


def bundled_folder(name: str) -> Path:
    """The folder of a bundled model.

    Raises:
        InputError: when no bundled model has that name.
    """
    if name not in bundled_names():
        raise InputError(
            f"No bundled model is called {name!r}{nearest(name, bundled_names())} Bundled are: "
            f"{', '.join(bundled_names()) or 'none'}."
        )
    return _root() / name


def resolve_model(name: str) -> str:
    """A bundled name to its folder; a folder or a Hub id stays as it is."""
    return str(bundled_folder(name)) if name in bundled_names() else name


def _root() -> Path:
    return Path(str(resources.files("modeling_samdistill.bundled")))
