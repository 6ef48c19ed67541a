"""SAM as a teacher: frozen, bounded, any size of picture, one sentence for what is no SAM."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, SamImageProcessor

from modeling_samdistill.errors import InputError
from modeling_samdistill.teachers import SamTeacher
from modeling_samdistill.teachers import sam as sam_file
from modeling_samdistill.teachers.sam_loading import LabelMapOptions
from tests.teachers.small_teacher import saved_teacher

# A network of random weights expects little of its masks, and they are hardly stable.
EVERYTHING = {"predicted_iou": 0.0, "stability": 0.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved_teacher(tmp_path_factory.mktemp("teachers") / "tiny")


@pytest.fixture(scope="module")
def teacher(folder):
    return SamTeacher.from_pretrained(folder, points_per_side=4, **EVERYTHING)


def pictures(count: int, height: int, width: int) -> torch.Tensor:
    """Blocks of random colours."""
    blocks = torch.rand(count, 3, 3, 4, generator=torch.Generator().manual_seed(height))
    return torch.nn.functional.interpolate(blocks, (height, width))


def test_teacher_is_frozen_and_stays_in_eval(teacher):
    teacher.train()
    torch.nn.Sequential(teacher).train()
    assert not any(module.training for module in teacher.modules())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


@pytest.mark.parametrize(("height", "width"), [(33, 47), (64, 20), (1, 1), (3, 200), (130, 97)])
def test_label_maps_have_the_size_of_the_pictures(teacher, height, width):
    masks = teacher(pictures(2, height, width))
    assert masks.labels.shape == (2, height, width)
    assert masks.labels.dtype == torch.int64
    assert masks.valid.shape == masks.scores.shape == (2, 32)
    assert (masks.labels.amax((1, 2)) == masks.valid.sum(1)).all()
    assert (masks.scores >= 0).all()
    assert (masks.scores <= 1).all()


def test_label_maps_of_a_batch_are_those_of_each_picture(teacher):
    batch = pictures(3, 40, 56)
    together = teacher(batch)
    assert len(together.labels.unique()) > 3
    for index in range(3):
        alone = teacher(batch[index : index + 1])
        assert (alone.labels[0] == together.labels[index]).float().mean() > 0.99
        assert torch.allclose(alone.scores[0], together.scores[index], atol=1e-4)


def test_label_maps_do_not_depend_on_the_memory_set_aside(teacher, monkeypatch):
    expected = teacher(pictures(2, 40, 56))
    monkeypatch.setattr(sam_file, "_DECODER_VALUES_CPU", 1)
    monkeypatch.setattr(sam_file, "_ENCODER_PIXELS", 1)
    found = teacher(pictures(2, 40, 56))
    assert (found.labels == expected.labels).float().mean() > 0.99


def test_many_masks_are_cut_to_the_best(folder, monkeypatch):
    monkeypatch.setattr(sam_file, "_COMPARED_MASKS", 3)
    monkeypatch.setattr(sam_file, "_DECODER_VALUES_CPU", 1)
    teacher = SamTeacher.from_pretrained(folder, points_per_side=4, fill=False, overlap=1.0, **EVERYTHING)
    assert 1 <= teacher(pictures(1, 40, 56)).valid.sum() <= 3


def test_picture_of_one_colour_has_no_region(teacher):
    masks = teacher(torch.full((1, 3, 30, 40), 0.5))
    assert not masks.labels.any()
    assert not masks.valid.any()
    assert not masks.scores.any()


def test_picture_without_any_mask_has_no_region(folder):
    masks = SamTeacher.from_pretrained(folder, points_per_side=2, predicted_iou=1.0)(pictures(2, 30, 40))
    assert not masks.labels.any()
    assert not masks.valid.any()


def test_uncovered_parts_become_regions_of_score_0_only_if_wanted(folder):
    half = {"points_per_side": 1, "overlap": 0.0, **EVERYTHING}
    picture = pictures(1, 48, 64)
    filled = SamTeacher.from_pretrained(folder, fill=True, **half)(picture)
    left = SamTeacher.from_pretrained(folder, fill=False, **half)(picture)
    assert left.valid.sum() == 1
    assert (left.labels == 0).any()
    assert filled.valid.sum() > 1
    assert (filled.labels == 0).float().mean() < 0.05
    assert (filled.scores[0, : filled.valid.sum()] == 0).sum() == filled.valid.sum() - 1


def test_picture_reaches_the_network_as_by_the_processor(folder, teacher):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 130, 3), dtype=np.uint8)
    processor = SamImageProcessor.from_pretrained(folder)
    expected = processor(Image.fromarray(pixels), return_tensors="pt")["pixel_values"]
    found = teacher.preprocess(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)
    assert found.shape == expected.shape == (1, 3, 64, 64)
    # The processor rounds to 8 bit after each of two directions, so up to one level is lost.
    assert (found - expected).abs().max() < 1.1 / 255 / 0.224


def test_features_have_no_padding_and_pass_gradients_to_the_picture_only(teacher):
    picture = pictures(2, 32, 64).requires_grad_()
    features = teacher.image_features(picture)
    assert features.shape == (2, 32, 4, 8)
    features.square().mean().backward()
    assert picture.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_teacher_works_under_bf16_autocast(teacher):
    picture = pictures(1, 40, 56).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        masks = teacher(picture)
        teacher.image_features(picture).float().square().mean().backward()
    assert masks.labels.shape == (1, 40, 56)
    assert masks.valid.any()
    assert picture.grad.isfinite().all()


def test_half_precision_weights_load_as_float32(tmp_path):
    teacher = SamTeacher.from_pretrained(saved_teacher(tmp_path / "half", torch.float16))
    assert {parameter.dtype for parameter in teacher.parameters()} == {torch.float32}


def test_options_come_from_the_call_then_the_checkpoint_then_the_defaults(tmp_path):
    folder = saved_teacher(tmp_path / "tiny")
    assert SamTeacher.from_pretrained(folder).options == LabelMapOptions()
    config = json.loads((folder / "config.json").read_text())
    config["label_maps"] = {"predicted_iou": 0.4, "overlap": 0.5}
    (folder / "config.json").write_text(json.dumps(config))
    options = SamTeacher.from_pretrained(folder, overlap=0.6).options
    assert options == LabelMapOptions(predicted_iou=0.4, overlap=0.6)
    config["label_maps"] = {"predicted_iuo": 0.4}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="did you mean 'predicted_iou'"):
        SamTeacher.from_pretrained(folder)


@pytest.mark.parametrize("wrong", [{"overlap": 1.5}, {"points_per_side": 0}, {"max_regions": 0}])
def test_option_out_of_its_range_is_one_sentence(folder, wrong):
    with pytest.raises(InputError, match=f"^{next(iter(wrong))} is "):
        SamTeacher.from_pretrained(folder, **wrong)


def test_missing_folder_is_one_sentence(tmp_path):
    for name in (tmp_path / "none", "runs/no/such", "no_such_teacher"):
        with pytest.raises(InputError, match="There is no teacher"):
            SamTeacher.from_pretrained(name)
    with pytest.raises(InputError, match=r"no config\.json"):
        SamTeacher.from_pretrained(tmp_path)


def test_checkpoint_that_is_no_sam_is_named(tmp_path):
    CLIPConfig().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="type 'clip', not 'sam'"):
        SamTeacher.from_pretrained(tmp_path)


def test_broken_weights_are_one_sentence(tmp_path):
    folder = saved_teacher(tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be loaded"):
        SamTeacher.from_pretrained(folder)


def test_processor_of_another_size_is_found(tmp_path):
    folder = saved_teacher(tmp_path / "odd")
    SamImageProcessor().save_pretrained(folder)
    (folder / "processor_config.json").unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"pictures of .1024. pixels and its network takes 64"):
        SamTeacher.from_pretrained(folder)


def test_pictures_of_bytes_are_refused(teacher):
    with pytest.raises(ValueError, match="expected float RGB pictures"):
        teacher(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
