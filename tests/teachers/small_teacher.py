"""A tiny SAM of random weights, saved as a run of recipes/train_sam.py leaves it."""

from __future__ import annotations

from pathlib import Path

import torch

from modeling_samdistill.teachers.small_sam import build_small_sam, small_sam_config, small_sam_processor


def saved_teacher(folder: Path, dtype: torch.dtype = torch.float32) -> Path:
    torch.manual_seed(0)
    config = small_sam_config(64, 8, hidden_size=32, num_layers=2, num_heads=2, window_size=4, decoder_size=32)
    build_small_sam(config).to(dtype).save_pretrained(folder)
    small_sam_processor(config).save_pretrained(folder)
    return folder
