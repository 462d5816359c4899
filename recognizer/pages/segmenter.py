"""Finding the lines of a page: what a segmenter gives, and the segmenters by name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

import numpy as np

from recognizer.errors import ConfigError, nearest
from recognizer.utils.xml import Point


@dataclass(frozen=True)
class PageLine:
    """A line that was found on a page.

    Attributes:
        id: ``line_N``, by the reading order.
        outline: at least three corners of the polygon around it, in pixels of the page.
        baseline: points from its left to its right end.
        region: id of the block of lines that it belongs to.
    """

    id: str
    outline: tuple[Point, ...]
    baseline: tuple[Point, ...]
    region: str


class Segmenter(Protocol):
    """Finds the lines of a page."""

    def find(self, picture: np.ndarray) -> list[PageLine]:
        """The lines of a page, gray uint8 (H, W), dark ink on light paper or the other way round, in reading order."""
        ...


SEGMENTERS = {  # by name: module and class
    "rapidocr": ("recognizer.pages.rapidocr_lines", "RapidOcrSegmenter"),
    "kraken": ("recognizer.pages.kraken_lines", "KrakenSegmenter"),
}


def load_segmenter(name: str) -> Segmenter:
    """The segmenter of a name in ``SEGMENTERS``.

    Raises:
        ConfigError: there is none of this name, or the package that it needs is not installed.
    """
    if name not in SEGMENTERS:
        raise ConfigError(f"--segmenter: {name!r} is not one of {', '.join(SEGMENTERS)}{nearest(name, SEGMENTERS)}")
    module, kind = SEGMENTERS[name]
    segmenter: Segmenter = getattr(import_module(module), kind)()
    return segmenter
