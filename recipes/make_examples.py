"""Degrade three bundled pictures for the web page: spaces_app/examples/{noise,rain,blur}.png.

python recipes/make_examples.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURES = {"noise": "cat", "rain": "temple", "blur": "coffee"}


def main() -> int:
    import numpy as np
    from PIL import Image

    from modeling_samdistill.data import DegradationArguments, NoiseArguments, degrade
    from modeling_samdistill.data.degradations import quantise

    for kind, name in PICTURES.items():
        clean = np.asarray(Image.open(ROOT / "recipes" / "pictures" / f"{name}.png").convert("RGB"))
        arguments = DegradationArguments(kind=kind, noise=NoiseArguments(sigma=[25.0, 25.0]))
        degraded = quantise(degrade(clean.astype(np.float32) / 255, arguments, np.random.default_rng(2)))
        Image.fromarray((degraded * 255).round().astype(np.uint8)).save(
            ROOT / "spaces_app" / "examples" / f"{kind}.png"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
