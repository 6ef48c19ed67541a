"""Distil a restoration network from SAM.

    accelerate launch recipes/distill.py --config recipes/configs/denoise_nafnet.yaml --dataset pictures/ --segments masks/
    accelerate launch recipes/distill.py --config recipes/configs/derain_nafnet.yaml --dataset pictures/ --mode alone
    ACCELERATE_USE_CPU=1 torchrun --standalone --nproc_per_node 2 recipes/distill.py --config ... --dataset ...

Every key of the config is an option, nested ones with dots: --cascade.spd.weight 0.1 --data.crop_size 96. The same
command started again resumes. The student is left in <output_dir>/student/, ready for from_pretrained and the Hub.
"""

from __future__ import annotations

import argparse
import sys

from modeling_samdistill.errors import InputError


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="a YAML file, such as recipes/configs/denoise_nafnet.yaml")
    known, overrides = parser.parse_known_args(words)

    from modeling_samdistill.training.arguments import TrainingArguments, load_config
    from modeling_samdistill.training.loop import distil

    try:
        distil(load_config(TrainingArguments, known.config, overrides))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
