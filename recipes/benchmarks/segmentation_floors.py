"""What a teacher has to be above: SLIC superpixels and Felzenszwalb's segmentation, which never saw a training picture.

    python recipes/benchmarks/segmentation_floors.py choose --dataset train/images --segments train/masks
    python recipes/benchmarks/segmentation_floors.py measure --dataset heldout/images --segments heldout/masks

`choose` takes the parameters with the best mean covering, on all pictures but every tenth, and writes them to
recipes/configs/segmentation_floors.yaml; `measure` reads them there and appends the covering to the results file.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np
import yaml
from skimage.segmentation import felzenszwalb, slic

from modeling_samdistill.errors import InputError
from modeling_samdistill.training.sam_quality import AnnotatedFolder, evaluate_floor, record

CONFIG = Path(__file__).parents[1] / "configs" / "segmentation_floors.yaml"


def slic_labels(pixels: np.ndarray, n_segments: int, compactness: float) -> np.ndarray:
    return slic(pixels, n_segments=n_segments, compactness=compactness, start_label=1)


def felzenszwalb_labels(pixels: np.ndarray, scale: float, sigma: float, min_size: int) -> np.ndarray:
    return felzenszwalb(pixels, scale=scale, sigma=sigma, min_size=min_size) + 1


METHODS = {"slic": slic_labels, "felzenszwalb": felzenszwalb_labels}
GRID: dict[str, list[dict[str, float | int]]] = {
    "slic": [{"n_segments": n, "compactness": c} for n in (4, 6, 9, 12, 18, 25, 40) for c in (1.0, 10.0, 30.0)],
    "felzenszwalb": [
        {"scale": scale, "sigma": 0.8, "min_size": size} for scale in (200, 400, 700, 1000, 1500) for size in (50, 500)
    ],
}


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("choose", "measure"))
    parser.add_argument("--dataset", required=True, help="a folder of pictures")
    parser.add_argument("--segments", required=True, help="a folder of their label maps")
    parser.add_argument("--limit", type=int, help="the first so many pictures only")
    parser.add_argument("--config", default=str(CONFIG), help="where the parameters are")
    parser.add_argument("--results", default="recipes/results/results.jsonl", help="where values are appended")
    given = parser.parse_args(words)
    try:
        if given.what == "choose":
            choose(AnnotatedFolder(given.dataset, given.segments, every=-10, limit=given.limit), Path(given.config))
        else:
            measure(given)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


def choose(pictures: AnnotatedFolder, config: Path) -> None:
    chosen = {}
    for name, method in METHODS.items():
        coverings = []
        for parameters in GRID[name]:
            evaluation = evaluate_floor(name, partial(method, **parameters), pictures, parameters)
            coverings.append(evaluation.means["covering"])
            print(f"{name} {parameters}: covering {coverings[-1]:.4f}", flush=True)
        chosen[name] = GRID[name][int(np.argmax(coverings))]
    config.write_text(
        f"# Chosen on {len(pictures)} training pictures by recipes/benchmarks/segmentation_floors.py choose.\n"
        + yaml.safe_dump(chosen, sort_keys=False, default_flow_style=None)
    )
    print(f"wrote {config}")


def measure(given: argparse.Namespace) -> None:
    if not Path(given.config).is_file():
        raise InputError(f"There is no {given.config}: run this script with `choose` first.")
    chosen = yaml.safe_load(Path(given.config).read_text())
    pictures = AnnotatedFolder(given.dataset, given.segments, limit=given.limit)
    command = ["recipes/benchmarks/segmentation_floors.py", "measure"]
    command += ["--dataset", given.dataset, "--segments", given.segments]
    command += [] if given.limit is None else ["--limit", str(given.limit)]
    for name, method in METHODS.items():
        evaluation = evaluate_floor(name, partial(method, **chosen[name]), pictures, chosen[name])
        record(given.results, evaluation, name, command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
