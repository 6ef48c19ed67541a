"""A model over a set, the results file, the `evaluate` modules and the command."""

from __future__ import annotations

import csv
import hashlib
import json
import multiprocessing
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from modeling_samdistill.commands.evaluate import evaluate as evaluate_command
from modeling_samdistill.errors import InputError
from modeling_samdistill.evaluation import metrics_module
from modeling_samdistill.evaluation.protocols import PROTOCOLS, quantise
from modeling_samdistill.evaluation.results import Measurement, append_results, read_results, weights_sha256
from modeling_samdistill.evaluation.run import evaluate_model
from modeling_samdistill.evaluation.sets import open_set
from modeling_samdistill.models import NafnetConfig, NafnetForImageRestoration


def tiny_model(**changes) -> NafnetForImageRestoration:
    torch.manual_seed(0)
    config = NafnetConfig(width=4, encoder_depths=[1], middle_depth=1, decoder_depths=[1], **changes)
    return NafnetForImageRestoration(config)


@pytest.fixture
def clean_folder(tmp_path) -> Path:
    folder = tmp_path / "clean"
    folder.mkdir()
    smooth = np.add.outer(np.arange(21) * 4, np.arange(17) * 5)[..., None] + np.array([0, 20, 40])
    for name, shift in (("a", 0), ("b", 30), ("c", 60)):
        Image.fromarray((smooth + shift).astype(np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model(task="derain").save_pretrained(folder)
    return folder


def measurement(**changes) -> Measurement:
    return replace(
        Measurement(
            model="tiny",
            weights_sha256="0" * 64,
            dataset="clean",
            split="test",
            protocol="rgb",
            arguments={"sigma": 25.0},
            metric="psnr",
            value=30.25,
            input_value=20.5,
            pictures=3,
            per_image="per_image/x.csv",
            seed=None,
            steps=100,
            git_revision=None,
            versions={"python": "3.11"},
            command="samdistill evaluate tiny",
        ),
        **changes,
    )


def test_values_are_those_of_the_restored_pictures_and_means_are_theirs(clean_folder):
    model = tiny_model().train()
    pictures, protocol = open_set(clean_folder), PROTOCOLS["rgb"]
    evaluation = evaluate_model(model, pictures, protocol, sigma=25, progress=False)
    assert model.training
    second = list(pictures)[1]
    degraded = protocol.degrade(second.clean, 1, sigma=25)
    with torch.no_grad():
        batch = torch.from_numpy(degraded).permute(2, 0, 1)[None].float()
        restored = model.eval()(batch).reconstruction[0].permute(1, 2, 0).numpy()
    assert evaluation.pictures[1].values == protocol.measure(quantise(restored), second.clean)
    assert evaluation.pictures[1].input_values == protocol.measure(degraded, second.clean)
    assert evaluation.means["psnr"] == pytest.approx(np.mean([row.values["psnr"] for row in evaluation.pictures]))
    assert evaluation.arguments["sigma"] == 25.0


def test_a_limit_keeps_the_first_pictures_and_their_kernels(clean_folder):
    model = tiny_model()
    kernels = [np.ones((3, 3)), np.ones((1, 5))]
    whole = evaluate_model(model, open_set(clean_folder), PROTOCOLS["deblur-heldout"], kernels=kernels, progress=False)
    part = evaluate_model(
        model, open_set(clean_folder), PROTOCOLS["deblur-heldout"], kernels=kernels, limit=2, progress=False
    )
    assert part.pictures == whole.pictures[:2]


def test_gray_pictures_go_through_gray_and_colour_models(tmp_path):
    Image.fromarray(np.arange(400, dtype=np.uint8).reshape(20, 20)).save(tmp_path / "a.png")
    pictures = open_set(tmp_path, channels=1)
    for model in (tiny_model(), tiny_model(num_channels=1, num_channels_out=1)):
        evaluation = evaluate_model(model, pictures, PROTOCOLS["gray"], sigma=15, progress=False)
        assert np.isfinite(evaluation.means["psnr"])


def test_a_gray_model_is_refused_on_colour_pictures(clean_folder):
    with pytest.raises(InputError, match="takes pictures of 1 channels"):
        evaluate_model(
            tiny_model(num_channels=1, num_channels_out=1), open_set(clean_folder), PROTOCOLS["rgb"], sigma=25
        )


def test_an_output_that_is_not_finite_is_an_error(clean_folder):
    model = tiny_model()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(InputError, match=r"output for a\.png is not finite"):
        evaluate_model(model, open_set(clean_folder), PROTOCOLS["rgb"], sigma=25, progress=False)


def test_results_are_read_back_as_written(tmp_path):
    path = tmp_path / "results/results.jsonl"
    append_results(path, [measurement(), measurement(metric="ssim", value=0.9)])
    append_results(path, [measurement(seed=4)])
    assert read_results(path) == [measurement(), measurement(metric="ssim", value=0.9), measurement(seed=4)]
    assert [child.name for child in path.parent.iterdir()] == ["results.jsonl"]


def test_a_row_that_cannot_be_written_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "results.jsonl"
    append_results(path, [measurement()])
    before = path.read_bytes()
    with pytest.raises(ValueError, match="Out of range float"):
        append_results(path, [measurement(), measurement(value=float("nan"))])
    assert path.read_bytes() == before


def test_a_line_that_is_no_measurement_is_named(tmp_path):
    path = tmp_path / "results.jsonl"
    append_results(path, [measurement()])
    path.write_text(path.read_text() + '{"model": "x"}\n')
    with pytest.raises(InputError, match=r"Line 2 of .* is no measurement"):
        read_results(path)


def append_many(path: Path, seed: int) -> None:
    for step in range(10):
        append_results(path, [measurement(seed=seed, steps=step)])


def test_processes_that_append_at_once_lose_nothing(tmp_path):
    path = tmp_path / "results.jsonl"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=append_many, args=(path, seed)) for seed in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    rows = read_results(path)
    assert sorted((row.seed, row.steps) for row in rows) == [(seed, step) for seed in range(3) for step in range(10)]


def run_command(*arguments: object):
    app = typer.Typer()
    app.command()(evaluate_command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_command_prints_a_table_and_records_every_picture(clean_folder, model_folder, tmp_path):
    results = tmp_path / "results/results.jsonl"
    done = run_command(
        *(model_folder, "--dataset", clean_folder, "--protocol", "rgb", "--sigma", 25, "--results", results),
        *("--seed", 7, "--steps", 50, "--threads", 1),
    )
    assert done.exit_code == 0, done.output
    rows = {row.metric: row for row in read_results(results)}
    assert set(rows) == {"psnr", "ssim"}
    row = rows["psnr"]
    assert f"{row.value:.2f} dB" in done.output
    assert f"{row.input_value:.2f} dB" in done.output
    assert "trained to derain" in done.stderr
    assert (row.model, row.dataset, row.pictures, row.seed, row.steps) == ("tiny", "clean", 3, 7, 50)
    assert row.weights_sha256 == hashlib.sha256((model_folder / "model.safetensors").read_bytes()).hexdigest()
    assert row.command == "samdistill evaluate tiny --dataset clean --protocol rgb --sigma 25"
    with (results.parent / row.per_image).open() as file:
        values = list(csv.DictReader(file))
    assert [value["picture"] for value in values] == ["a.png", "b.png", "c.png"]
    assert np.mean([float(value["psnr"]) for value in values]) == pytest.approx(row.value, abs=1e-12)
    assert np.mean([float(value["input_ssim"]) for value in values]) == pytest.approx(rows["ssim"].input_value)


def test_command_records_nothing_when_it_fails_half_way(clean_folder, model_folder, tmp_path):
    (clean_folder / "d.png").write_bytes(b"torn")
    results = tmp_path / "results/results.jsonl"
    done = run_command(
        model_folder, "--dataset", clean_folder, "--protocol", "rgb", "--sigma", 25, "--results", results
    )
    assert isinstance(done.exception, InputError)
    assert not results.parent.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--protocol", "psnr"], "There is no protocol 'psnr'"),
        (["--protocol", "rgb"], "give --sigma"),
        (["--protocol", "rgb", "--sigma", "25", "--device", "gpu"], "is not there (PyTorch finds"),
        (["--protocol", "rgb", "--sigma", "25", "--threads", "0"], "at least 1, not 0"),
        (["--protocol", "rgb", "--sigma", "25", "--limit", "0"], "at least 1, not 0"),
    ],
)
def test_command_refuses_wrong_options(clean_folder, model_folder, arguments, sentence):
    done = run_command(model_folder, "--dataset", clean_folder, *arguments)
    assert isinstance(done.exception, InputError)
    assert sentence in str(done.exception)


def test_command_refuses_a_folder_that_holds_no_model(clean_folder, tmp_path):
    done = run_command(tmp_path, "--dataset", clean_folder, "--protocol", "rgb", "--sigma", 25)
    assert isinstance(done.exception, InputError)
    assert "has no config.json" in str(done.exception)


def test_a_model_without_weights_has_no_hash(tmp_path):
    with pytest.raises(InputError, match=r"has no model\.safetensors"):
        weights_sha256(tmp_path)


LOAD_MODULES_OFFLINE = """
import json, sys
import evaluate
import numpy as np
from PIL import Image
random = np.random.RandomState(0)
clean = [random.randint(0, 256, (16, 20, 3), dtype=np.uint8), random.randint(0, 256, (30, 18, 3), dtype=np.uint8)]
restored = [picture // 2 + 60 for picture in clean]
jpeg = Image.fromarray(clean[0])
jpeg.format = "JPEG"
found = {}
for name in ("psnr", "ssim"):
    metric = evaluate.load(sys.argv[1].format(name))
    references = [jpeg, Image.fromarray(clean[1])]
    found[name] = metric.compute(predictions=restored, references=references, protocol="y-matlab")
    metric.add(prediction=restored[0], reference=clean[0])
    found[name]["one"] = metric.compute()[name]
print(json.dumps(found))
"""


def test_evaluate_modules_load_offline_and_agree_with_the_protocols(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    template = metrics_module("psnr").removesuffix("psnr") + "{}"
    done = subprocess.run(
        [sys.executable, "-c", LOAD_MODULES_OFFLINE, template],
        capture_output=True,
        text=True,
        cwd=Path.cwd(),
        check=True,
    )
    found = json.loads(done.stdout.strip().splitlines()[-1])
    random = np.random.RandomState(0)
    clean = [random.randint(0, 256, (height, width, 3), dtype=np.uint8) for height, width in ((16, 20), (30, 18))]
    expected = [PROTOCOLS["y-matlab"].measure((picture // 2 + 60) / 255.0, picture) for picture in clean]
    one = PROTOCOLS["rgb"].measure((clean[0] // 2 + 60) / 255.0, clean[0])
    for metric in ("psnr", "ssim"):
        assert found[metric]["per_picture"] == [row[metric] for row in expected]
        assert found[metric][metric] == pytest.approx(np.mean([row[metric] for row in expected]))
        assert found[metric]["one"] == one[metric]
