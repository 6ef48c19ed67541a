"""Degrade three bundled pictures for the web page, and show what the bundled students make of them.

    python recipes/make_examples.py

Writes spaces_app/examples/{noise,rain,blur}.png and recipes/results/before_after.jpg: a row a task, of the degraded
picture, the restored one and the clean one.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURES = {"noise": ("cat", "denoise"), "rain": ("temple", "derain"), "blur": ("coffee", "deblur")}


def main() -> int:
    import numpy as np
    from PIL import Image

    from modeling_samdistill import ImageRestorationPipeline
    from modeling_samdistill.bundled_models import MODEL_OF_TASK

    rows = []
    for kind, (name, task) in PICTURES.items():
        clean = Image.open(ROOT / "recipes" / "pictures" / f"{name}.png").convert("RGB")
        degraded = degrade_picture(clean, kind)
        degraded.save(ROOT / "spaces_app" / "examples" / f"{kind}.png")
        restored = ImageRestorationPipeline.from_pretrained(MODEL_OF_TASK[task])(degraded)
        rows.append(np.concatenate([np.asarray(picture)[:239] for picture in (degraded, restored, clean)], axis=1))
    figure = Image.fromarray(np.concatenate(rows, axis=0))
    figure.save(ROOT / "recipes" / "results" / "before_after.jpg", quality=92)
    return 0


def degrade_picture(clean, kind: str):
    """A PIL picture, degraded and rounded to 8 bit."""
    import numpy as np
    from PIL import Image

    from modeling_samdistill.data import DegradationArguments, NoiseArguments, degrade
    from modeling_samdistill.data.degradations import quantise

    arguments = DegradationArguments(kind=kind, noise=NoiseArguments(sigma=[25.0, 25.0]))
    pixels = np.asarray(clean).astype(np.float32) / 255
    degraded = quantise(degrade(pixels, arguments, np.random.default_rng(2)))
    return Image.fromarray((degraded * 255).round().astype(np.uint8))


if __name__ == "__main__":
    sys.exit(main())
