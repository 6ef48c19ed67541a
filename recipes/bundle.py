"""Turn a finished run into a bundled model: float16 weights and a card with what was measured of them.

python recipes/bundle.py weights runs/denoise_nafnet nafnet-small-denoise
samdistill evaluate nafnet-small-denoise --dataset CBSD68 --protocol rgb --sigma 25
python recipes/bundle.py card runs/denoise_nafnet nafnet-small-denoise
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

RECIPES = Path(__file__).parent
PICTURES = "the 354 photographs of BSDS500 that lie in neither CBSD68 nor Rain100L"
LICENSE = (
    "The pictures it was trained on, the Berkeley Segmentation Data Set (BSDS500, Arbelaez et al., IEEE TPAMI 2011), are "
    "given for non-commercial research and education, and so are these weights; cite the data set. The code is under the "
    "Apache License 2.0."
)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("weights", "card"))
    parser.add_argument("run", type=Path, help="the output_dir of a run of recipes/distill.py")
    parser.add_argument("name", help="of the bundled model")
    given = parser.parse_args(words)

    from transformers import AutoModelForImageToImage

    from modeling_samdistill.hub.cards import write_restoration_card
    from modeling_samdistill.training.student_folder import save_student

    folder = RECIPES.parent / "model_cards" / given.name
    if given.part == "weights":
        save_student(AutoModelForImageToImage.from_pretrained(given.run / "student"), folder, half=True)
    results = RECIPES / "results" / "results.jsonl"
    write_restoration_card(folder, given.name, given.run, PICTURES, results, LICENSE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
