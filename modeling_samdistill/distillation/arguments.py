"""The cascade's settings, as they stand in the recipes' YAML files."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError, nearest


@dataclass
class WeightSchedule:
    """The weight of one loss term. All times are shares of the phase that trains with it (of the run where all is
    trained jointly), in [0, 1].

    Attributes:
        weight: Its full value; 0 leaves the term out.
        start: Before this the weight is 0.
        warm_up: From `start` it grows linearly for so long.
        anneal_from: From here to the end it falls to 0 as half a cosine; 1 never anneals.
    """

    weight: float = 0.0
    start: float = 0.0
    warm_up: float = 0.0
    anneal_from: float = 1.0

    def at(self, progress: float) -> float:
        """The weight when `progress` of the phase, in [0, 1], is done."""
        if progress < self.start or self.weight == 0:
            return 0.0
        grown = 1.0 if self.warm_up == 0 else min(1.0, (progress - self.start) / self.warm_up)
        if progress <= self.anneal_from:
            return self.weight * grown
        gone = (progress - self.anneal_from) / (1 - self.anneal_from)
        return self.weight * grown * 0.5 * (1 + math.cos(math.pi * gone))


@dataclass
class RefinerArguments:
    """The second network.

    Attributes:
        architecture: One of ours; nothing takes the student's.
        config: Settings of that architecture that differ from the student's, or from its defaults.
        weights: A folder written by an earlier run's `refiner/`, to start from.
        gradient: `detached`, or `through`: the refiner's reconstruction loss then also trains the student.
        target: Whose output the student learns from: `live`, the refiner in training; `ema`, its moving average;
            `frozen`, the refiner as it was loaded or as its own phase left it.
        ema_decay: Of that moving average.
    """

    architecture: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    gradient: str = "detached"
    target: str = "live"
    ema_decay: float = 0.999


@dataclass
class AnalyserArguments:
    """The frozen network whose features SGR compares.

    Attributes:
        name: `torchvision:NAME`, `timm:NAME`, or `sam` for the teacher's image encoder.
        layers: Modules of a torchvision network by their path (`features.3`), or stages of a timm network (`1`).
        weights: A safetensors file; nothing takes the weights that the library downloads.
    """

    name: str = "torchvision:vgg19"
    layers: list[str] = field(default_factory=lambda: ["features.8", "features.17", "features.26"])
    weights: str | None = None


@dataclass
class PhaseArguments:
    """Three phases instead of one: shares of the run in which only the student, then only the refiner is trained.

    What is left is distillation. Both 0 trains everything jointly.
    """

    student: float = 0.0
    refiner: float = 0.0


@dataclass
class CascadeArguments:
    """SPF, SPD and SGR.

    Attributes:
        fuse: The SPF operator: `none`, `concat`, `modulate` or `region_pool`.
        fuse_width: Channels of the features that `modulate` and `region_pool` make.
        max_regions: At most so many regions a picture, largest first.
        mask_of: `target`, the teacher sees the clean picture; `restored`, what the student makes of it.
        mask_cache: The teacher runs once for each clean picture, before the training.
        refiner_weight: Of rec(I2, y).
        spd: Of the distance between the student's and the refiner's picture.
        sgr: Of the distance between their relation matrices.
        sgr_relation: `cosine` or `l2`.
        sgr_target: The relations the student's are compared with: `refined`, of I2, or `clean`, of y.
    """

    fuse: str = "region_pool"
    fuse_width: int = 16
    max_regions: int = 32
    mask_of: str = "target"
    mask_cache: bool = True
    refiner_weight: float = 1.0
    spd: WeightSchedule = field(default_factory=lambda: WeightSchedule(0.1, start=0.3, warm_up=0.2, anneal_from=0.7))
    sgr: WeightSchedule = field(default_factory=WeightSchedule)
    sgr_relation: str = "cosine"
    sgr_target: str = "refined"
    refiner: RefinerArguments = field(default_factory=RefinerArguments)
    analyser: AnalyserArguments = field(default_factory=AnalyserArguments)
    phases: PhaseArguments = field(default_factory=PhaseArguments)

    def check(self) -> None:
        """Raises `InputError` for an unknown word or a combination that contradicts itself."""
        for name, value, known in (
            ("fuse", self.fuse, ("none", "concat", "modulate", "region_pool")),
            ("mask_of", self.mask_of, ("target", "restored")),
            ("sgr_relation", self.sgr_relation, ("cosine", "l2")),
            ("sgr_target", self.sgr_target, ("refined", "clean")),
            ("refiner.gradient", self.refiner.gradient, ("detached", "through")),
            ("refiner.target", self.refiner.target, ("live", "ema", "frozen")),
        ):
            if value not in known:
                raise InputError(
                    f"cascade.{name} is {value!r}{nearest(value, known)} Choose one of: {', '.join(known)}."
                )
        if self.mask_of == "restored" and self.mask_cache:
            raise InputError(
                "cascade.mask_of is restored and cascade.mask_cache is true, but the restored picture changes with "
                "every step: set mask_cache to false, or mask_of to target."
            )
        if not 0 <= self.phases.student + self.phases.refiner < 1:
            raise InputError(
                f"cascade.phases take {self.phases.student} and {self.phases.refiner} of the run: "
                "together they have to leave a part for distilling."
            )
        frozen_without_making = self.phases.refiner == 0 and self.refiner.weights is None
        if self.refiner.target == "frozen" and frozen_without_making:
            raise InputError(
                "cascade.refiner.target is frozen, but this refiner is never trained: give cascade.refiner.weights, "
                "or a phase of its own by cascade.phases.refiner."
            )
