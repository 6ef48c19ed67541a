"""How a small SAM is optimised: which weights decay, the learning rate by step."""

from __future__ import annotations

import math

from torch import nn

from modeling_samdistill.training.sam_task import SamTrainingTask


def decay_groups(task: SamTrainingTask, weight_decay: float) -> list[dict]:
    """Weight decay for matrices and kernels only: not for biases, norms, embeddings and positions."""
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in task.named_parameters():
        if parameter.requires_grad:
            plain = parameter.ndim < 2 or "embed" in name or "rel_pos" in name or "token" in name
            (others if plain else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def schedule(step: int, warmup: int, steps: int) -> float:
    """Linear warm-up, then half a cosine to a hundredth."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
