"""One page: drop a picture, say what is wrong with it, see before and after, download the result."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio as gr

    from ..restoration import ImageRestorationPipeline

LABELS = {"noise": "denoise", "rain": "derain", "blur": "deblur"}

#: More than this is kindly refused: a free Space has two cores.
MAX_MEGAPIXELS = 12


def build_page(examples: Path | None = None) -> gr.Blocks:
    """
    Args:
        examples: A folder with `noise.png`, `rain.png` and `blur.png` to try.
    """
    import gradio as gr

    with gr.Blocks(title="samdistill", delete_cache=(600, 3600)) as page:
        gr.Markdown(
            "# samdistill\nSmall networks that remove noise, rain streaks or shake from photographs. "
            "Pictures are removed within the hour."
        )
        with gr.Row():
            with gr.Column():
                picture = gr.File(label="Picture", file_types=["image"], type="filepath")
                wrong = gr.Radio(list(LABELS), value="noise", label="What is wrong with it?")
                start = gr.Button("Restore", variant="primary")
            with gr.Column(scale=2):
                slider = gr.ImageSlider(label="Before and after", format="png", interactive=False)
                download = gr.File(label="Download", interactive=False)
        start.click(restore, [picture, wrong], [slider, download], api_name="restore", concurrency_limit=1)
        if examples is not None:
            found = [[str(examples / f"{name}.png"), name] for name in LABELS]
            gr.Examples(found, [picture, wrong])
    return page


def restore(path: str | None, wrong: str) -> tuple[tuple, str]:
    """A picture file and what is wrong with it to (before, after) and the restored file, in the input's format."""
    import gradio as gr

    from ..errors import InputError
    from ..restoration import image_from_picture, read_picture

    if path is None:
        raise gr.Error("Drop a picture first.")
    if wrong not in LABELS:
        raise gr.Error(f"Choose one of: {', '.join(LABELS)}.")
    try:
        picture = read_picture(path)
        height, width = picture.pixels.shape[:2]
        if height * width > MAX_MEGAPIXELS * 1e6:
            raise InputError(
                f"The picture has {height * width / 1e6:.1f} megapixels and this page takes {MAX_MEGAPIXELS}: make it "
                "smaller, or run `samdistill restore` on your own machine."
            )
        source = Path(path)
        # Beside the upload: Gradio's own folder, which it empties.
        target = source.with_name(f"{source.stem}_restored{source.suffix}")
        _pipeline(LABELS[wrong]).restore_file(source, target, overwrite=True)
        return (image_from_picture(picture), image_from_picture(read_picture(target))), str(target)
    except (InputError, FileNotFoundError) as error:
        raise gr.Error(str(error)) from error


@lru_cache(maxsize=3)
def _pipeline(task: str) -> ImageRestorationPipeline:
    from ..bundled_models import MODEL_OF_TASK, bundled_folder
    from ..restoration import ImageRestorationPipeline

    return ImageRestorationPipeline.from_pretrained(bundled_folder(MODEL_OF_TASK[task]))
