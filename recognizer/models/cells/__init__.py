"""Recurrent cells, one a file; the file's name is the cell's name in the configuration."""

from __future__ import annotations

from importlib import import_module

from recognizer.config import CellSettings
from recognizer.models.recurrent_cell import RecurrentCell


def build_cell(name: str, inputs: int, hidden: int, settings: CellSettings | None = None) -> RecurrentCell:
    """One direction of one layer of the cell called ``name``, one of :func:`recognizer.config.cell_names`."""
    cell: RecurrentCell = import_module(f"{__name__}.{name}").Cell(inputs, hidden, settings or CellSettings())
    return cell
