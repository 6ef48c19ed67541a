"""The cascade: the student, the refiner that the masks help, and the losses that bring the one's result to the other.

"Distilling Semantic Priors from SAM to Efficient Image Restoration Models" (arXiv 2403.16368) names the parts SPF, SPD
and SGR; what the task does where the abstract is silent is ours.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel

from ..errors import InputError, nearest
from ..models import ImageRestorationConfig, ImageRestorationPreTrainedModel
from ..models.modeling_image_restoration import reconstruction_loss
from ..teachers.semantic_masks import SemanticMasks
from .arguments import CascadeArguments
from .fusion import Fusion, build_fusion
from .relations import relation_distance

if TYPE_CHECKING:
    from ..teachers.sam import SamTeacher
    from .analyser import Analyser, SamAnalyser


class Refiner(nn.Module):
    """SPF: the fusion of picture and masks, and the second network on top of it.

    Args:
        fusion: An SPF operator.
        network: One of our architectures that takes the fusion's channels and gives 3.
    """

    def __init__(self, fusion: Fusion, network: ImageRestorationPreTrainedModel):
        super().__init__()
        self.fusion = fusion
        self.network = network

    def forward(self, degraded: torch.Tensor, restored: torch.Tensor, masks: SemanticMasks | None) -> torch.Tensor:
        """(B, 3, H, W) degraded and restored, both in [0, 1], to (B, 3, H, W) refined."""
        return self.network(self.fusion(degraded, restored, masks)).reconstruction


class DistillationTask(nn.Module):
    """Owns student, refiner, teacher, analyser and losses; this is what is trained, and what DDP wraps.

    The student is not touched: any module from (B, 3, H, W) to (B, 3, H, W), or to an output with `reconstruction`.
    Teacher and analyser are frozen and stay in eval whatever `train()` says, and no `state_dict()` has them.

    Args:
        student: The network that is kept.
        arguments: The cascade; `None` trains the student alone.
        refiner: The second network; needed with `arguments`.
        teacher: SAM, where masks are made in each step.
        analyser: Where SGR has a weight.
        loss: Of reconstruction, see `reconstruction_loss`.
        null_weight: Weight of a term that means nothing, to show how far chance alone moves a run.
    """

    def __init__(
        self,
        student: nn.Module,
        arguments: CascadeArguments | None = None,
        refiner: Refiner | None = None,
        teacher: SamTeacher | None = None,
        analyser: Analyser | SamAnalyser | None = None,
        loss: str = "charbonnier",
        null_weight: float = 0.0,
    ):
        super().__init__()
        if (arguments is None) != (refiner is None):
            raise ValueError("A cascade needs both its arguments and a refiner; the student alone needs neither.")
        self.student = student
        self.refiner = refiner
        self.arguments = arguments
        self.loss = loss
        self.null_weight = null_weight
        # In lists, so that neither is a sub-module: no state dict, no DDP broadcast, no `train()` reaches them.
        self._teacher = [] if teacher is None else [teacher]
        self._analyser = [] if analyser is None else [analyser]
        self.refiner_average: AveragedModel | None = None
        if arguments is not None and refiner is not None and arguments.refiner.target == "ema":
            decay = arguments.refiner.ema_decay
            self.refiner_average = AveragedModel(refiner, avg_fn=warmed_up_average(decay)).requires_grad_(False)
        self.set_phase("joint")

    def set_phase(self, phase: str) -> None:
        """Marks what is trained: every parameter that requires a gradient gets one in this phase.

        Args:
            phase: `joint`, everything; or, one after the other, `student`, `refiner`, and `distil`, the student by the
                refiner.
        """
        self.phase = phase
        self.student.requires_grad_(phase != "refiner")
        if self.refiner is not None:
            frozen = self.arguments is not None and self.arguments.refiner.target == "frozen"
            self.refiner.requires_grad_(phase in ("joint", "refiner") if not frozen else phase == "refiner")

    def export(self) -> nn.Module:
        """A plain copy of the student in eval mode, as it was before it was wrapped."""
        return copy.deepcopy(self.student).requires_grad_(True).eval()

    def to(self, *arguments, **keywords) -> DistillationTask:
        """As `nn.Module.to`; takes teacher and analyser along."""
        for module in (*self._teacher, *self._analyser):
            module.to(*arguments, **keywords)
        return super().to(*arguments, **keywords)

    def forward(
        self,
        degraded: torch.Tensor,
        clean: torch.Tensor,
        labels: torch.Tensor | None = None,
        progress: float = 0.0,
    ) -> dict[str, torch.Tensor]:
        """
        Args:
            degraded, clean: (B, 3, H, W), in [0, 1].
            labels: (B, H, W) int64 label maps, 0 = none; without them the teacher makes them where masks are fused.
            progress: Share of the phase that is done, for the schedules.

        Returns:
            `total` and every term of it under its own name, scalars; terms that have no weight yet are absent.
        """
        if self.phase == "refiner":
            with torch.no_grad():
                restored = restore(self.student, degraded)
        else:
            restored = restore(self.student, degraded)
        losses: dict[str, torch.Tensor] = {}
        if self.phase != "refiner":
            losses["reconstruction"] = reconstruction_loss(restored, clean, self.loss)
        if self.null_weight:
            losses["null"] = self.null_weight * restored.float().square().mean()
        if self.refiner is not None and self.phase != "student":
            losses.update(self._cascade(degraded, restored, clean, labels, progress))
        losses["total"] = torch.stack(list(losses.values())).sum() if len(losses) > 1 else next(iter(losses.values()))
        return losses

    def after_step(self) -> None:
        """To be called after every optimizer step: moves the refiner's average."""
        if self.refiner_average is not None and self.refiner is not None and self.phase != "student":
            self.refiner_average.update_parameters(self.refiner)

    def refine(
        self, degraded: torch.Tensor, restored: torch.Tensor, clean: torch.Tensor, labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        """I2 of the network that is trained, for validation; arguments as in `forward`."""
        return self._refiner()(degraded, restored, self._masks(restored, clean, labels))

    def _cascade(
        self,
        degraded: torch.Tensor,
        restored: torch.Tensor,
        clean: torch.Tensor,
        labels: torch.Tensor | None,
        progress: float,
    ) -> dict[str, torch.Tensor]:
        assert self.arguments is not None
        masks = self._masks(restored, clean, labels)
        losses = {}
        refined = None
        if any(parameter.requires_grad for parameter in self._refiner().parameters()):
            through = self.arguments.refiner.gradient == "through" and self.phase == "joint"
            refined = self._refiner()(degraded, restored if through else restored.detach(), masks)
            weight = self.arguments.refiner_weight
            losses["refiner"] = weight * reconstruction_loss(refined, clean, self.loss)
        if self.phase != "refiner":
            losses.update(self._distillation(degraded, restored, refined, clean, masks, progress))
        return losses

    def _distillation(
        self,
        degraded: torch.Tensor,
        restored: torch.Tensor,
        refined: torch.Tensor | None,
        clean: torch.Tensor,
        masks: SemanticMasks | None,
        progress: float,
    ) -> dict[str, torch.Tensor]:
        assert self.arguments is not None
        spd, sgr = self.arguments.spd.at(progress), self.arguments.sgr.at(progress)
        if not spd and not sgr:
            return {}
        target = self._target(degraded, restored, refined, masks)
        losses = {}
        if spd:
            losses["spd"] = spd * F.l1_loss(restored.float(), target.float())
        if sgr:
            if masks is None or not self._analyser:
                raise ValueError("SGR has a weight but there are no masks or no analyser; give both, or weight 0.")
            compared = clean if self.arguments.sgr_target == "clean" else target
            with torch.no_grad():
                target_features = self._analyser[0](compared)
            features = self._analyser[0](restored)
            losses["sgr"] = sgr * relation_distance(features, target_features, masks, self.arguments.sgr_relation)
        return losses

    def _target(
        self,
        degraded: torch.Tensor,
        restored: torch.Tensor,
        refined: torch.Tensor | None,
        masks: SemanticMasks | None,
    ) -> torch.Tensor:
        """What the student learns from, without a gradient."""
        if self.refiner_average is None and refined is not None:
            return refined.detach()
        refiner = self._refiner() if self.refiner_average is None else self.refiner_average
        with torch.no_grad():
            return refiner(degraded, restored, masks)

    def _refiner(self) -> Refiner:
        if self.refiner is None:
            raise ValueError("This task trains a student alone and has no refiner.")
        return self.refiner

    def _masks(self, restored: torch.Tensor, clean: torch.Tensor, labels: torch.Tensor | None) -> SemanticMasks | None:
        assert self.arguments is not None
        if self.arguments.fuse == "none":
            return None
        if labels is not None:
            return SemanticMasks.from_label_maps(labels, self.arguments.max_regions)
        if not self._teacher:
            raise ValueError(f"fuse is {self.arguments.fuse!r} but there are neither label maps nor a teacher.")
        seen = restored.detach() if self.arguments.mask_of == "restored" else clean
        return self._teacher[0](seen.float().clamp(0, 1))


def restore(network: nn.Module, degraded: torch.Tensor) -> torch.Tensor:
    """The network's picture, whether it gives a tensor or an output with `reconstruction`."""
    output = network(degraded)
    return output if isinstance(output, torch.Tensor) else output.reconstruction


def check_settings(config_class: type[ImageRestorationConfig], settings: dict, place: str) -> None:
    """Refuses what a configuration does not know, which transformers would keep without a word.

    Raises:
        InputError: naming the nearest setting.
    """
    known = config_class().to_dict()
    for name in settings:
        if name not in known:
            raise InputError(
                f"{place} has the unknown setting {name!r} for {config_class.model_type}{nearest(name, known)}"
            )


def build_refiner(
    arguments: CascadeArguments, student: nn.Module, architectures: dict[str, tuple[type, type]]
) -> Refiner:
    """A refiner with fresh weights: the student's architecture and settings unless the arguments name others."""
    fusion = build_fusion(arguments.fuse, arguments.max_regions, arguments.fuse_width)
    settings = dict(arguments.refiner.config)
    own = student.config if isinstance(student, ImageRestorationPreTrainedModel) else None
    architecture = arguments.refiner.architecture or (own.model_type if own is not None else None)
    if architecture is None:
        raise InputError("The student is a foreign module, so cascade.refiner.architecture has to name one of ours.")
    if architecture not in architectures:
        raise InputError(
            f"cascade.refiner.architecture is {architecture!r}{nearest(architecture, architectures)} "
            f"Choose one of: {', '.join(architectures)}."
        )
    config_class, model_class = architectures[architecture]
    check_settings(config_class, settings, "cascade.refiner.config")
    if own is not None and architecture == own.model_type:
        inherited = own.to_dict()
        names = set(config_class().to_dict()) - set(_NOT_INHERITED)
        settings = {**{name: inherited[name] for name in names if name in inherited}, **settings}
    settings.update(num_channels=fusion.out_channels, num_channels_out=3)
    return Refiner(fusion, model_class(config_class(**settings)))


_NOT_INHERITED = ("model_type", "transformers_version", "architectures", "auto_map", "dtype", "task", "_name_or_path")


def warmed_up_average(decay: float):
    """An averaging function for `AveragedModel` whose decay grows from 0.1 to `decay`, so that it is soon useful."""

    def average(averaged: torch.Tensor, current: torch.Tensor, count: torch.Tensor | int) -> torch.Tensor:
        rate = min(decay, (1 + float(count)) / (10 + float(count)))
        return averaged + (1 - rate) * (current.detach() - averaged)

    return average
