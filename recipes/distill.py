"""Distil a restoration network from SAM.

    accelerate launch recipes/distill.py --config recipes/configs/denoise_nafnet.yaml --dataset photos/ --segments masks/
    accelerate launch recipes/distill.py --config recipes/configs/derain_nafnet.yaml --dataset photos/ --mode alone
    ACCELERATE_USE_CPU=1 torchrun --standalone --nproc_per_node 2 recipes/distill.py --config ... --dataset photos/

Every key of the config is an option, nested ones with dots: --cascade.spd.weight 0.1 --data.crop_size 96. The same
command started again resumes. The student is left in <output_dir>/student/, ready for from_pretrained and the Hub.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from modeling_samdistill.errors import InputError


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="a YAML file, such as recipes/configs/denoise_nafnet.yaml")
    known, overrides = parser.parse_known_args(words)

    from modeling_samdistill.training.arguments import TrainingArguments, load_config
    from modeling_samdistill.training.loop import distil

    try:
        arguments = load_config(TrainingArguments, known.config, overrides)
        distil(arguments)
        write_card(arguments)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


def write_card(arguments) -> None:
    """The student's card; results measured later come into it by recipes/bundle.py."""
    from accelerate import PartialState

    from modeling_samdistill.hub.cards import write_restoration_card

    folder, results = Path(arguments.output_dir), Path(__file__).parent / "results" / "results.jsonl"
    ours = (folder / "student" / "config.json").is_file()
    if PartialState().is_main_process and ours:
        pictures = f"`{Path(arguments.data.dataset).name}`"
        write_restoration_card(folder / "student", asdict(arguments), pictures, results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
