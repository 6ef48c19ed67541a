"""Named protocols, PSNR and SSIM as MATLAB computes them, and the results file that cards and tables are made from."""

from __future__ import annotations

from pathlib import Path


def metrics_module(name: str) -> str:
    """The folder of our `psnr` or `ssim` module, for `evaluate.load(metrics_module("psnr"))`; works offline."""
    folder = Path(__file__).parent / "metrics_modules" / name
    if not folder.is_dir():
        raise ValueError(f"there is no metric module {name!r}; use 'psnr' or 'ssim'")
    return str(folder)
