"""Real pictures for development and measurement, outside the repository because their licences do not allow copies.

`DATA` is the folder named by the environment variable SAMDISTILL_DATA, else `../shared/data` beside the checkout when
it exists, else None. A test says which of its entries it reads, and is skipped with a reason where they are absent:

    @needs("eval/Rain100L")
    def test_rainy_input_reads_as_published():
        folder = data_path("eval/Rain100L")
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def _data_folder() -> Path | None:
    named = os.environ.get("SAMDISTILL_DATA")
    if named:
        return Path(named).expanduser().resolve()
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return beside if beside.is_dir() else None


DATA: Path | None = _data_folder()


def needs(*relative: str) -> pytest.MarkDecorator:
    """Mark a test that reads these files or folders of the development data (paths relative to `DATA`)."""
    if DATA is None:
        return pytest.mark.skipif(True, reason="no development data: set SAMDISTILL_DATA to its folder")
    missing = [name for name in relative if not (DATA / name).exists()]
    reason = f"development data in {DATA} lacks {', '.join(missing)}"
    return pytest.mark.skipif(bool(missing), reason=reason)


def data_path(relative: str) -> Path:
    """The file or folder `relative` of the development data; only for tests marked with `needs(relative)`."""
    if DATA is None:
        raise FileNotFoundError("there is no development data: mark the test with `needs(...)`")
    return DATA / relative
