"""Does the prior help? Trains the same student in every mode from one config and measures what differs.

    python recipes/compare.py --config recipes/configs/denoise_nafnet.yaml --dataset photos/ \\
        --modes alone null self placebo sam --seeds 0 --output_dir runs/compare \\
        --test CBSD68/ --protocol rgb --sigma 25 --max_steps 1000

Options that are not listed here are those of recipes/distill.py. Runs that are finished are not made again. Each run
lies in <output_dir>/<mode>-<seed>/, each measurement becomes a line of the results file, and the table is written to
recipes/results/<name>.csv: mean PSNR of each mode, and its difference to `alone` of the same seed with a 95 % interval.
With one seed the interval is over pictures and understates what chance does; the row `null` shows that.
"""

from __future__ import annotations

import argparse
import csv
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

RESULTS = Path(__file__).parent / "results"


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--name", help="of the table; the config's name where it is not given")
    parser.add_argument("--modes", nargs="+", default=["alone", "null", "self", "placebo", "sam"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--output_dir", type=Path, default=Path("runs/compare"))
    parser.add_argument("--test", required=True, help="the evaluation set, as samdistill evaluate takes it")
    parser.add_argument("--protocol", required=True)
    parser.add_argument("--sigma", type=float)
    parser.add_argument("--kernels", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS / "results.jsonl")
    given, overrides = parser.parse_known_args(words)
    # As it can be given elsewhere: files and folders by their last part.
    portable = [Path(word).name if Path(word).exists() else word for word in words]
    given.command = shlex.join(["python", "recipes/compare.py", *portable])

    from modeling_samdistill.errors import InputError

    try:
        values = {
            (mode, seed): measure(train(mode, seed, given, overrides), mode, seed, given)
            for seed in given.seeds
            for mode in given.modes
        }
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    rows = table(values, given.modes, given.seeds)
    path = given.results.parent / f"{given.name or Path(given.config).stem}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    print(f"Written to {path}.")
    return 0


def train(mode: str, seed: int, given: argparse.Namespace, overrides: list[str]) -> Path:
    """The finished run of one mode and seed."""
    from modeling_samdistill.training.arguments import TrainingArguments, load_config
    from modeling_samdistill.training.loop import distil
    from modeling_samdistill.training.run_folder import open_run_folder

    folder = given.output_dir / f"{mode}-{seed}"
    run = ["--mode", mode, "--seed", str(seed), "--output_dir", str(folder)]
    arguments = load_config(TrainingArguments, given.config, [*overrides, *run])
    if (folder / "student" / "config.json").is_file():
        open_run_folder(folder, arguments)  # refuses a run that was made with other settings
    else:
        distil(arguments)
    return folder


def measure(folder: Path, mode: str, seed: int, given: argparse.Namespace) -> list[float]:
    """PSNR of each picture of the test set; new measurements are appended to the results file."""
    from modeling_samdistill.blur_kernels import read_kernels
    from modeling_samdistill.evaluation.protocols import protocol_named
    from modeling_samdistill.evaluation.results import read_results, record_evaluation, weights_sha256
    from modeling_samdistill.evaluation.run import evaluate_model
    from modeling_samdistill.evaluation.sets import open_set
    from modeling_samdistill.restoration.loading import load_model

    protocol = protocol_named(given.protocol)
    pictures = open_set(given.test, channels=protocol.channels)
    kernels = None if given.kernels is None else read_kernels(given.kernels)
    evaluation = evaluate_model(
        load_model(str(folder / "student")), pictures, protocol, sigma=given.sigma, kernels=kernels
    )
    sha256 = weights_sha256(folder / "student")
    known = read_results(given.results) if given.results.is_file() else []
    this = (sha256, evaluation.dataset, evaluation.protocol, evaluation.arguments)
    if not any((row.weights_sha256, row.dataset, row.protocol, row.arguments) == this for row in known):
        record_evaluation(
            given.results,
            evaluation,
            model=f"{given.name or Path(given.config).stem}-{mode}-seed{seed}",
            weights_sha256=sha256,
            command=given.command,
            seed=seed,
            steps=int(load_run(folder)["max_steps"]),
        )
    return [picture.values["psnr"] for picture in evaluation.pictures]


def load_run(folder: Path) -> dict:
    """The settings that a run wrote into its folder."""
    return yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))


def table(
    values: dict[tuple[str, int], list[float]], modes: Sequence[str], seeds: Sequence[int]
) -> list[dict[str, object]]:
    """One row a mode: mean PSNR in dB over seeds and pictures, and the paired difference to `alone`."""
    import numpy as np
    from scipy import stats

    rows = []
    for mode in modes:
        row: dict[str, object] = {"mode": mode, "seeds": len(seeds)}
        row["psnr"] = f"{np.mean([values[mode, seed] for seed in seeds]):.3f}"
        if "alone" in modes:
            differences = np.array([np.subtract(values[mode, seed], values["alone", seed]) for seed in seeds])
            # Over seeds where there are several, which is what counts; over pictures where there is one.
            samples = differences.mean(axis=1) if len(seeds) > 1 else differences[0]
            half = stats.t.ppf(0.975, len(samples) - 1) * stats.sem(samples) if len(samples) > 1 else float("nan")
            row["difference"] = f"{differences.mean():+.3f}"
            row["interval"] = f"{differences.mean() - half:+.3f} .. {differences.mean() + half:+.3f}"
            row["interval_over"] = "seeds" if len(seeds) > 1 else "pictures"
        rows.append(row)
    return rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
