"""From masks that are known to the label map they have to become."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.measure import label as skimage_label

from modeling_samdistill.teachers.mask_selection import (
    connected_parts,
    drop_small,
    fill_uncovered,
    paint,
    painting_order,
    stability_of,
    suppress_overlaps,
)


def rectangle(top: int, left: int, bottom: int, right: int, size: int = 16) -> torch.Tensor:
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


def test_smaller_masks_lie_over_larger_ones_whatever_their_scores():
    masks = torch.stack([rectangle(4, 4, 8, 8), rectangle(0, 0, 16, 16), rectangle(2, 2, 12, 12)])
    order = painting_order(masks.flatten(1).sum(1), torch.tensor([0.1, 0.9, 0.5]))
    assert order.tolist() == [1, 2, 0]
    labels = paint(masks[order] * 2.0 - 1, 16, 16)
    assert labels[0, 0] == 1
    assert labels[2, 2] == 2
    assert labels[5, 5] == 3
    assert labels.unique().tolist() == [1, 2, 3]


def test_of_equal_areas_the_higher_score_is_on_top_and_of_equal_scores_the_first():
    areas = torch.tensor([9, 9, 9, 9])
    assert painting_order(areas, torch.tensor([0.5, 0.7, 0.5, 0.6])).tolist() == [2, 0, 3, 1]
    assert painting_order(areas, torch.full((4,), 0.5)).tolist() == [3, 2, 1, 0]


def test_labels_do_not_depend_on_how_many_masks_are_enlarged_at_a_time(monkeypatch):
    logits = torch.randn(7, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = paint(logits, 33, 21)
    monkeypatch.setattr("modeling_samdistill.teachers.mask_selection._PIXELS_AT_A_TIME", 1)
    assert torch.equal(paint(logits, 33, 21), expected)
    assert (expected == 7).any()
    assert (paint(logits - 100, 33, 21) == 0).all()


def test_of_masks_alike_the_best_is_kept():
    masks = torch.stack([rectangle(0, 0, 8, 8), rectangle(0, 0, 8, 9), rectangle(8, 8, 16, 16), rectangle(0, 0, 8, 8)])
    scores = torch.tensor([0.5, 0.9, 0.1, 0.5])
    assert suppress_overlaps(masks, scores, 0.7).tolist() == [1, 2]
    # 64 of 72 pixels: an IoU of 0.889 is not larger than 0.9, but that of the two equal masks is.
    assert suppress_overlaps(masks, scores, 0.9).tolist() == [1, 0, 2]
    assert suppress_overlaps(masks[:0], scores[:0], 0.7).tolist() == []


def test_masks_that_share_a_box_but_not_their_pixels_are_both_kept():
    lower = torch.ones(16, 16).tril(-1).bool()
    assert len(suppress_overlaps(torch.stack([lower, lower.T]), torch.tensor([0.5, 0.4]), 0.1)) == 2


def test_stability_is_the_iou_of_two_thresholds():
    logits = torch.tensor([[[-2.0, -0.5, 0.5, 2.0]], [[-5.0, -5.0, 5.0, 5.0]], [[-9.0, -9.0, -9.0, -9.0]]])
    assert stability_of(logits, 1.0).tolist() == pytest.approx([1 / 3, 1, 0])


def test_uncovered_parts_that_are_large_enough_get_labels_of_their_own():
    labels = torch.full((6, 6), 1)
    labels[0, :4] = 0
    labels[3:5, 3:5] = 0
    labels[5, 0] = 0
    filled = fill_uncovered(labels, used=5, smallest=2)
    assert filled[0, :4].unique().tolist() == [6]
    assert filled[3:5, 3:5].unique().tolist() == [7]
    assert filled[5, 0] == 0
    assert (filled[labels == 1] == 1).all()
    assert torch.equal(fill_uncovered(labels.clamp(min=1), 5, 2), labels.clamp(min=1))


def test_small_regions_are_dropped():
    labels = torch.tensor([[1, 1, 2], [0, 3, 3]])
    assert drop_small(labels, 2).tolist() == [[1, 1, 0], [0, 3, 3]]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8, 1.0])
def test_connected_parts_are_those_of_scikit_image(share):
    mask = np.random.default_rng(1).random((37, 53)) < share
    found = connected_parts(torch.from_numpy(mask)).numpy()
    expected = skimage_label(mask, connectivity=1)
    pairs = set(zip(found.ravel().tolist(), expected.ravel().tolist()))
    assert len(pairs) == len(np.unique(found)) == len(np.unique(expected))
    assert (found[~mask] == 0).all()


def test_a_part_that_winds_is_one_part():
    mask = torch.zeros(21, 21, dtype=torch.bool)
    mask[::2] = True
    mask[1::4, -1] = True
    mask[3::4, 0] = True
    assert len(connected_parts(mask).unique()) == 2
