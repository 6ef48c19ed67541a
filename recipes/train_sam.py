"""Train a small SAM from scratch on pictures with label maps: point and box prompts, several clicks, three masks each.

    accelerate launch recipes/train_sam.py --config recipes/configs/teacher_small_sam.yaml \
        --dataset pictures/ --segments masks/ --output_dir runs/small_sam

A folder of masks holds <stem>.png for each picture or, for several annotators, <stem>_<n>.png: 8 or 16 bit PNG, one
integer a region. Every key of the config is an option, nested ones with dots: --model.hidden_size 128. The same
command started again resumes. The model is left in <output_dir>/teacher/, ready for SamModel.from_pretrained.
"""

from __future__ import annotations

import argparse
import sys

from modeling_samdistill.errors import InputError


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="a YAML file, such as recipes/configs/teacher_small_sam.yaml")
    known, overrides = parser.parse_known_args(words)

    from modeling_samdistill.training.arguments import load_config
    from modeling_samdistill.training.sam import SamTrainingArguments, train_small_sam

    try:
        folder = train_small_sam(load_config(SamTrainingArguments, known.config, overrides))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    print(f"wrote {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
