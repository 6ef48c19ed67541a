"""SPF, SPD and SGR, and the cascade task that owns teacher, refiner and losses."""

from .analyser import Analyser, SamAnalyser, build_analyser
from .arguments import (
    AnalyserArguments,
    CascadeArguments,
    PhaseArguments,
    RefinerArguments,
    WeightSchedule,
)
from .cascade import DistillationTask, Refiner, build_refiner, check_settings, restore
from .fusion import build_fusion
from .relations import region_prototypes, relation_distance, relation_matrix

__all__ = [
    "Analyser",
    "AnalyserArguments",
    "CascadeArguments",
    "DistillationTask",
    "PhaseArguments",
    "Refiner",
    "RefinerArguments",
    "SamAnalyser",
    "WeightSchedule",
    "build_analyser",
    "build_fusion",
    "build_refiner",
    "check_settings",
    "region_prototypes",
    "relation_distance",
    "relation_matrix",
    "restore",
]
