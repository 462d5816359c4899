"""Rows of ink: whether a picture can be one line of text, or holds a page or a paragraph."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from recognizer.image.contrast import INK_LEVEL

TILES = 8  # parts of the width; a row of text has ink in most of them
FULL = 0.5  # share of the tiles that the middle of a row of text inks
EMPTY = 1 / 8  # ... and the paper between two rows
MIN_BAND = 0.5  # height of a row, share of that of the highest
MIN_STROKES = 3.0  # ... and strokes: what is thinner is a rule
MIN_GAP = 0.1  # paper between two rows, share of the highest
MIN_PAIR = 0.75  # of two rows, height of the lower by that of the higher
MAX_PAIR_ASPECT = 15.0  # width by height of two rows: a longer picture is rather a line below another's feet
MIN_ASPECT = 2.0  # width by height below which a picture with much ink is no line
MAX_CROSSINGS = 10.0  # strokes that a column of one line crosses on average; handwriting and print have 1.5 to 4, copybooks' rules add 5
MAX_PER_ROW = 4.0  # ... by row, if all rows were found
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def describe_rows(line: np.ndarray) -> str | None:
    """Why ``line``, uint8 (H, W), ink 255 on paper 0, without margins, cannot be one line of text; None if it can be.

    A picture is no line if three rows of about the same height, or two of the same, lie on top of each other with paper
    between them; or if it is nearly as tall as wide and its columns cross more strokes than letters have.
    """
    ink = line >= INK_LEVEL
    height, width = ink.shape
    crossings = count_crossings(ink)
    if not crossings:
        return None
    bands = find_rows(ink, stroke=float(np.count_nonzero(ink)) / np.count_nonzero(ink.any(axis=0)) / crossings)
    if len(bands) == 2:
        heights = sorted(bottom - top for top, bottom in bands)
        inside = bands[0][0] > 0 and bands[1][1] < height
        if not (inside and heights[0] >= MIN_PAIR * heights[1] and width <= MAX_PAIR_ASPECT * height):
            bands = []
    if width < MIN_ASPECT * height and crossings > max(MAX_CROSSINGS, MAX_PER_ROW * len(bands)):
        return "many rows of ink"  # which touch or slope, so that not all of them are found
    if len(bands) > 1:
        return f"{COUNTS[len(bands)] if len(bands) < len(COUNTS) else len(bands)} rows of ink"
    return None


def count_crossings(ink: np.ndarray) -> float:
    """Strokes that a column of ``ink``, bool (H, W), crosses on average, empty columns left out; 0 if there is no ink."""
    runs = np.count_nonzero(ink[1:] & ~ink[:-1], axis=0) + ink[0]  # by column
    inked = runs[runs > 0]
    return float(inked.mean()) if inked.size else 0.0


def find_rows(ink: np.ndarray, stroke: float) -> list[tuple[int, int]]:
    """First row and row behind the last of each band of text in ``ink``, bool (H, W), whose strokes are ``stroke`` pixels high.

    A band begins where most tiles of the width are inked and ends where next to none are.
    """
    edges = np.linspace(0, ink.shape[1], min(TILES, ink.shape[1]) + 1).astype(int)
    inked = np.stack([ink[:, left:right].any(axis=1) for left, right in pairwise(edges)]).mean(axis=0)
    full, empty = inked >= FULL, inked <= EMPTY
    bands: list[tuple[int, int]] = []
    start = None
    for row in range(len(inked)):  # between two bands there must be an empty row
        if full[row]:
            start, last = (row if start is None else start), row
        elif empty[row] and start is not None:
            bands.append((start, last + 1))
            start = None
    if start is not None:
        bands.append((start, last + 1))
    if not bands:
        return []
    highest = max(bottom - top for top, bottom in bands)
    bands = [(top, bottom) for top, bottom in bands if bottom - top >= max(MIN_BAND * highest, MIN_STROKES * stroke)]
    joined: list[tuple[int, int]] = []
    for top, bottom in bands:
        if joined and top - joined[-1][1] < MIN_GAP * highest:
            joined[-1] = (joined[-1][0], bottom)
        else:
            joined.append((top, bottom))
    return joined
