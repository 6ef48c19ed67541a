"""Label maps as sorted regions."""

from __future__ import annotations

import pytest
import torch

from modeling_samdistill.teachers import SemanticMasks


def test_regions_are_sorted_by_size_and_of_equal_ones_the_smaller_label_comes_first():
    labels = torch.tensor([[[7, 7, 7, 0], [9, 9, 3, 3]], [[5, 5, 5, 5], [5, 5, 5, 5]]])
    masks = SemanticMasks.from_label_maps(labels, 4)
    assert masks.labels.tolist() == [[[1, 1, 1, 0], [3, 3, 2, 2]], [[1, 1, 1, 1], [1, 1, 1, 1]]]
    assert masks.valid.tolist() == [[True, True, True, False], [True, False, False, False]]
    assert masks.scores.tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]


def test_regions_beyond_the_limit_become_0():
    labels = torch.tensor([[[1, 2, 2, 3, 3, 3, 4, 4, 4, 4]]])
    masks = SemanticMasks.from_label_maps(labels, 2)
    assert masks.labels.tolist() == [[[0, 0, 0, 2, 2, 2, 1, 1, 1, 1]]]
    assert masks.valid.tolist() == [[True, True]]


def test_many_labels_keep_their_sizes_in_order():
    labels = torch.randint(0, 60000, (3, 40, 50), generator=torch.Generator().manual_seed(0))
    labels[:, :20, :20] = 65535
    labels[:, 20:30, :20] = 40000
    masks = SemanticMasks.from_label_maps(labels)
    areas = masks.masks().flatten(2).sum(2)
    assert (areas[:, :-1] >= areas[:, 1:]).all()
    assert (masks.labels[:, :20, :20] == 1).all()
    assert (masks.labels[:, 20:30, :20] == 2).all()


def test_scores_follow_their_regions():
    labels = torch.tensor([[[1, 2, 2, 3, 3, 3]]])
    masks = SemanticMasks.from_label_maps(labels, 4, torch.tensor([[0.1, 0.2, 0.3]]))
    assert masks.scores[0].tolist() == pytest.approx([0.3, 0.2, 0.1, 0])
    short = SemanticMasks.from_label_maps(labels, 4, torch.tensor([[0.1]]))
    assert short.scores[0].tolist() == pytest.approx([0, 0, 0.1, 0])
    long = SemanticMasks.from_label_maps(labels, 2, torch.full((1, 99), 0.5))
    assert long.scores[0].tolist() == [0.5, 0.5]


def test_a_map_without_regions_is_empty():
    masks = SemanticMasks.from_label_maps(torch.zeros(2, 3, 5, dtype=torch.int64))
    assert not masks.labels.any()
    assert not masks.valid.any()
    assert masks.masks().shape == (2, 32, 3, 5)
    assert not masks.masks().any()


def test_masks_are_one_plane_a_region():
    labels = torch.randint(0, 6, (2, 9, 11), generator=torch.Generator().manual_seed(0))
    masks = SemanticMasks.from_label_maps(labels, 3)
    planes = masks.masks()
    assert planes.shape == (2, 3, 9, 11)
    for region in range(3):
        assert torch.equal(planes[:, region], masks.labels == region + 1)


def test_ready_label_maps_of_any_integer_type_are_taken():
    for kind in (torch.uint8, torch.int32):
        assert SemanticMasks.from_label_maps(torch.ones(1, 2, 2, dtype=kind)).labels.dtype == torch.int64


@pytest.mark.parametrize(
    "wrong", [torch.ones(2, 2, dtype=torch.int64), torch.ones(1, 2, 2), -torch.ones(1, 2, 2).long()]
)
def test_wrong_label_maps_are_refused(wrong):
    with pytest.raises(ValueError, match="integers from 0"):
        SemanticMasks.from_label_maps(wrong)


def test_parts_that_do_not_fit_each_other_are_refused():
    labels, valid, scores = torch.zeros(1, 2, 2, dtype=torch.int64), torch.zeros(1, 3).bool(), torch.zeros(1, 3)
    with pytest.raises(ValueError, match="expected int64"):
        SemanticMasks(labels.int(), valid, scores)
    with pytest.raises(ValueError, match=r"expected both \(batch, regions\)"):
        SemanticMasks(labels, valid, scores[:, :2])
