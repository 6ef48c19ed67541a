"""SPF operators, relations, schedules and the analyser, against plain loops."""

import math

import pytest
import torch
from torch.nn import functional as F

from modeling_samdistill.distillation import (
    AnalyserArguments,
    CascadeArguments,
    RefinerArguments,
    WeightSchedule,
    build_analyser,
    build_fusion,
    region_prototypes,
    relation_distance,
    relation_matrix,
)
from modeling_samdistill.errors import InputError
from modeling_samdistill.teachers import SemanticMasks
from tests.development_data import data_path, needs

torch.manual_seed(0)
PICTURES = torch.rand(2, 3, 12, 16)
LABELS = torch.stack([torch.arange(192).view(12, 16) // 50 + 1, torch.zeros(12, 16, dtype=torch.long)])
LABELS[1, :4] = 2
MASKS = SemanticMasks.from_label_maps(LABELS, max_regions=5)


@pytest.mark.parametrize("name", ["none", "concat", "modulate", "region_pool"])
def test_every_operator_keeps_the_restored_picture_first_and_says_its_channels(name):
    fusion = build_fusion(name, regions=5, width=4)
    fused = fusion(PICTURES, PICTURES * 0.5, MASKS)
    assert fused.shape == (2, fusion.out_channels, 12, 16)
    assert torch.equal(fused[:, :3], PICTURES * 0.5)
    assert torch.equal(fused[:, 3:6], PICTURES)


@pytest.mark.parametrize("name", ["concat", "modulate", "region_pool"])
def test_operators_with_masks_depend_on_them(name):
    torch.manual_seed(1)
    fusion = build_fusion(name, regions=5, width=4)
    other = SemanticMasks.from_label_maps(LABELS.flip(1), max_regions=5)
    assert not torch.equal(fusion(PICTURES, PICTURES, MASKS), fusion(PICTURES, PICTURES, other))


def test_region_pooling_is_the_mean_over_each_region():
    fusion = build_fusion("region_pool", regions=5, width=4)
    fused = fusion(PICTURES, PICTURES * 0.5, MASKS)
    for picture in range(2):
        for label in MASKS.labels[picture].unique():
            inside = MASKS.labels[picture] == label
            mean = (PICTURES[picture] * 0.5)[:, inside].mean(dim=1)
            assert torch.allclose(
                fused[picture, 6:9][:, inside], mean[:, None].expand(-1, int(inside.sum())), atol=1e-6
            )


def test_prototypes_are_the_mean_feature_of_each_region():
    features = torch.rand(2, 7, 12, 16)
    prototypes, present = region_prototypes(features, MASKS)
    assert torch.equal(present, MASKS.valid)
    for picture in range(2):
        for region in range(int(MASKS.valid[picture].sum())):
            inside = MASKS.labels[picture] == region + 1
            assert torch.allclose(prototypes[picture, region], features[picture][:, inside].mean(dim=1), atol=1e-5)


def test_a_region_too_small_for_coarse_features_still_counts_by_its_share():
    labels = torch.ones(1, 16, 16, dtype=torch.long)
    labels[0, 5, 5] = 2
    masks = SemanticMasks.from_label_maps(labels, max_regions=3)
    features = torch.rand(1, 4, 4, 4)
    prototypes, present = region_prototypes(features, masks)
    assert present.tolist() == [[True, True, False]]
    assert torch.allclose(prototypes[0, 1], features[0, :, 1, 1], atol=1e-5)


def test_relations_are_cosines_or_root_mean_square_differences():
    prototypes = torch.rand(2, 4, 6)
    cosine, l2 = relation_matrix(prototypes, "cosine"), relation_matrix(prototypes, "l2")
    for i in range(4):
        for j in range(4):
            one, other = prototypes[0, i], prototypes[0, j]
            assert cosine[0, i, j] == pytest.approx(float(F.cosine_similarity(one, other, dim=0)), abs=1e-5)
            assert l2[0, i, j] == pytest.approx(float((one - other).square().mean().sqrt()), abs=1e-5)


@pytest.mark.parametrize("relation", ["cosine", "l2"])
def test_relation_distance_counts_valid_pairs_only_and_has_finite_gradients(relation):
    features = torch.rand(2, 7, 6, 8, requires_grad=True)
    target = torch.rand(2, 7, 6, 8)
    distance = relation_distance([features], [target], MASKS, relation)
    first, present = region_prototypes(features, MASKS)
    second, _ = region_prototypes(target, MASKS)
    expected = 0.0
    for picture in range(2):
        total, count = 0.0, 0
        for i in range(5):
            for j in range(5):
                if i != j and present[picture, i] and present[picture, j]:
                    a, b = relation_matrix(first, relation), relation_matrix(second, relation)
                    total += abs(float(a[picture, i, j] - b[picture, i, j]))
                    count += 1
        expected += total / max(count, 1) / 2
    assert float(distance) == pytest.approx(expected, abs=1e-6)
    halves = [
        relation_distance([features[n : n + 1]], [target[n : n + 1]], part, relation)
        for n, part in enumerate(SemanticMasks.from_label_maps(LABELS[n : n + 1], 5) for n in range(2))
    ]
    assert float(sum(halves)) / 2 == pytest.approx(float(distance), abs=1e-6)
    distance.backward()
    assert torch.isfinite(features.grad).all()
    assert features.grad.abs().sum() > 0


@pytest.mark.parametrize("relation", ["cosine", "l2"])
def test_relations_of_a_picture_without_two_regions_are_no_distance(relation):
    features = torch.rand(1, 3, 12, 16, requires_grad=True)
    masks = SemanticMasks.from_label_maps(LABELS[1:], max_regions=5)
    distance = relation_distance([features], [features.detach() + 1], masks, relation)
    distance.backward()
    assert float(distance) == 0
    assert torch.equal(features.grad, torch.zeros_like(features))


def test_a_schedule_starts_late_grows_and_anneals_to_zero():
    schedule = WeightSchedule(2.0, start=0.2, warm_up=0.2, anneal_from=0.6)
    assert [schedule.at(p) for p in (0.0, 0.19)] == [0, 0]
    assert schedule.at(0.3) == pytest.approx(1.0)
    assert schedule.at(0.4) == schedule.at(0.6) == 2.0
    assert schedule.at(0.8) == pytest.approx(2 * 0.5 * (1 + math.cos(math.pi / 2)))
    assert schedule.at(1.0) == pytest.approx(0, abs=1e-12)
    assert WeightSchedule(0.5).at(0) == WeightSchedule(0.5).at(1) == 0.5


@needs("weights/squeezenet1_0_imagenet.safetensors")
def test_the_analyser_takes_torchvision_features_with_local_weights():
    weights = str(data_path("weights/squeezenet1_0_imagenet.safetensors"))
    layers = ["features.3", "features.7"]
    analyser = build_analyser(AnalyserArguments("torchvision:squeezenet1_0", layers, weights), teacher=None)
    pictures = torch.rand(1, 3, 64, 64, requires_grad=True)
    features = analyser.train()(pictures)
    assert [feature.shape[1] for feature in features] == [128, 256]
    assert not analyser.network.training
    assert not any(parameter.requires_grad for parameter in analyser.parameters())
    sum(feature.mean() for feature in features).backward()
    assert pictures.grad.abs().sum() > 0


def test_the_analyser_takes_timm_features_by_stage(tmp_path):
    import timm
    from safetensors.torch import save_file

    save_file(timm.create_model("resnet10t", features_only=True).state_dict(), tmp_path / "w.safetensors")
    arguments = AnalyserArguments("timm:resnet10t", ["1", "2"], str(tmp_path / "w.safetensors"))
    features = build_analyser(arguments, teacher=None)(torch.rand(1, 3, 64, 64))
    assert [feature.shape[-1] for feature in features] == [16, 8]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (AnalyserArguments("vgg19"), "torchvision:NAME"),
        (AnalyserArguments("torchvision:vgg91"), "no network 'vgg91'; did you mean"),
        (AnalyserArguments("sam"), "give --teacher"),
        (AnalyserArguments("torchvision:vgg11", ["features.3"], "nowhere.safetensors"), "There is no file nowhere"),
    ],
)
def test_a_wrong_analyser_is_one_clear_sentence(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        build_analyser(arguments, teacher=None)


def test_weights_that_lack_tensors_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="lacks"):
        build_analyser(AnalyserArguments("torchvision:vgg11", ["features.3"], str(tmp_path / "w.safetensors")), None)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (CascadeArguments(fuse="concat_"), "did you mean 'concat'"),
        (CascadeArguments(mask_of="restored"), "changes with every step"),
        (CascadeArguments(refiner=RefinerArguments(target="frozen")), "never trained"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        arguments.check()
