"""`samdistill models`: what ships with the package."""

from __future__ import annotations


def models() -> None:
    """List the bundled models with their task, parameters and size."""
    import json
    from math import prod

    from safetensors import safe_open

    from ..bundled_models import bundled_folder, bundled_names

    print(f"{'name':<28} {'type':<10} {'task':<10} {'parameters':>12} {'MB':>7}")
    for name in bundled_names():
        folder = bundled_folder(name)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        weights = folder / "model.safetensors"
        with safe_open(weights, framework="np") as file:
            parameters = sum(prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118 (no iterator)
        task = config.get("task") or ("segment" if config["model_type"] == "sam" else "-")
        size = weights.stat().st_size / 1e6
        print(f"{name:<28} {config['model_type']:<10} {task:<10} {parameters:>12,} {size:>7.1f}")
