"""Training samples: label maps follow every crop and flip, and everything is a function of (seed, epoch, index)."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from modeling_samdistill.data import (
    DataArguments,
    DegradationArguments,
    RainArguments,
    SampleOrder,
    TrainingPictures,
    open_pictures,
)
from modeling_samdistill.data.crops import Crop, draw_crop
from modeling_samdistill.data.segments import open_segments
from modeling_samdistill.data.training_pictures import grid_like
from modeling_samdistill.errors import InputError


def position_picture(height: int, width: int) -> np.ndarray:
    """A picture whose colours tell where each pixel is."""
    down, right = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return np.stack([down, right, np.full_like(down, 7)], axis=2).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    for number, (height, width) in enumerate([(60, 80), (90, 50), (40, 40)]):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "masks").mkdir(exist_ok=True)
        picture = position_picture(height, width)
        Image.fromarray(picture).save(tmp_path / "images" / f"p{number}.png")
        # The label is a function of the position, so that a crop's label map can be checked against its pixels.
        labels = (picture[..., 0] // 16 * 8 + picture[..., 1] // 16 + 1).astype(np.uint8)
        for annotator in range(2):
            Image.fromarray(labels + annotator * 100).save(tmp_path / "masks" / f"p{number}_{annotator}.png")
    return tmp_path


def pictures(folder, kind="true", seed=0, **settings):
    arguments = DataArguments(crop_size=32, degradation=DegradationArguments(kind="none"), **settings)
    segments = open_segments(str(folder / "masks"))
    return TrainingPictures(open_pictures(str(folder / "images")), [0, 1, 2], arguments, seed, segments, kind)


def test_label_maps_follow_every_crop_flip_and_turn(folder):
    data = pictures(folder)
    seen = set()
    for epoch in range(20):
        for index in range(3):
            item = data[epoch, index]
            down, right = (item["clean"][:2] * 255).round().long()
            expected = down // 16 * 8 + right // 16 + 1
            annotator = (item["labels"] - expected) // 100
            assert torch.equal(item["labels"], expected + 100 * annotator)
            assert len(annotator.unique()) == 1
            seen.add(int(annotator[0, 0]))
    assert seen == {0, 1}, "both annotators are drawn"


def test_samples_are_the_same_in_any_worker_and_differ_between_seeds_and_epochs(folder):
    data = pictures(folder)
    keys = [[(0, 1), (5, 2)], [(3, 0), (0, 0)]]
    here = [torch.stack([data[key]["degraded"] for key in batch]) for batch in keys]
    loaded = [batch["degraded"] for batch in DataLoader(pictures(folder), batch_sampler=keys, num_workers=2)]
    assert all(torch.equal(one, other) for one, other in zip(here, loaded))
    assert not torch.equal(data[0, 0]["clean"], data[1, 0]["clean"])
    assert not torch.equal(data[0, 0]["clean"], pictures(folder, seed=1)[0, 0]["clean"])


def test_all_kinds_of_masks_see_the_same_pixels(folder):
    noisy = DegradationArguments(kind="noise")
    items = {}
    for kind in ("none", "true", "other", "grid"):
        data = pictures(folder, kind)
        data.arguments.degradation = noisy
        items[kind] = data[4, 1]
    for kind in ("true", "other", "grid"):
        assert torch.equal(items["none"]["degraded"], items[kind]["degraded"])
        assert torch.equal(items["none"]["clean"], items[kind]["clean"])
    assert not torch.equal(items["true"]["labels"], items["other"]["labels"])
    assert "labels" not in items["none"]


def test_the_grid_has_about_as_many_regions():
    for regions in (1, 2, 5, 12, 30):
        labels = np.arange(64 * 64).reshape(64, 64) * regions // (64 * 64) + 1
        made = len(np.unique(grid_like(labels)))
        assert abs(made - regions) <= max(1, regions // 4)


def test_a_crop_of_a_smaller_picture_reflects_what_is_missing():
    picture = position_picture(10, 40)
    crop = draw_crop(10, 40, 32, np.random.default_rng(0))
    window = crop.cut(picture)
    assert window.shape == (32, 32, 3)
    assert set(np.unique(window[..., 0])) == set(range(10))


def test_a_margin_shows_the_pixels_around_the_crop():
    picture = position_picture(60, 60)
    wide = Crop(top=10, left=20, size=16).cut(picture, margin=4)
    assert wide.shape == (24, 24, 3)
    assert tuple(wide[0, 0, :2]) == (6, 16)
    at_edge = Crop(top=0, left=0, size=16).cut(picture, margin=4)
    assert tuple(at_edge[4, 4, :2]) == (0, 0)
    assert tuple(at_edge[3, 3, :2]) == (0, 0), "the edge pixel is repeated"


def test_every_picture_comes_once_an_epoch_and_processes_share_each_step():
    order = SampleOrder(7, seed=3)
    epoch_of = [order[position] for position in range(14)]
    assert sorted(index for epoch, index in epoch_of[:7]) == list(range(7))
    assert {epoch for epoch, _ in epoch_of[7:]} == {1}
    whole = list(order.batches(2, 6, 4))
    halves = [list(order.batches(2, 6, 4, process, 2)) for process in range(2)]
    assert whole == [first + second for first, second in zip(*halves)]


def test_parquet_with_embedded_bytes_reads_as_the_folder_does(folder, tmp_path):
    from datasets import Dataset

    rows = {"image": [], "segments": [], "name": []}
    for number in range(3):
        rows["name"].append(f"p{number}")
        picture = (folder / "images" / f"p{number}.png").read_bytes()
        rows["image"].append({"bytes": picture, "path": None})
        rows["segments"].append((folder / "masks" / f"p{number}_0.png").read_bytes())
    (tmp_path / "parquet").mkdir()
    Dataset.from_dict(rows).to_parquet(tmp_path / "parquet" / "part-0.parquet")
    arguments = DataArguments(crop_size=32, degradation=DegradationArguments(kind="none"))
    table = TrainingPictures(open_pictures(str(tmp_path / "parquet")), [0, 1, 2], arguments, 0, None, "true")
    given = open_segments(str(tmp_path / "parquet"))
    beside = TrainingPictures(open_pictures(str(folder / "images")), [0, 1, 2], arguments, 0, given, "true")
    for index in range(3):
        assert torch.equal(table[0, index]["clean"], beside[0, index]["clean"])
        assert torch.equal(table[0, index]["labels"], beside[0, index]["labels"])


def test_pairs_are_cut_at_the_same_place(tmp_path):
    for name, shift in (("gt", 0), ("lq", 3)):
        (tmp_path / name).mkdir()
        Image.fromarray(position_picture(50, 60) + shift).save(tmp_path / name / "a.png")
    arguments = DataArguments(crop_size=24)
    item = TrainingPictures(open_pictures(str(tmp_path)), [0], arguments, 0)[0, 0]
    assert torch.allclose(item["degraded"] - item["clean"], torch.tensor(3 / 255), atol=1e-6)


def broken(tmp_path, kind):
    images = tmp_path / "images"
    if kind == "missing folder":
        return str(tmp_path / "nowhere")
    images.mkdir()
    if kind == "no picture":
        (images / "a.txt").write_text("hello")
    if kind == "truncated":
        stream = io.BytesIO()
        Image.fromarray(position_picture(60, 60)).save(stream, "PNG")
        (images / "a.png").write_bytes(stream.getvalue()[:60])
    if kind == "no partner":
        (tmp_path / "images" / "gt").mkdir()
        Image.fromarray(position_picture(60, 60)).save(images / "gt" / "a.png")
    return str(images)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("missing folder", "is not a folder"),
        ("no picture", "holds no pictures"),
        ("truncated", "cannot be read as a picture"),
        ("no partner", "needs one of its name in lq/"),
    ],
)
def test_bad_datasets_are_one_clear_sentence(tmp_path, kind, sentence):
    with pytest.raises(InputError, match=sentence):
        open_pictures(broken(tmp_path, kind)).read(0)


def test_a_label_map_of_another_size_is_refused(folder):
    Image.fromarray(np.ones((5, 5), np.uint8)).save(folder / "masks" / "p0_0.png")
    Image.fromarray(np.ones((5, 5), np.uint8)).save(folder / "masks" / "p0_1.png")
    with pytest.raises(InputError, match=r"p0 is 5x5 pixels but its picture is 80x60"):
        pictures(folder)[0, 0]


def test_rain_falls_down_whichever_way_the_crop_is_turned(tmp_path):
    Image.fromarray(np.full((80, 80, 3), 60, np.uint8)).save(tmp_path / "gray.png")
    rain = RainArguments(angle=[0.0, 0.0], angle_spread=0.0, length=[30.0, 30.0], density=[80.0, 80.0])
    arguments = DataArguments(crop_size=64, degradation=DegradationArguments(kind="rain", rain=rain))
    data = TrainingPictures(open_pictures(str(tmp_path)), [0], arguments, 0)
    for epoch in range(8):
        item = data[epoch, 0]
        streaks = (item["degraded"] - item["clean"])[0]
        down, right = streaks.diff(dim=0).abs().mean(), streaks.diff(dim=1).abs().mean()
        assert right > 2 * down
