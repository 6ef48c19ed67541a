"""The page, driven over its own HTTP interface by Gradio's client."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modeling_samdistill import ImageRestorationPipeline
from modeling_samdistill.bundled_models import MODEL_OF_TASK, bundled_names

gradio_client = pytest.importorskip("gradio_client", reason="the web extra is not installed")
EXAMPLES = Path(__file__).parents[2] / "spaces_app" / "examples"


@pytest.fixture(scope="module")
def client():
    if not set(MODEL_OF_TASK.values()) <= set(bundled_names()):
        pytest.skip("the bundled models are not there")
    from modeling_samdistill.web.page import build_page

    page = build_page(EXAMPLES)
    _, address, _ = page.launch(prevent_thread_lock=True, quiet=True)
    yield gradio_client.Client(address, verbose=False)
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["noise", "rain", "blur"])
def test_the_download_is_what_the_pipeline_gives_bit_for_bit(client, wrong):
    path = EXAMPLES / f"{wrong}.png"
    (before, after), download = client.predict(gradio_client.handle_file(path), wrong, api_name="/restore")
    task = {"noise": "denoise", "rain": "derain", "blur": "deblur"}[wrong]
    expected = ImageRestorationPipeline.from_pretrained(MODEL_OF_TASK[task])(Image.open(path))
    pixels = np.asarray(expected)
    assert np.array_equal(np.asarray(Image.open(download)), pixels)
    assert np.array_equal(np.asarray(Image.open(after).convert("RGB")), pixels)
    assert np.array_equal(np.asarray(Image.open(before).convert("RGB")), np.asarray(Image.open(path)))
    assert Path(download).name == f"{wrong}_restored.png"


@pytest.mark.slow
def test_a_file_that_is_no_picture_gets_one_sentence(client, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    with pytest.raises(gradio_client.exceptions.AppError) as raised:
        client.predict(gradio_client.handle_file(broken), "noise", api_name="/restore")
    assert "Traceback" not in str(raised.value)
    assert "broken.png" in str(raised.value)
