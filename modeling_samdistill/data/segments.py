"""Label maps that are given beside the pictures: a folder of PNG files, parquet shards or a Hub dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import InputError
from ..teachers.label_maps import LabelMapFolder, decode_label_map


class Segments(Protocol):
    """Label maps by picture name."""

    def read(self, stem: str, rng: np.random.Generator) -> np.ndarray: ...


def open_segments(name: str, split: str = "train") -> Segments:
    """
    Args:
        name: A folder with `<stem>.png` or `<stem>_<n>.png`, a parquet folder, or a Hub id; tables have a `segments`
            column and are matched by their `name` column, or else by row.

    Raises:
        InputError: when there are no label maps.
    """
    folder = Path(name)
    if folder.is_dir() and not any(folder.rglob("*.parquet")):
        return LabelMapFolder(folder)
    return TableSegments(name, split)


class TableSegments:
    """The `segments` column of a dataset."""

    def __init__(self, name: str, split: str):
        from .pictures import load_table

        table = load_table(name, split)
        if "segments" not in table.column_names:
            raise InputError(f"{name!r} has the columns {table.column_names}; --segments needs one called `segments`.")
        names = table["name"] if "name" in table.column_names else [str(row) for row in range(len(table))]
        self._name = name
        self._rows = {row_name: row for row, row_name in enumerate(names)}
        self._table = table.select_columns(["segments"])

    def read(self, stem: str, rng: np.random.Generator) -> np.ndarray:
        """The label map (H, W) int64 of the picture `stem`."""
        if stem not in self._rows:
            raise InputError(f"{self._name!r} has no label map for picture {stem!r}; make the segments again.")
        cell = self._table[self._rows[stem]]["segments"]
        return decode_label_map(cell["bytes"] if isinstance(cell, dict) else cell)
