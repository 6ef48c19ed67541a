"""`samdistill web`: the page on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def web(
    port: Annotated[
        int | None, typer.Option(envvar="GRADIO_SERVER_PORT", help="Port; the first free one from 7860.")
    ] = None,
    examples: Annotated[Path | None, typer.Option(help="A folder with noise.png, rain.png and blur.png.")] = None,
) -> None:
    """Open the web page with the bundled models on this machine."""
    from importlib.util import find_spec

    from ..errors import InputError
    from ..web.page import build_page

    if find_spec("gradio") is None:
        raise InputError("The page needs Gradio, which is not installed: pip install 'samdistill[web]'.")
    build_page(examples).queue(max_size=20).launch(server_port=port, max_file_size="50mb")
