"""What is trained when, and how fast: functions of the step alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .arguments import TrainingArguments


@dataclass(frozen=True)
class Phase:
    """A stretch of steps in which the same parts are trained."""

    name: str
    first_step: int
    last_step: int


def phases_of(arguments: TrainingArguments, has_refiner: bool) -> list[Phase]:
    """One joint phase, or student, refiner, distil as `cascade.phases` shares them out."""
    steps, shares = arguments.max_steps, arguments.cascade.phases
    if not has_refiner or shares.student + shares.refiner == 0:
        return [Phase("joint", 0, steps)]
    first, second = round(steps * shares.student), round(steps * (shares.student + shares.refiner))
    phases = [Phase("student", 0, first), Phase("refiner", first, second), Phase("distil", second, steps)]
    return [phase for phase in phases if phase.last_step > phase.first_step]


def learning_rate_at(step: int, phase: Phase, arguments: TrainingArguments) -> float:
    """Linear warm-up, then half a cosine to the final rate, over the phase that `step` lies in."""
    done, length = step - phase.first_step, phase.last_step - phase.first_step
    warm_up = min(arguments.warm_up_steps, length // 10)
    if done < warm_up:
        return arguments.learning_rate * (done + 1) / warm_up
    progress = (done - warm_up) / max(1, length - warm_up)
    low, high = arguments.final_learning_rate, arguments.learning_rate
    return low + (high - low) * 0.5 * (1 + math.cos(math.pi * progress))
