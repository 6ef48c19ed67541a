"""The settings of a run: typed dataclasses, read from YAML, overridden from the command line."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..data import DataArguments
from ..distillation import CascadeArguments
from ..errors import InputError, nearest

Config = TypeVar("Config")

MODES = ("alone", "self", "placebo", "sam", "null")

#: Names that scripts may give without their section.
SHORTHANDS = {"dataset": "data.dataset", "segments": "data.segments", "placebo": "data.placebo"}


@dataclass
class StudentArguments:
    """The network that is kept.

    Attributes:
        architecture: One of ours (`nafnet`), or `package.module:function` that gives any module from (B, 3, H, W) to
            (B, 3, H, W).
        config: Settings of that architecture, or arguments of that function.
        weights: A model folder or Hub id to start from, for fine-tuning.
    """

    architecture: str = "nafnet"
    config: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None


@dataclass
class TrainingArguments:
    """Everything about a run of `recipes/distill.py`.

    Attributes:
        task: `denoise`, `derain` or `deblur`; it is written into the student's config.
        mode: `alone` (the student without a cascade), `self` (a cascade without masks), `placebo` (with masks that
            mean nothing), `sam` (the method), or `null` (`alone` with a vanishing extra term).
        output_dir: Where checkpoints, logs and the student go. Started again with the same folder, a run resumes.
        teacher: A SAM folder or Hub id, or the name of a bundled one.
        max_steps: Optimizer steps.
        batch_size: Pictures in one optimizer step, of all processes and accumulated parts together.
        accumulate: Parts into which a process splits its share of the batch.
        learning_rate, final_learning_rate: At the top and the end of a cosine.
        warm_up_steps: Steps of linear growth before it.
        weight_decay: Of AdamW.
        clip_gradient: Largest norm of the gradient of the student, and of the refiner, each for itself; 0 never clips.
        loss: `l1`, `charbonnier` or `psnr`.
        ema_decay: Of the student's moving average, which is what is kept; 0 keeps the last weights.
        mixed_precision: `no`, `bf16` or `fp16`.
        channels_last: Memory layout, which is faster for most networks.
        compile: Use torch.compile.
        save_steps: Steps between checkpoints.
        keep: Newest checkpoints that are kept.
        validate_steps: Steps between validations; 0 validates at the end only.
        validation_pictures: At most so many pictures are validated on.
        log_steps: Steps between lines of the log.
        seed: Of everything.
        device: `auto`, `cpu` or `cuda`.
    """

    task: str = "denoise"
    mode: str = "sam"
    output_dir: str = "runs/distill"
    teacher: str | None = None
    max_steps: int = 10000
    batch_size: int = 8
    accumulate: int = 1
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-6
    warm_up_steps: int = 200
    weight_decay: float = 1e-4
    clip_gradient: float = 1.0
    loss: str = "charbonnier"
    ema_decay: float = 0.999
    mixed_precision: str = "no"
    channels_last: bool = True
    compile: bool = False
    save_steps: int = 1000
    keep: int = 2
    validate_steps: int = 1000
    validation_pictures: int = 8
    log_steps: int = 50
    seed: int = 0
    device: str = "auto"
    student: StudentArguments = field(default_factory=StudentArguments)
    cascade: CascadeArguments = field(default_factory=CascadeArguments)
    data: DataArguments = field(default_factory=DataArguments)

    def check(self) -> None:
        """Raises `InputError` for the first value that cannot be."""
        for name, value, known in (
            ("task", self.task, ("denoise", "derain", "deblur")),
            ("mode", self.mode, MODES),
            ("loss", self.loss, ("l1", "charbonnier", "psnr")),
            ("mixed_precision", self.mixed_precision, ("no", "bf16", "fp16")),
            ("device", self.device, ("auto", "cpu", "cuda")),
        ):
            if value not in known:
                raise InputError(f"{name} is {value!r}{nearest(value, known)} Choose one of: {', '.join(known)}.")
        for name in ("max_steps", "batch_size", "accumulate", "save_steps", "keep", "log_steps"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give at least 1.")
        if not self.data.dataset:
            raise InputError("No dataset is named; give --dataset a folder of pictures, a parquet folder or a Hub id.")
        self.cascade.check()
        self.data.check()
        if self.mode in ("sam", "placebo") and self.cascade.fuse == "none" and self.cascade.sgr.weight:
            raise InputError(
                "cascade.fuse is none, so there are no masks, but cascade.sgr has a weight; set one of them."
            )
        if self.data.segments is not None and self.cascade.mask_of == "restored" and self.mode == "sam":
            raise InputError(
                "cascade.mask_of is restored, but --segments gives label maps that are ready; leave out one of them."
            )

    @property
    def uses_masks(self) -> bool:
        return self.mode in ("placebo", "sam") and self.cascade.fuse != "none"


def load_config(kind: type[Config], path: str | Path | None, overrides: list[str]) -> Config:
    """A dataclass filled from its defaults, then a YAML file, then `--key value` or `--key=value` pairs.

    Keys reach into nested dataclasses with dots: `--cascade.spd.weight 0.1`. Hyphens stand for underscores.

    Raises:
        InputError: for a missing file, YAML that is none, an unknown key (naming the nearest), or a value of another
            type.
    """
    base = OmegaConf.structured(kind)
    dotted = _pairs(overrides, _keys(kind))
    try:
        if path is not None:
            if not Path(path).is_file():
                raise InputError(f"There is no config file {path}; give --config one of recipes/configs/.")
            written = OmegaConf.load(path)
            _check_keys(OmegaConf.to_container(written), kind, str(path))
            base = OmegaConf.merge(base, written)
        for key, value in dotted:
            OmegaConf.update(base, key, value if _is_text(kind, key) else OmegaConf.create(f"value: {value}").value)
        return OmegaConf.to_object(base)  # type: ignore[return-value]
    except InputError:
        raise
    except OmegaConfBaseException as error:
        sentence = str(error).splitlines()[0]
        raise InputError(f"{getattr(error, 'full_key', None) or 'A key'}: {sentence}; mend it.") from error
    except Exception as error:
        raise InputError(f"{path} cannot be read as YAML ({error}); mend it.") from error


def as_yaml(config: Any) -> str:
    """A config dataclass as YAML, every value written out."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def _pairs(overrides: list[str], known: list[str]) -> list[tuple[str, str]]:
    pairs = []
    words = iter(overrides)
    for word in words:
        if not word.startswith("--"):
            raise InputError(f"{word!r} stands alone; give options as --key value.")
        key, equals, value = word[2:].partition("=")
        if not equals:
            try:
                value = next(words)
            except StopIteration:
                raise InputError(f"--{key} has no value; give options as --key value.") from None
        key = key.replace("-", "_")
        long = SHORTHANDS.get(key, key)
        key = long if key not in known and long in known else key
        _check_key(key, [*(short for short in SHORTHANDS if SHORTHANDS[short] in known), *known], "the command line")
        pairs.append((key, value))
    return pairs


def _is_text(kind: Any, key: str) -> bool:
    """Whether the value of a dotted key is text as it stands, so that `--mode null` is a word and not nothing."""
    for name in key.split("."):
        hints = get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
        if name not in hints:
            return False
        kind = hints[name]
    return kind is str or kind == (str | None)


def _keys(kind: Any, prefix: str = "") -> list[str]:
    """All dotted keys of a dataclass; a dictionary inside takes any key below its own."""
    keys = []
    for item in dataclasses.fields(kind):
        keys.append(prefix + item.name)
        if dataclasses.is_dataclass(item.default_factory):
            keys.extend(_keys(item.default_factory, f"{prefix}{item.name}."))
        elif item.default_factory is not dataclasses.MISSING:
            example = item.default_factory()
            if dataclasses.is_dataclass(example):
                keys.extend(_keys(type(example), f"{prefix}{item.name}."))
            elif isinstance(example, dict):
                keys.append(f"{prefix}{item.name}.*")
    return keys


def _check_key(key: str, known: list[str], place: str) -> None:
    if key in known or any(name.endswith(".*") and key.startswith(name[:-1]) for name in known):
        return
    raise InputError(f"{place} has the unknown key {key!r}{nearest(key, known)} See recipes/configs/ for all keys.")


def _check_keys(written: Any, kind: Any, place: str) -> None:
    if written is None:
        return
    if not isinstance(written, dict):
        raise InputError(f"{place} is no mapping of keys to values; see recipes/configs/ for examples.")
    known = _keys(kind)

    def walk(node: dict, prefix: str) -> None:
        for key, value in node.items():
            dotted = f"{prefix}{key}"
            _check_key(dotted, known, place)
            if isinstance(value, dict) and f"{dotted}.*" not in known:
                walk(value, f"{dotted}.")

    walk(written, "")
