"""Loading a model with one clear sentence for everything that can be wrong with it."""

from __future__ import annotations

from pathlib import Path

import torch
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageToImage

from ..bundled_models import bundled_folder, bundled_names
from ..errors import InputError
from ..models import ImageRestorationPreTrainedModel, RestorationImageProcessor

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_PICKLED = ("*.bin", "*.pth", "*.pt", "*.ckpt")


def load_model(name: str, task: str | None = None, trust_remote_code: bool = False) -> ImageRestorationPreTrainedModel:
    """A restoration network with float32 weights, whatever type they are stored in.

    Args:
        name: A bundled model, a folder, or a Hub id.
        task: What it has to be trained for, or None.

    Raises:
        InputError: when there is no such model, its weights are missing, pickled, broken or do not fit, or it was
            trained for another task.
    """
    place = find_model(name)
    try:
        config = AutoConfig.from_pretrained(place, trust_remote_code=trust_remote_code)
        check_task(name, getattr(config, "task", None), task)
        model, report = AutoModelForImageToImage.from_pretrained(
            place,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
    except InputError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, HfHubHTTPError) as error:
        raise InputError(
            f"The model {name!r} cannot be loaded ({_first_line(error)}): give a bundled name, a folder written by "
            "`save_pretrained`, or a Hub id that can be reached."
        ) from error
    if not hasattr(model, "size_multiple"):
        raise InputError(
            f"The model {name!r} is a {config.model_type}, which is not one of this package's restoration networks: name "
            "one that `samdistill models` lists, a folder of a recipe, or a Hub id of such a model."
        )
    wrong = sorted(report["missing_keys"]) + sorted(report["unexpected_keys"])
    if wrong or report["mismatched_keys"]:
        raise InputError(
            f"The weights of {name!r} do not fit its config.json ({len(wrong)} parameters missing or unexpected, "
            f"such as {wrong[:2]}): take both from the same model."
        )
    return model


def load_processor(model: ImageRestorationPreTrainedModel, trust_remote_code: bool = False):
    """The image processor beside the model, or the package's own where the folder has none."""
    place = str(model.config.name_or_path)
    if Path(place).is_dir() and not (Path(place) / "preprocessor_config.json").is_file():
        return RestorationImageProcessor(num_channels=model.config.num_channels)
    return AutoImageProcessor.from_pretrained(place, trust_remote_code=trust_remote_code)


def find_model(name: str) -> str:
    """A bundled name or a folder to a complete model folder; a Hub id stays as it is.

    Raises:
        InputError: when a folder is incomplete, or the name is neither bundled, a folder nor like a Hub id.
    """
    if name in bundled_names():
        return str(bundled_folder(name))
    folder = Path(name).expanduser()
    if folder.is_dir():
        _check_folder(folder)
        return str(folder)
    parts = name.split("/")
    if folder.exists() or len(parts) > 2 or name.startswith((".", "~")):
        raise InputError(f"{name!r} is not a model folder: give a folder with config.json and model.safetensors.")
    if len(parts) == 1:
        bundled_folder(name)  # raises, naming the bundled models
    return name


def check_task(name: str, trained_for: str | None, task: str | None) -> None:
    """Raises InputError when a model that says what it was trained for is asked for something else."""
    if task is not None and trained_for is not None and task != trained_for:
        raise InputError(
            f"The model {name!r} was trained to {trained_for}, not to {task}: choose a model for {task}, or leave "
            "the task out to use this one anyway."
        )


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise InputError(f"The folder {str(folder)!r} has no config.json, so it is not a model: check the name.")
    if any((folder / name).is_file() for name in _WEIGHTS):
        return
    pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
    if pickled:
        raise InputError(
            f"The weights in {str(folder)!r} are pickled ({pickled[0]}), which can run code when loaded: save the "
            "model as model.safetensors with `save_pretrained`."
        )
    raise InputError(f"The folder {str(folder)!r} has a config.json but no weights: add model.safetensors.")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]
