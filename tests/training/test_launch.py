"""The recipe as people launch it: accelerate, torchrun, a kill in the middle, wrong input."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageToImage

from tests.models.restoration_model_mixin import REMOTE_CODE, run_without_the_package
from tests.training.small_runs import options, write_pictures

ROOT = Path(__file__).parents[2]
RECIPE = str(ROOT / "recipes" / "distill.py")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, count=6)
    return folder


def launch(*words, **keywords):
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, **keywords
    )


def totals(output_dir):
    entries = [json.loads(line) for line in (output_dir / "log.jsonl").read_text().splitlines()]
    return {entry["step"]: entry["total"] for entry in entries if "total" in entry}


@pytest.mark.slow
def test_a_run_killed_in_the_middle_ends_with_bit_identical_weights(folder, tmp_path):
    settings = {
        "mode": "sam",
        "max_steps": "60",
        "save_steps": "5",
        "cascade__refiner__target": "ema",
        "data__segments": str(folder / "masks"),
        "data__workers": "1",
    }
    whole = launch(RECIPE, *options(folder, tmp_path / "whole", **settings))
    assert whole.returncode == 0, whole.stderr
    words = [sys.executable, RECIPE, *options(folder, tmp_path / "killed", **settings)]
    kills = 0
    for wanted in (10, 30):
        process = subprocess.Popen(
            words, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            saved = [int(path.name.split("-")[1]) for path in (tmp_path / "killed").glob("checkpoint-*")]
            if saved and max(saved) >= wanted:
                process.send_signal(signal.SIGKILL)
                kills += process.wait() == -signal.SIGKILL
                break
            time.sleep(0.01)
    assert kills == 2, "the runs were too fast to be killed"
    again = launch(RECIPE, *options(folder, tmp_path / "killed", **settings))
    assert again.returncode == 0, again.stderr
    assert "Resuming from" in again.stdout
    first, second = (load_file(tmp_path / name / "student" / "model.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert totals(tmp_path / "whole") == totals(tmp_path / "killed")


@pytest.mark.slow
@pytest.mark.parametrize("phases", ["{student: 0, refiner: 0}", "{student: 0.34, refiner: 0.33}"])
def test_two_processes_give_the_losses_of_one(folder, tmp_path, phases):
    settings = {"mode": "sam", "data__segments": str(folder / "masks"), "cascade__phases": phases, "max_steps": "9"}
    one = launch(RECIPE, *options(folder, tmp_path / "one", **settings))
    assert one.returncode == 0, one.stderr
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    two = launch(*torchrun, RECIPE, *options(folder, tmp_path / "two", **settings))
    assert two.returncode == 0, two.stderr
    assert "2 process(es) on cpu" in two.stdout
    first, second = totals(tmp_path / "one"), totals(tmp_path / "two")
    assert len(first) == len(second) == 9
    for step, value in first.items():
        assert second[step] == pytest.approx(value, abs=1e-5)


@pytest.mark.slow
def test_accelerate_launch_runs_the_recipe_to_a_folder_with_a_card(folder, tmp_path):
    words = ("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1", "--num_machines", "1")
    done = launch(*words, "--mixed_precision", "no", RECIPE, *options(folder, tmp_path, mode="alone"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "student" / "README.md").read_text().startswith("---\n")
    assert list((tmp_path / "logs").rglob("events.out.tfevents*")), "TensorBoard has something to show"


@pytest.mark.slow
def test_the_student_gives_the_same_pixels_with_and_without_the_package(folder, tmp_path):
    done = launch(RECIPE, *options(folder, tmp_path / "run", data__segments=str(folder / "masks")))
    assert done.returncode == 0, done.stderr
    (tmp_path / "run" / "student").rename(tmp_path / "model")
    pixels = torch.rand(1, 3, 33, 47)
    torch.save(pixels, tmp_path / "pixels.pt")
    run_without_the_package(tmp_path, REMOTE_CODE)
    with torch.no_grad():
        here = AutoModelForImageToImage.from_pretrained(tmp_path / "model")(pixels).reconstruction
    for auto_class in ("AutoModel", "AutoModelForImageToImage"):
        there = torch.load(tmp_path / f"{auto_class}.pt", weights_only=True)["reconstruction"]
        assert torch.equal(there, here)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--datset", "x"], "unknown key 'datset'; did you mean 'dataset'"),
        (["--dataset", "/no/such/folder"], "/no/such/folder is not a folder"),
        (["--dataset", "{images}", "--mixed_precision", "fp16", "--device", "cpu"], "no gradient scaler"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(folder, tmp_path, words, sentence):
    words = [word.format(images=folder / "images") for word in words]
    done = launch(RECIPE, *words, "--output_dir", str(tmp_path / "run"), "--mode", "alone")
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert sentence in errors[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "student").exists()
