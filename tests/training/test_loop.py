"""Real small runs of the training loop."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForImageToImage

from modeling_samdistill.bundled_models import TEACHER, bundled_names
from modeling_samdistill.errors import InputError
from modeling_samdistill.training.arguments import TrainingArguments
from modeling_samdistill.training.loop import distil
from modeling_samdistill.training.schedule import Phase, learning_rate_at, phases_of
from recipes.distill import main as recipe
from tests.training.small_runs import options, small_run, write_pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder)
    return folder


def weights(output_dir):
    return load_file(output_dir / "student" / "model.safetensors")


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def lines(output_dir, key="total"):
    entries = [json.loads(line) for line in (output_dir / "log.jsonl").read_text().splitlines()]
    return [entry for entry in entries if key in entry]


def test_every_mode_runs_to_a_student_of_the_same_keys(folder, tmp_path):
    terms = {
        "alone": {"reconstruction"},
        "null": {"reconstruction", "null"},
        "self": {"reconstruction", "refiner", "spd"},
        "placebo": {"reconstruction", "refiner", "spd"},
        "sam": {"reconstruction", "refiner", "spd"},
    }
    students = {}
    for mode, expected in terms.items():
        values = distil(small_run(folder, tmp_path / mode, mode=mode, data__segments=str(folder / "masks")))
        assert values["student"] > 5
        logged = lines(tmp_path / mode)
        assert len(logged) == 6
        assert expected < set(logged[-1])
        assert ("refiner" in logged[-1]) == ("refiner" in expected)
        students[mode] = weights(tmp_path / mode)
    assert len({tuple(student) for student in students.values()}) == 1
    assert not same(students["sam"], students["placebo"])
    assert not same(students["sam"], students["self"])
    assert not same(students["alone"], students["null"]), "chance is seen"


def test_all_modes_see_the_same_pixels_from_the_same_start(folder, tmp_path):
    first = []
    for mode in ("alone", "self", "sam"):
        distil(small_run(folder, tmp_path / mode, mode=mode, max_steps="1", data__segments=str(folder / "masks")))
        first.append(lines(tmp_path / mode)[0]["reconstruction"])
    assert first[0] == first[1] == first[2]


def test_without_distillation_weights_the_method_is_plain_training_bit_for_bit(folder, tmp_path):
    distil(small_run(folder, tmp_path / "alone", mode="alone"))
    distil(small_run(folder, tmp_path / "sam", cascade__spd__weight="0", data__segments=str(folder / "masks")))
    assert same(weights(tmp_path / "alone"), weights(tmp_path / "sam"))


@pytest.mark.parametrize("mode", ["alone", "sam"])
def test_a_run_that_stopped_goes_on_to_bit_identical_weights(folder, tmp_path, mode):
    settings = {"mode": mode, "data__segments": str(folder / "masks"), "cascade__refiner__target": "ema", "keep": "9"}
    distil(small_run(folder, tmp_path / "whole", **settings))
    distil(small_run(folder, tmp_path / "broken", **settings))
    # As if it had been killed after step 3: what came later is not there.
    shutil.rmtree(tmp_path / "broken" / "checkpoint-6")
    shutil.rmtree(tmp_path / "broken" / "student")
    distil(small_run(folder, tmp_path / "broken", **settings))
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "broken"))
    whole, again = lines(tmp_path / "whole"), lines(tmp_path / "broken")[-3:]
    assert [entry["total"] for entry in whole[3:]] == [entry["total"] for entry in again]


def test_three_phases_resume_in_any_of_them(folder, tmp_path):
    settings = {
        "mode": "sam",
        "data__segments": str(folder / "masks"),
        "max_steps": "9",
        "save_steps": "2",
        "keep": "9",
        "cascade__phases": "{student: 0.34, refiner: 0.33}",
        "cascade__refiner__target": "frozen",
    }
    distil(small_run(folder, tmp_path / "whole", **settings))
    logged = lines(tmp_path / "whole")
    assert ["refiner" in entry for entry in logged] == [False] * 3 + [True] * 3 + [False] * 3
    assert ["reconstruction" in entry for entry in logged] == [True] * 3 + [False] * 3 + [True] * 3
    for step in (2, 4, 8):
        shutil.copytree(tmp_path / "whole", tmp_path / f"from-{step}")
        for later in range(step + 1, 10):
            shutil.rmtree(tmp_path / f"from-{step}" / f"checkpoint-{later}", ignore_errors=True)
        distil(small_run(folder, tmp_path / f"from-{step}", **settings))
        assert same(weights(tmp_path / "whole"), weights(tmp_path / f"from-{step}"))


def test_accumulated_parts_give_the_losses_of_the_whole_batch(folder, tmp_path):
    for accumulate in ("1", "2"):
        distil(small_run(folder, tmp_path / accumulate, mode="alone", accumulate=accumulate))
    whole, parts = (lines(tmp_path / accumulate) for accumulate in ("1", "2"))
    for first, second in zip(whole, parts):
        assert first["total"] == pytest.approx(second["total"], abs=1e-5)


def test_only_the_newest_checkpoints_are_kept_and_none_unfinished(folder, tmp_path):
    distil(small_run(folder, tmp_path, mode="alone", save_steps="1", keep="2"))
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-5", "checkpoint-6"]
    assert not list(tmp_path.glob(".checkpoint-*"))


def test_the_student_folder_is_a_whole_hub_repository(folder, tmp_path):
    assert recipe(options(folder, tmp_path, mode="alone")) == 0
    names = {path.name for path in (tmp_path / "student").iterdir()}
    assert names >= {
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "modeling_nafnet.py",
        "configuration_nafnet.py",
        "image_processing_restoration.py",
        "README.md",
    }
    model = AutoModelForImageToImage.from_pretrained(tmp_path / "student")
    assert model.config.task == "denoise"
    pixels = AutoImageProcessor.from_pretrained(tmp_path / "student")(torch.rand(3, 9, 7))["pixel_values"]
    assert model(pixels).reconstruction.shape == (1, 3, 9, 7)


def test_the_refiner_of_one_run_teaches_the_student_of_another(folder, tmp_path):
    masks = {"data__segments": str(folder / "masks")}
    distil(small_run(folder, tmp_path / "first", **masks))
    frozen = {"cascade__refiner__target": "frozen", "cascade__refiner__weights": str(tmp_path / "first" / "refiner")}
    distil(small_run(folder, tmp_path / "second", **masks, **frozen))
    before, after = (load_file(tmp_path / name / "refiner" / "refiner.safetensors") for name in ("first", "second"))
    assert same(before, after)


def test_fine_tuning_starts_from_the_given_weights(folder, tmp_path):
    distil(small_run(folder, tmp_path / "first", mode="alone"))
    settings = {"student__weights": str(tmp_path / "first" / "student"), "learning_rate": "0", "ema_decay": "0"}
    distil(small_run(folder, tmp_path / "second", mode="alone", final_learning_rate="0", **settings))
    assert same(weights(tmp_path / "first"), weights(tmp_path / "second"))


def test_any_module_can_be_the_student(folder, tmp_path, monkeypatch):
    (tmp_path / "foreign_network.py").write_text(
        "from torch import nn\ndef build(width):\n"
        "    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.GELU(), nn.Conv2d(width, 3, 3, padding=1))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings = {
        "student__architecture": "foreign_network:build",
        "student__config": "{width: 6}",
        "cascade__refiner__architecture": "nafnet",
        "cascade__refiner__config": "{width: 4, encoder_depths: [1], middle_depth: 1, decoder_depths: [1]}",
        "data__segments": str(folder / "masks"),
    }
    distil(small_run(folder, tmp_path / "run", **settings))
    assert set(weights(tmp_path / "run")) == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_nan_in_training_is_one_sentence_and_saves_nothing(folder, tmp_path):
    with pytest.raises(InputError, match=r"became (nan|inf) by step \d+; nothing was saved yet. Lower learning_rate"):
        distil(small_run(folder, tmp_path, mode="alone", learning_rate="1e30", clip_gradient="0", warm_up_steps="0"))
    assert not list(tmp_path.glob("checkpoint-*"))
    assert not (tmp_path / "student").exists()


@pytest.mark.skipif(TEACHER not in bundled_names(), reason="the bundled teacher is not there")
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"cascade__mask_cache": "false"},
        {"cascade__mask_cache": "false", "cascade__mask_of": "restored", "cascade__max_regions": "5"},
        {"cascade__sgr__weight": "0.1", "cascade__analyser__name": "sam", "cascade__sgr_relation": "l2"},
    ],
    ids=["cached", "in each step", "of the restored picture", "as analyser"],
)
def test_the_bundled_teacher_makes_the_masks(folder, tmp_path, settings):
    distil(small_run(folder, tmp_path, max_steps="2", teacher=TEACHER, **settings))
    logged = lines(tmp_path)[-1]
    assert {"reconstruction", "refiner", "spd"} < set(logged)
    assert ("sgr" in logged) == ("cascade__sgr__weight" in settings)
    made = list(tmp_path.glob("segments-*/*.png"))
    assert len(made) == (0 if "cascade__mask_cache" in settings else 5)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_broken_picture_is_one_sentence_whoever_reads_it(folder, tmp_path, workers):
    write_pictures(tmp_path / "data")
    (tmp_path / "data" / "images" / "p1.png").write_bytes(b"broken")
    with pytest.raises(InputError) as raised:
        distil(small_run(tmp_path / "data", tmp_path / "run", mode="alone", data__workers=workers))
    assert "p1.png cannot be read as a picture" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"student__config": "{width: 4, encoder_depths: [1, 1], decoder_depths: [1]}"}, "student.config cannot be"),
        ({"student__config": "{width: many}"}, "student.config cannot be"),
        ({"cascade__fuse": "none", "cascade__sgr__weight": "0.1"}, "there are no masks"),
        ({"cascade__mask_of": "restored", "cascade__mask_cache": "false"}, "label maps that are ready"),
    ],
)
def test_settings_that_cannot_be_are_refused(folder, tmp_path, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        distil(small_run(folder, tmp_path, data__segments=str(folder / "masks"), **settings))


@pytest.mark.parametrize("key", ["student__config", "cascade__refiner__config"])
def test_a_misspelt_setting_of_a_network_is_not_swallowed(folder, tmp_path, key):
    settings = {"data__segments": str(folder / "masks"), key: "{widht: 12}"}
    with pytest.raises(InputError, match=r"unknown setting 'widht' for nafnet; did you mean 'width'"):
        distil(small_run(folder, tmp_path, **settings))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="no GPU here"):
        distil(small_run(folder, tmp_path, device="cuda"))


def test_fp16_on_a_cpu_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="no gradient scaler"):
        distil(small_run(folder, tmp_path, mixed_precision="fp16"))


def test_a_batch_that_cannot_be_split_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="cannot be split evenly"):
        distil(small_run(folder, tmp_path, mode="alone", accumulate="3"))


def test_resuming_with_other_settings_is_refused_by_name(folder, tmp_path):
    distil(small_run(folder, tmp_path, mode="alone"))
    with pytest.raises(InputError, match=r"learning_rate = 0.001, and now it is 0.5"):
        distil(small_run(folder, tmp_path, mode="alone", learning_rate="0.5"))


def test_a_broken_checkpoint_is_named(folder, tmp_path):
    distil(small_run(folder, tmp_path, mode="alone"))
    (tmp_path / "checkpoint-6" / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"checkpoint-6 cannot be loaded"):
        distil(small_run(folder, tmp_path, mode="alone"))


def test_the_learning_rate_warms_up_and_falls_to_its_end():
    arguments = TrainingArguments(max_steps=1000, warm_up_steps=100, learning_rate=1.0, final_learning_rate=0.1)
    phase = Phase("joint", 0, 1000)
    rates = [learning_rate_at(step, phase, arguments) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.1, abs=1e-4)
    assert rates[100:] == sorted(rates[100:], reverse=True)


def test_a_run_without_a_refiner_has_one_phase():
    arguments = TrainingArguments(max_steps=10)
    arguments.cascade.phases.student = 0.5
    assert phases_of(arguments, has_refiner=False) == [Phase("joint", 0, 10)]
