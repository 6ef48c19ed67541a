"""Many pictures: what is restored where, and what is said about the rest."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from modeling_samdistill import ImageRestorationPipeline
from modeling_samdistill.errors import InputError
from modeling_samdistill.restoration import plan_jobs, restore_jobs
from tests.restoration.small_models import saved_nafnet


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "in"
    (folder / "inner").mkdir(parents=True)
    for name in ("b.png", "a.jpg", "inner/a.jpg", ".hidden.png"):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_one_picture_goes_into_a_file_or_a_folder(pictures, tmp_path):
    for output, target in (("out.png", "out.png"), ("out", "out/b.png"), (".", "b.png")):
        (job,) = plan_jobs([pictures / "b.png"], tmp_path / output)
        assert job.target == tmp_path / target


def test_an_existing_folder_that_ends_like_a_picture_is_a_folder(pictures, tmp_path):
    (tmp_path / "odd.png").mkdir()
    (job,) = plan_jobs([pictures / "b.png"], tmp_path / "odd.png")
    assert job.target == tmp_path / "odd.png" / "b.png"


def test_folders_and_patterns_give_their_pictures_once(pictures, tmp_path):
    for inputs in ([pictures], [pictures / "*.png", pictures / "a.jpg"], [pictures, pictures / "b.png"]):
        jobs = plan_jobs(inputs, tmp_path / "out")
        assert sorted(job.target.name for job in jobs) == ["a.jpg", "b.png"]


def test_two_inputs_of_one_name_are_refused_before_anything_is_done(pictures, tmp_path):
    with pytest.raises(InputError, match=r"would both become .*a\.jpg"):
        plan_jobs([pictures, pictures / "inner"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("inputs", "output", "sentence"),
    [
        (["in"], "out.png", "not a folder for them"),
        (["in/b.png"], "in/notes.txt", "not a folder for them"),
        (["empty"], "out", "no pictures"),
        (["in/*.tif"], "out", "matches no pictures"),
        ([], "out", "No picture was given"),
    ],
)
def test_a_plan_that_cannot_work_is_one_clear_sentence(pictures, tmp_path, inputs, output, sentence):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=sentence):
        plan_jobs([tmp_path / name for name in inputs], tmp_path / output)


def test_one_broken_picture_does_not_stop_the_others(pictures, tmp_path):
    pipe = ImageRestorationPipeline.from_pretrained(saved_nafnet(tmp_path / "m"), device="cpu")
    (pictures / "broken.png").write_bytes((pictures / "b.png").read_bytes()[:60])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.jpg").write_bytes(b"mine")
    jobs = plan_jobs([pictures, pictures / "missing.png"], tmp_path / "out")
    failures = restore_jobs(pipe, jobs)
    assert {failure.source.name for failure in failures} == {"broken.png", "a.jpg", "missing.png"}
    assert (tmp_path / "out" / "a.jpg").read_bytes() == b"mine"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "b.png"]
    restored = np.asarray(Image.open(tmp_path / "out" / "b.png"))
    assert np.array_equal(restored, pipe(np.asarray(Image.open(pictures / "b.png"))))
