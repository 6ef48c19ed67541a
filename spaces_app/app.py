"""Starts the page on a Hugging Face Space."""

from pathlib import Path

from modeling_samdistill.web.page import build_page

page = build_page(Path(__file__).parent / "examples")

if __name__ == "__main__":
    page.queue(max_size=20).launch(max_file_size="50mb")
