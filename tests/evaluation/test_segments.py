"""Covering and IoU after clicks, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from modeling_samdistill.evaluation.results import read_results, record_evaluation
from modeling_samdistill.evaluation.segments import AnnotatedPicture, click_ious, covering, evaluate_segments, middle


class Painter:
    """Marks a square of 3 x 3 pixels around each click inside, and takes it away around each outside."""

    def __init__(self, pixels: np.ndarray):
        self.size = pixels.shape[:2]
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []

    def masks(self, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
        self.seen.append((points, labels))
        masks = np.zeros((len(points), *self.size), dtype=bool)
        for mask, places, kinds in zip(masks, points, labels):
            for (x, y), kind in zip(places.astype(int), kinds):
                mask[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = kind
        return masks


def test_covering_is_the_best_iou_weighted_by_area():
    drawn = np.array([[1, 1, 1, 1], [2, 2, 2, 2]])
    found = np.array([[5, 5, 5, 0], [7, 7, 0, 0]])
    # Region 1: 3 of 4 pixels, IoU 3/4. Region 2: label 7 has 2 of 4, label 0 has 2 of 5.
    assert covering(found, [drawn]) == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert covering(drawn, [drawn]) == 1
    assert covering(np.ones((2, 4), dtype=int), [drawn]) == pytest.approx(0.5)
    assert covering(found, [drawn, found]) == pytest.approx((covering(found, [drawn]) + covering(found, [found])) / 2)


def test_what_no_annotator_labelled_does_not_count():
    drawn = np.array([[0, 0, 1, 1]])
    assert covering(np.array([[4, 4, 9, 9]]), [drawn]) == 1
    assert covering(np.array([[4, 4, 4, 9]]), [drawn]) == pytest.approx(0.5)


def test_middle_is_farthest_from_the_edge_and_counts_the_border_as_one():
    part = np.zeros((9, 11), dtype=bool)
    part[0:3, 0:3] = True
    part[3:8, 5:10] = True
    assert middle(part) == (7, 5, 3.0)
    assert middle(np.ones((5, 5), dtype=bool)) == (2, 2, 3.0)
    assert middle(np.zeros((5, 7), dtype=bool)) == (3, 2, 0.0)


def test_clicks_follow_the_errors():
    region = np.zeros((12, 20), dtype=bool)
    region[3:6, 2:11] = True
    painter = Painter(np.zeros((12, 20, 3)))
    ious = click_ious(painter, region[None], 3)
    points, labels = painter.seen[-1]
    assert points.shape == (1, 3, 2)
    assert labels.tolist() == [[1, 1, 1]]
    assert (points[0, :, 1] == 4.5).all()
    assert ious.shape == (3, 1)
    assert ious[0] == pytest.approx(9 / 27)
    assert ious[0] < ious[1] < ious[2]


def test_a_click_on_too_much_is_a_click_outside():
    class Everything(Painter):
        def masks(self, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
            return np.ones_like(super().masks(points, labels))

    region = np.zeros((12, 12), dtype=bool)
    region[:3, :3] = True
    everything = Everything(np.zeros((12, 12, 3)))
    click_ious(everything, region[None], 2)
    assert everything.seen[-1][1].tolist() == [[1, 0]]


def test_a_perfect_mask_is_clicked_in_the_middle_of_the_region():
    region = np.zeros((12, 12), dtype=bool)
    region[3:6, 3:6] = True
    painter = Painter(np.zeros((12, 12, 3)))
    assert click_ious(painter, region[None], 3).tolist() == [[1.0], [1.0], [1.0]]
    assert painter.seen[-1][0].tolist() == [[[4.5, 4.5]] * 3]


def test_values_of_a_set_go_to_the_results_file(tmp_path):
    drawn = np.ones((6, 8), dtype=np.int64)
    drawn[:3, :3] = 2
    pictures = [AnnotatedPicture(name, np.zeros((6, 8, 3), np.float32), [drawn, np.ones_like(drawn)]) for name in "ab"]
    evaluation = evaluate_segments(pictures, lambda pixels: drawn, Painter, dataset="shapes", arguments={"scale": 3})
    assert evaluation.means["covering"] == pytest.approx((1 + 39 / 48) / 2)
    assert set(evaluation.means) == {"covering", "iou_1_click", "iou_3_clicks"}
    record_evaluation(tmp_path / "results.jsonl", evaluation, model="painter", weights_sha256=None, command="none")
    rows = {row.metric: row for row in read_results(tmp_path / "results.jsonl")}
    assert rows["covering"].value == pytest.approx((1 + 39 / 48) / 2)
    assert rows["covering"].input_value is None
    assert (rows["covering"].protocol, rows["covering"].weights_sha256) == ("segments", None)
    table = (tmp_path / rows["covering"].per_image).read_text().splitlines()
    assert table[0] == "picture,height,width,covering,iou_1_click,iou_3_clicks"
    assert len(table) == 3


def test_without_clicks_only_the_covering_is_measured():
    picture = AnnotatedPicture("a", np.zeros((2, 2, 3), np.float32), [np.ones((2, 2), dtype=int)])
    evaluation = evaluate_segments([picture], lambda pixels: np.ones((2, 2), dtype=int), dataset="shapes")
    assert evaluation.means == {"covering": 1.0}
