"""Train a small SAM from scratch on pictures with label maps: point and box prompts, several clicks, three masks each.

    accelerate launch recipes/train_sam.py --config recipes/configs/teacher_small_sam.yaml \
        --dataset pictures/ --segments masks/ --output_dir runs/small_sam

A folder of masks holds <stem>.png for each picture or, for several annotators, <stem>_<n>.png: 8 or 16 bit PNG, one
integer a region. Every key of the config is an option, nested ones with dots: --model.hidden_size 128. The same
command started again resumes. The model is left in <output_dir>/teacher/, ready for SamModel.from_pretrained and for
SamTeacher.from_pretrained.

    python recipes/train_sam.py --choose runs/small_sam/teacher --dataset pictures/ --segments masks/
    python recipes/train_sam.py --evaluate runs/small_sam/teacher --dataset other/pictures/ --segments other/masks/

The first chooses the options of its label maps on every tenth picture, which training leaves out, and writes them into
its config.json. The second measures it, on pictures that it never saw: covering of its label maps, IoU after 1 and 3
clicks; the values are appended to --results (recipes/results/results.jsonl).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from modeling_samdistill.errors import InputError

if TYPE_CHECKING:
    from modeling_samdistill.training.sam import SamTrainingArguments


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="a YAML file, such as recipes/configs/teacher_small_sam.yaml")
    parser.add_argument("--choose", metavar="TEACHER", help="choose the options of this teacher's label maps")
    parser.add_argument("--evaluate", metavar="TEACHER", help="measure this teacher: a bundled name, folder or Hub id")
    parser.add_argument("--results", default="recipes/results/results.jsonl", help="where its values are appended")
    parser.add_argument("--limit", type=int, help="measure the first so many pictures only")
    known, overrides = parser.parse_known_args(words)

    from modeling_samdistill.training.arguments import load_config
    from modeling_samdistill.training.sam import SamTrainingArguments, train_small_sam

    try:
        arguments = load_config(SamTrainingArguments, known.config, overrides)
        if known.choose or known.evaluate:
            measure(arguments, known.choose, known.evaluate, known.results, known.limit)
        else:
            print(f"wrote {train_small_sam(arguments)}")
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


def measure(
    arguments: SamTrainingArguments, choose: str | None, evaluate: str | None, results: str, limit: int | None
) -> None:
    from modeling_samdistill.bundled_models import resolve_model
    from modeling_samdistill.teachers import SamTeacher
    from modeling_samdistill.training.sam_quality import (
        AnnotatedFolder,
        choose_options,
        evaluate_teacher,
        record,
        write_options,
    )

    if not arguments.dataset or not arguments.segments:
        raise InputError("No pictures are named; give --dataset a folder of pictures and --segments its label maps.")
    if choose:
        teacher = SamTeacher.from_pretrained(choose)
        pictures = AnnotatedFolder(arguments.dataset, arguments.segments, arguments.validation_every, limit)
        chosen = choose_options(teacher, pictures)
        write_options(resolve_model(choose), chosen)
        print(f"options chosen on {len(pictures)} picture(s): {chosen}, written into {choose}")
    if evaluate:
        teacher = SamTeacher.from_pretrained(evaluate)
        evaluation = evaluate_teacher(teacher, AnnotatedFolder(arguments.dataset, arguments.segments, limit=limit))
        command = ["recipes/train_sam.py", "--evaluate", evaluate, "--dataset", arguments.dataset]
        command += ["--segments", arguments.segments, *([] if limit is None else ["--limit", str(limit)])]
        record(results, evaluation, Path(evaluate).name, command, resolve_model(evaluate))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
