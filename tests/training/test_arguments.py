"""Configs: typed, read from YAML, overridden by options, and clear about what is wrong."""

from pathlib import Path

import pytest

from modeling_samdistill.errors import InputError
from modeling_samdistill.training.arguments import TrainingArguments, as_yaml, load_config

CONFIGS = Path(__file__).parents[2] / "recipes" / "configs"


def load(*overrides, path=None):
    return load_config(TrainingArguments, path, list(overrides))


def test_options_reach_into_nested_keys_and_keep_their_types():
    config = load(
        "--cascade.spd.weight", "0.3", "--data.degradation.noise.sigma", "[5, 50]", "--batch-size=16",
        "--student.config.width", "12", "--compile", "true",
    )  # fmt: skip
    assert config.cascade.spd.weight == 0.3
    assert config.data.degradation.noise.sigma == [5.0, 50.0]
    assert config.batch_size == 16
    assert config.student.config == {"width": 12}
    assert config.compile is True


def test_short_names_of_scripts_reach_their_section():
    config = load("--dataset", "pictures", "--segments", "masks", "--placebo", "grid")
    assert (config.data.dataset, config.data.segments, config.data.placebo) == ("pictures", "masks", "grid")


def test_options_win_over_the_file_and_the_file_over_defaults(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("max_steps: 7\nbatch_size: 3\ncascade:\n  spd: {weight: 0.5}\n")
    config = load("--batch_size", "5", path=path)
    assert (config.max_steps, config.batch_size, config.cascade.spd.weight) == (7, 5, 0.5)
    assert config.learning_rate == TrainingArguments().learning_rate


def test_a_written_config_reads_back_the_same(tmp_path):
    config = load("--dataset", "x", "--cascade.refiner.config", "{width: 48}", "--cascade.sgr.weight", "0.2")
    path = tmp_path / "c.yaml"
    path.write_text(as_yaml(config))
    assert load(path=path) == config


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*_nafnet.yaml")), ids=lambda path: path.stem)
def test_the_recipes_configs_are_valid(path):
    config = load("--dataset", "pictures", path=path)
    config.check()
    assert path.stem.startswith(config.task)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["--cascade.spd.wieght", "1"], "unknown key 'cascade.spd.wieght'; did you mean 'cascade.spd.weight'"),
        (["--batch_size", "many"], "batch_size"),
        (["--batch_size"], "--batch_size has no value"),
        (["batch_size", "3"], "'batch_size' stands alone"),
    ],
)
def test_a_wrong_option_is_one_clear_sentence(overrides, sentence):
    with pytest.raises(InputError) as raised:
        load(*overrides)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("data:\n  degradatoin: {kind: noise}\n", "unknown key 'data.degradatoin'; did you mean 'data.degradation'"),
        ("- just\n- a list\n", "no mapping"),
        ("a: [1,\n", "cannot be read as YAML"),
        ("max_steps: soon\n", "soon"),
    ],
)
def test_a_wrong_file_is_one_clear_sentence(tmp_path, text, sentence):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        load(path=path)
    assert sentence in str(raised.value)


def test_a_missing_config_file_is_named():
    with pytest.raises(InputError, match=r"There is no config file nowhere\.yaml"):
        load(path="nowhere.yaml")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["--mode", "placeebo"], "did you mean 'placebo'"),
        (["--task", "derian"], "did you mean 'derain'"),
        (["--mixed_precision", "fp8"], "mixed_precision is 'fp8'"),
        (["--max_steps", "0"], "at least 1"),
        (["--dataset", ""], "No dataset is named"),
    ],
)
def test_impossible_values_are_refused_before_anything_starts(overrides, sentence):
    with pytest.raises(InputError, match=sentence):
        load("--dataset", "pictures", *overrides).check()
