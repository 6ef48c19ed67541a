"""The pipeline: any picture in, the same kind of picture out, and clear sentences about models."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import pipeline as transformers_pipeline

from modeling_samdistill import ImageRestorationPipeline
from modeling_samdistill.bundled_models import MODEL_OF_TASK, bundled_names
from modeling_samdistill.errors import InputError
from modeling_samdistill.restoration import read_picture
from tests.restoration.small_models import saved_nafnet, small_nafnet

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved_nafnet(tmp_path_factory.mktemp("models") / "half", half=True, task="denoise")


@pytest.fixture(scope="module")
def pipe(folder):
    return ImageRestorationPipeline.from_pretrained(folder, device="cpu")


def colours(height: int = 23, width: int = 31) -> np.ndarray:
    return RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8)


def expected(pixels: np.ndarray) -> torch.Tensor:
    """What the stored float16 weights give for (H, W, 3) uint8 pixels: (3, H, W)."""
    with torch.no_grad():
        batch = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
        return small_nafnet(task="denoise").half().float()(batch).reconstruction[0].clamp(0, 1)


def test_a_float16_file_is_ready_as_float32_on_a_cpu(pipe):
    pixels = colours()
    assert pipe.model.dtype == torch.float32
    assert not pipe.model.training
    assert np.array_equal(pipe(pixels), (expected(pixels) * 255).round().byte().permute(1, 2, 0).numpy())
    assert np.abs(pipe(pixels).astype(int) - pixels).mean() > 1  # the network does something


def test_every_kind_of_picture_comes_back_as_its_kind_with_the_same_pixels(pipe, tmp_path):
    pixels = colours()
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    from_array = pipe(pixels)
    assert from_array.dtype == np.uint8
    for given in (str(tmp_path / "picture.png"), tmp_path / "picture.png", Image.fromarray(pixels)):
        restored = pipe(given)
        assert isinstance(restored, Image.Image)
        assert restored.size == (31, 23)
        assert np.array_equal(np.asarray(restored), from_array)
    assert torch.equal(pipe(tensor).permute(1, 2, 0), torch.from_numpy(from_array))
    floats = pipe(tensor / 255)
    assert floats.dtype == torch.float32
    assert torch.equal((floats * 255).round().byte(), pipe(tensor))
    assert pipe(pixels / 255).dtype == np.float64


def test_a_list_may_hold_different_sizes_and_kinds(pipe):
    given = [colours(5, 9), Image.fromarray(colours(17, 4)), torch.rand(3, 1, 1), colours(33, 8)[..., 0]]
    restored = pipe(given)
    assert [type(picture) for picture in restored] == [np.ndarray, Image.Image, torch.Tensor, np.ndarray]
    assert restored[0].shape == (5, 9, 3)
    assert restored[1].size == (4, 17)
    assert restored[2].shape == (3, 1, 1)
    assert restored[3].shape == (33, 8)
    assert np.array_equal(restored[0], pipe(given[0]))
    assert pipe([]) == []


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pillow_images_keep_mode_and_size(pipe, mode):
    if mode == "I;16":
        image = Image.fromarray(RANDOM.integers(0, 65536, (23, 31), dtype=np.uint16))
    else:
        image = Image.fromarray(colours()).convert(mode)
    restored = pipe(image)
    assert (restored.mode, restored.size) == (image.mode, image.size)


def test_gray_is_the_mean_of_the_colours_that_the_network_makes_of_it(pipe):
    gray = colours()[..., 0]
    wanted = expected(np.repeat(gray[..., None], 3, axis=2))
    with torch.no_grad():
        batch = torch.from_numpy(np.repeat(gray[None, None], 3, axis=1).astype(np.float32) / 255)
        wanted = (pipe.model(batch).reconstruction[0].mean(dim=0).clamp(0, 1) * 255).round().byte().numpy()
    assert np.array_equal(pipe(gray), wanted)


def test_alpha_is_passed_through(pipe):
    pixels = np.concatenate([colours(), colours()[..., :1]], axis=2)
    restored = pipe(pixels)
    assert np.array_equal(restored[..., 3], pixels[..., 3])
    assert np.array_equal(restored[..., :3], pipe(pixels[..., :3]))


def test_the_network_sees_turned_pictures_upright(pipe):
    pixels = colours()
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = 6
    restored = np.asarray(pipe(image))
    assert restored.shape == pixels.shape
    assert np.array_equal(np.rot90(restored, -1), pipe(np.ascontiguousarray(np.rot90(pixels, -1))))


def test_sixteen_bit_colour_files_keep_their_bits(pipe, tmp_path):
    from modeling_samdistill.restoration import Picture, write_picture

    deep = RANDOM.integers(0, 65536, (23, 31, 3), dtype=np.uint16)
    write_picture(Picture(pixels=deep), tmp_path / "in.png")
    pipe.restore_file(tmp_path / "in.png", tmp_path / "out.png")
    restored = read_picture(tmp_path / "out.png").pixels
    assert restored.dtype == np.uint16
    assert np.array_equal(restored, pipe(deep))
    assert len(np.unique(restored & 255)) > 100


def test_tiles_cover_a_large_picture_without_a_jump(pipe):
    picture = np.full((300, 280, 3), 128, np.uint8)
    whole, tiled = pipe(picture), pipe(picture, tile=128)
    assert np.abs(whole.astype(int) - tiled)[40:-40, 40:-40].max() <= 2


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (torch.rand(1, 3, 5, 5), "as a list"),
        (np.zeros((5, 5, 7), np.uint8), "not a picture"),
        (np.zeros((0, 5, 3), np.uint8), "at least one pixel"),
        (np.zeros((5, 5, 3), np.int64), "int64"),
        (np.full((5, 5, 3), np.nan), "NaN"),
        (np.full((5, 5, 3), 200.0), "scale them"),
        (object(), "is not a picture"),
    ],
)
def test_what_is_no_picture_is_one_clear_sentence(pipe, given, sentence):
    with pytest.raises(InputError, match=sentence):
        pipe(given)


def test_a_gray_model_refuses_colour_and_restores_gray(tmp_path):
    gray = ImageRestorationPipeline.from_pretrained(saved_nafnet(tmp_path / "m", num_channels=1, num_channels_out=1))
    assert gray(colours()[..., 0]).shape == (23, 31)
    with pytest.raises(InputError, match="gray pictures"):
        gray(colours())


def test_a_model_of_further_planes_says_that_it_is_not_for_pictures(tmp_path):
    refiner = ImageRestorationPipeline.from_pretrained(saved_nafnet(tmp_path / "m", num_channels=7))
    with pytest.raises(InputError, match="7 channels"):
        refiner(colours())


def test_pipeline_by_name_asks_nothing_with_stdin_closed(folder, tmp_path):
    """transformers asks on stdin whether to run a model's own code, unless everything is known."""
    np.save(tmp_path / "pixels.npy", colours())
    script = (
        "import sys, numpy, modeling_samdistill.restoration.pipeline; from transformers import pipeline\n"
        "pipe = pipeline('image-restoration', model=sys.argv[1])\n"
        "assert str(pipe.model.dtype) == 'torch.float32', pipe.model.dtype\n"
        "assert type(pipe.model).__module__ == 'modeling_samdistill.models.modeling_nafnet'\n"
        "numpy.save(sys.argv[3], pipe(numpy.load(sys.argv[2])))\n"
    )
    paths = [str(path) for path in (folder, tmp_path / "pixels.npy", tmp_path / "restored.npy")]
    done = subprocess.run(
        [sys.executable, "-c", script, *paths], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "backend is not available" not in done.stderr
    here = ImageRestorationPipeline.from_pretrained(folder)(np.load(tmp_path / "pixels.npy"))
    assert np.array_equal(np.load(tmp_path / "restored.npy"), here)


def test_pipeline_by_name_equals_from_pretrained(folder, pipe):
    pixels = colours()
    by_name = transformers_pipeline("image-restoration", model=str(folder), device="cpu")  # type: ignore[call-overload]
    assert np.array_equal(by_name(pixels), pipe(pixels))


def test_a_folder_without_an_image_processor_still_restores(tmp_path, pipe):
    folder = saved_nafnet(tmp_path / "m", half=True, task="denoise")
    (folder / "preprocessor_config.json").unlink()
    pixels = colours()
    assert np.array_equal(ImageRestorationPipeline.from_pretrained(folder)(pixels), pipe(pixels))


def without_weights(folder):
    (folder / "model.safetensors").unlink()


def with_pickled_weights(folder):
    without_weights(folder)
    torch.save({}, folder / "pytorch_model.bin")


def without_config(folder):
    (folder / "config.json").unlink()


def with_broken_weights(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def with_another_shape(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"encoder_depths": [1, 2]}))


def with_another_width(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"width": 8}))


def with_broken_config(folder):
    (folder / "config.json").write_text("{")


def of_another_kind(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (without_weights, "no weights"),
        (with_pickled_weights, "pickled"),
        (without_config, r"no config\.json"),
        (with_broken_weights, "cannot be loaded"),
        (with_another_shape, "do not fit"),
        (with_another_width, "cannot be loaded|do not fit"),
        (with_broken_config, "cannot be loaded"),
        (of_another_kind, "cannot be loaded"),
    ],
)
def test_a_spoilt_model_folder_is_one_clear_sentence(tmp_path, spoil, sentence):
    folder = saved_nafnet(tmp_path / "m")
    spoil(folder)
    with pytest.raises(InputError, match=sentence) as caught:
        ImageRestorationPipeline.from_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_a_misspelt_name_and_a_missing_folder_do_not_ask_the_hub():
    with pytest.raises(InputError, match="No bundled model is called"):
        ImageRestorationPipeline.from_pretrained("nafnet-smal-denoise")
    with pytest.raises(InputError, match="not a model folder"):
        ImageRestorationPipeline.from_pretrained("./models/mine")


def test_a_model_for_another_task_is_refused(folder):
    with pytest.raises(InputError, match="trained to denoise, not to derain"):
        ImageRestorationPipeline.from_pretrained(folder, task="derain")
    assert ImageRestorationPipeline.from_pretrained(folder, task="denoise")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(folder):
    with pytest.raises(InputError, match="'cuda' is not there"):
        ImageRestorationPipeline.from_pretrained(folder, device="cuda")
    with pytest.raises(InputError, match="'gpu' is not there"):
        ImageRestorationPipeline.from_pretrained(folder, device="gpu")


@pytest.mark.parametrize("task", MODEL_OF_TASK)
def test_bundled_models_restore_as_float32(task):
    if MODEL_OF_TASK[task] not in bundled_names():
        pytest.skip(f"the bundled model {MODEL_OF_TASK[task]} is not there yet")
    bundled = ImageRestorationPipeline.from_pretrained(MODEL_OF_TASK[task], device="cpu", task=task)
    pixels = colours()
    assert bundled.model.dtype == torch.float32
    assert bundled.model.num_parameters() <= 4_000_000
    assert bundled(pixels).shape == pixels.shape
