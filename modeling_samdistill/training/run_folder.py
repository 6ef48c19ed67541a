"""The folder of a run: its settings are written once, and a resumed run has to have the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ..errors import InputError
from .arguments import TrainingArguments, as_yaml

#: Settings that may differ when a run is resumed: they do not change what it computes.
FREE = (
    "output_dir",
    "save_steps",
    "keep",
    "validate_steps",
    "validation_pictures",
    "log_steps",
    "device",
    "compile",
    "data.workers",
    "data.keep_in_memory",
)


def open_run_folder(output_dir: Path, arguments: TrainingArguments) -> None:
    """Makes the folder and writes `config.yaml`, or compares it with the one that is there.

    Raises:
        InputError: where the folder holds a run with other settings.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    path = output_dir / "config.yaml"
    if path.is_file():
        before, now = _flat(OmegaConf.load(path)), _flat(OmegaConf.create(as_yaml(arguments)))
        for key in sorted(before.keys() | now.keys()):
            if key not in FREE and before.get(key) != now.get(key):
                raise InputError(
                    f"{output_dir} holds a run with {key} = {before.get(key)!r}, and now it is {now.get(key)!r}; give "
                    "the same settings to resume it, or another --output_dir."
                )
    path.write_text(as_yaml(arguments), encoding="utf-8")


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    container: Any = OmegaConf.to_container(node) if not isinstance(node, dict) else node
    flat: dict[str, Any] = {}
    for key, value in container.items():
        if isinstance(value, dict) and value:
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
