"""Turn a finished run into a bundled model: float16 weights, remote code, and a card with what was measured of them.

    python recipes/bundle.py weights nafnet-small-denoise --run runs/denoise_nafnet
    samdistill evaluate nafnet-small-denoise --dataset CBSD68 --protocol rgb --sigma 25 \\
        --results recipes/results/results.jsonl
    python recipes/bundle.py card nafnet-small-denoise

The last line writes code and card anew, after a measurement or a change of the package. A teacher goes the same way:
`python recipes/bundle.py weights sam-small-bsds --run runs/small_sam`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import yaml

RECIPES = Path(__file__).parent
NOTE = "A first version, trained for minutes on one or two CPU cores: far from the best of its field."
PICTURES = "the 354 photographs of BSDS500 that lie in neither CBSD68 nor Rain100L"
LICENSE = (
    "The pictures it was trained on, the Berkeley Segmentation Data Set (BSDS500, Arbelaez et al., IEEE TPAMI 2011), "
    "are given for non-commercial research and education, and so are these weights; cite the data set. The code is "
    "under the Apache License 2.0."
)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("weights", "card"))
    parser.add_argument("name", help="of the bundled model")
    parser.add_argument("--run", type=Path, help="the output_dir of a run of recipes/distill.py")
    parser.add_argument("--history", help="sentences about the runs before this one, for the card")
    given = parser.parse_args(words)
    folder = RECIPES.parent / "model_cards" / given.name
    if (given.part == "weights") != (given.run is not None):
        parser.error("weights come from a run, so give --run its output_dir; a card is written from the folder itself")
    run = given.run
    settings = portable_settings(run / "config.yaml" if run else folder / "training.yaml")
    if given.history:
        settings["history"] = given.history
    if "task" in settings:
        write_student(run / "student" if run else folder, folder, settings)
    else:
        write_teacher(run / "teacher" if run else folder, folder, settings)
    return 0


def portable_settings(path: Path) -> dict:
    """A run's settings with the folders of the machine that ran it reduced to their last part."""

    def portable(value):
        if isinstance(value, dict):
            return {name: portable(part) for name, part in value.items()}
        is_path = isinstance(value, str) and value.startswith(("/", ".", "~"))
        return Path(value).name if is_path else value

    return portable(yaml.safe_load(path.read_text(encoding="utf-8")))


def write_teacher(source: Path, folder: Path, settings: dict) -> None:
    """The bundled folder of a small SAM."""
    from modeling_samdistill.hub.cards import write_teacher_card

    if source != folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
    (folder / "training.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    write_teacher_card(folder, settings, PICTURES, RECIPES / "results" / "results.jsonl", LICENSE)


def write_student(source: Path, folder: Path, settings: dict) -> None:
    """The whole bundled folder of a student, from the folder of a run or from itself."""
    from modeling_samdistill.hub.cards import write_restoration_card
    from modeling_samdistill.restoration.loading import load_model
    from modeling_samdistill.training.student_folder import save_student

    student = load_model(str(source))
    save_student(student, folder, half=True)
    (folder / "training.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    write_restoration_card(folder, settings, PICTURES, RECIPES / "results" / "results.jsonl", LICENSE, NOTE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
