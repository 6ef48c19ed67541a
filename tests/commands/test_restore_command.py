"""`samdistill restore` as people run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modeling_samdistill import ImageRestorationPipeline
from tests.commands.command_line import samdistill
from tests.restoration.small_models import saved_nafnet


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return saved_nafnet(tmp_path_factory.mktemp("models") / "denoiser", half=True, task="denoise")


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (23, 31, 3), dtype=np.uint8)).save(path)
    return path


def test_one_picture_into_a_file_gives_the_pixels_of_the_pipeline(model, picture, tmp_path):
    done = samdistill("restore", picture, "-o", tmp_path / "out.png", "--model", model, "--task", "denoise")
    assert done.returncode == 0, done.stderr
    restored = np.asarray(Image.open(tmp_path / "out.png"))
    pipe = ImageRestorationPipeline.from_pretrained(model)
    assert np.array_equal(restored, pipe(np.asarray(Image.open(picture))))


def test_a_folder_with_a_broken_picture_reports_it_last_and_restores_the_rest(model, picture, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (tmp_path / "out").mkdir()
    done = samdistill("restore", tmp_path, "-o", tmp_path / "out", "--model", model)
    assert done.returncode == 2
    assert "broken.jpg" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "1 of 2 restored" in done.stdout
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.png"]


def test_an_existing_output_is_kept_without_overwrite(model, picture, tmp_path):
    (tmp_path / "out.png").write_bytes(b"mine")
    arguments = ("restore", picture, "-o", tmp_path / "out.png", "--model", model)
    done = samdistill(*arguments)
    assert done.returncode == 2
    assert "exists and is kept" in done.stderr
    assert (tmp_path / "out.png").read_bytes() == b"mine"
    assert samdistill(*arguments, "--overwrite").returncode == 0
    assert Image.open(tmp_path / "out.png").size == (31, 23)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("none.png", "--model", "{model}"), "There is no picture 'none.png'"),
        (("photo.png",), "--task nor --model"),
        (("photo.png", "--task", "deblurr"), "did you mean 'deblur'"),
        (("photo.png", "--model", "no/such/folder"), "not a model folder"),
        (("photo.png", "--model", "{model}", "--task", "derain"), "trained to denoise, not to derain"),
        (("photo.png", "--model", "{model}", "--device", "nowhere"), "'nowhere' is not there"),
        (("photo.png", "--model", "{model}", "--tile", "7"), "too small"),
        (("{model}", "--model", "{model}"), "no pictures"),
        (("photo.png", "none.png", "--model", "{model}", "-o", "two.png"), "not a folder for them"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(model, picture, tmp_path, arguments, sentence):
    import re

    named = [argument.format(model=model) for argument in arguments]
    output = () if "-o" in named else ("-o", "out.png")
    before = sorted(tmp_path.rglob("*"))
    if "--tile" in named:  # only a picture larger than a tile is cut
        Image.new("RGB", (300, 300)).save(picture)
    done = samdistill("restore", *named, *output, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert re.search(sentence, line)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_missing_option_is_exit_code_2(picture):
    assert samdistill("restore", picture).returncode == 2


def test_an_interrupt_ends_with_130_and_leaves_nothing_half_written(model, tmp_path):
    (tmp_path / "in").mkdir()
    for index in range(200):
        Image.new("RGB", (400, 300), (index, 90, 90)).save(tmp_path / "in" / f"{index}.png")
    command = [Path(sys.executable).with_name("samdistill"), "restore", "in", "-o", "out", "--model", model]
    running = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob("*.png")) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130
    assert b"Traceback" not in stderr
    written = list((tmp_path / "out").iterdir())
    assert 0 < len(written) < 200
    assert all(path.suffix == ".png" and Image.open(path).load() for path in written)
