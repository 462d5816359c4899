"""Letters cut out of a line of handwriting, where an alignment says that they lie."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from string import ascii_letters, digits

import numpy as np

from recognizer.decoding.timing import Token

INK = 100  # grey level, paper 0, from which a pixel counts as ink
LOW = "acemnorsuvwxz"  # as high as the line's body
NARROW = "Iil1Jjtf"
STANDING = set(LOW + "bdhiklt" + "ABCDEHIKLMNOPRSTUVWX0123456789")  # on the base line
ABOVE = {"\u0300", "\u0301", "\u0302", "\u0308"}  # grave, acute, circumflex, diaeresis
TRUST = 0.5  # confidence of the alignment below which a letter is not cut out
WHOLE = 0.88  # share of a connected piece between a letter's limits from which all of it is the letter's
SCRAP = 0.12  # ... and up to which none of it is
JOINT = 1.15  # stroke widths of ink in the column where a piece is cut
CONNECTED = set(ascii_letters + digits) - set("ij")  # without dots and accents
CRUMB = 0.15  # share of such a letter's ink below which a piece is none of it
SPECK = 0.3  # squares of the stroke's width; smaller pieces belong to no letter
REACH = 1.5  # bodies that a letter may go beyond its limits
LEAST_WIDTH, LARGEST_WIDTH = 0.3, 4.5  # bodies; of letters, the upper limit also of marks
HEIGHTS = (0.5, 4.5)  # bodies; of letters and figures
RULE_LENGTH = 2.5  # heights of the picture from which a thin level streak is a ruled line
RULE_THICKNESS = 0.075  # heights of the picture, at most


@dataclass(frozen=True)
class Cut:
    """A letter as one writer wrote it once.

    Attributes:
        letter: one character of the text, or a combining mark cut from above a letter.
        picture: uint8 (H, W), ink 255 on paper 0, cut to the ink.
        body: height of the small letters of its line, pixels.
        rise: of its lower edge over the base line, pixels; for a mark over the upper edge of its letter.
        stroke: width of its strokes, pixels.
    """

    letter: str
    picture: np.ndarray
    body: float
    rise: float
    stroke: float
    whole: bool = True  # nothing had to be cut through; such a cut may as well go through the middle of a U


def cut_letters(ink: np.ndarray, tokens: Sequence[Token], wanted: set[str]) -> list[Cut]:
    """Cut the letters ``wanted`` out of a line, as far as they stand by themselves or hang on others by a single stroke.

    Neighbours are parted at the column of least ink between the middles of their tokens, and each connected piece of ink goes to the letter on
    whose side nearly all of it lies; one that lies on both sides is cut where a single stroke joins them. What is empty, joined over more ink,
    of an unlikely size, cut off by the picture's edge or aligned with little confidence is left out.

    Args:
        ink: uint8 (H, W), ink 255 on paper 0, without ruled lines (:func:`erase_rules`).
        tokens: the line's symbols in order, in pixels of the picture; spaces are tokens too.
        wanted: letters and combining marks (``ABOVE``).
    """
    from scipy import ndimage

    dark = ink >= INK
    if len(tokens) == 0 or not dark.any():
        return []
    limits = find_limits(dark, tokens)
    line = measure_line(dark, tokens, limits)
    if line is None:
        return []
    pieces, count = ndimage.label(dark, structure=np.ones((3, 3), dtype=np.int8))
    whole = np.bincount(pieces.ravel(), minlength=count + 1)
    stroke = measure_stroke(dark)
    speck = SPECK * stroke**2
    cuts = []
    for token, (left, right) in zip(tokens, limits, strict=True):
        marks = set(unicodedata.normalize("NFD", token.symbol)[1:]) & ABOVE & wanted
        if (token.symbol not in wanted and not marks) or token.symbol == " " or (token.confidence or 0.0) < TRUST:
            continue
        share = np.bincount(pieces[:, left:right].ravel(), minlength=count + 1) / np.maximum(whole, 1)
        share[0] = 0
        first, stop = max(0, left - round(REACH * line.body)), right + round(REACH * line.body)
        around, near, base = pieces[:, first:stop], ink[:, first:stop], line.row((left + right) / 2)
        mine = ((share >= WHOLE) & (whole >= speck))[around]
        joined = (share > SCRAP) & (share < WHOLE) & (whole >= speck)
        if joined.any():
            parted = _part(joined[around], left - first, right - first, JOINT * stroke)
            if parted is None:
                continue
            mine |= parted
        if token.symbol in wanted:
            kept = _without_scraps(mine) if token.symbol in CONNECTED else mine
            cuts += _frame(token.symbol, near, kept, line.body, base, not joined.any())
        for mark in sorted(marks):
            cuts += _frame_mark(mark, near, mine, line.body)
    return cuts


def erase_rules(ink: np.ndarray) -> np.ndarray:
    """Take long thin level streaks out of ``ink``, uint8 (H, W), ink 255; strokes that cross them stay."""
    from scipy import ndimage

    height, width = ink.shape
    length, thick = min(round(RULE_LENGTH * height), round(0.8 * width)), max(2, round(RULE_THICKNESS * height))
    dark = ink >= INK // 3
    streaks = ndimage.binary_closing(np.pad(dark, ((0, 0), (9, 9)), mode="edge"), np.ones((1, 9), bool))[:, 9:-9]
    streaks = ndimage.binary_dilation(streaks, np.ones((3, 1), bool))  # a rule that is not quite level steps from row to row
    # a window that is dark in 95 of 100 columns, and all that such windows cover
    share = ndimage.uniform_filter1d(streaks.astype(np.float32), length, axis=1, mode="constant")
    found = ndimage.maximum_filter1d(share >= 0.95, length, axis=1) & streaks
    if not found.any():
        return ink
    rising, falling = _runs(dark)
    return np.where(found & (rising + falling - 1 <= thick), 0, ink).astype(np.uint8)


def measure_stroke(dark: np.ndarray) -> float:
    """Mean width of the strokes of ``dark``, bool (H, W): twice the area by the length of its edge, pixels."""
    inside = np.pad(dark, 1)
    inner = inside[1:-1, 1:-1] & inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    edge = np.count_nonzero(dark & ~inner)
    return max(1.0, 2.0 * float(np.count_nonzero(dark)) / max(1.0, float(edge)))


@dataclass(frozen=True)
class BaseLine:
    """What a line is written on: ``body`` is the height of its small letters; all in pixels."""

    slope: float
    base: float  # row of the base line at column 0
    body: float

    def row(self, column: float) -> float:
        """Of the base line, at a column."""
        return self.base + self.slope * column


def _runs(dark: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many dark pixels follow each other upwards and downwards from each pixel, itself included: int32 (H, W) each."""
    up, down = np.zeros(dark.shape, np.int32), np.zeros(dark.shape, np.int32)
    for row in range(dark.shape[0]):
        up[row] = np.where(dark[row], 1 + (up[row - 1] if row else 0), 0)
    for row in range(dark.shape[0] - 1, -1, -1):
        down[row] = np.where(dark[row], 1 + (down[row + 1] if row + 1 < dark.shape[0] else 0), 0)
    return up, down


def find_limits(dark: np.ndarray, tokens: Sequence[Token]) -> list[tuple[int, int]]:
    """First column of each token in ``dark``, bool (H, W), and the one after its last."""
    columns = dark.sum(axis=0)
    width = len(columns)
    middles = np.clip([(token.start + token.end) / 2 for token in tokens], 0, width - 1)
    borders = [0]
    for before, after in pairwise(middles):
        first, stop = max(borders[-1], int(before)), max(borders[-1], int(after)) + 1
        between = np.arange(first, stop)
        away = np.abs(between - (before + after) / 2) / max(1.0, after - before)
        borders.append(int(between[np.argmin(columns[first:stop] + away)]) if len(between) and first < width else first)
    borders.append(width)
    return list(pairwise(borders))


def measure_line(dark: np.ndarray, tokens: Sequence[Token], limits: Sequence[tuple[int, int]]) -> BaseLine | None:
    """The base line of ``dark``, bool (H, W), by the feet and heads of letters that stand on it; None where there are too few."""
    feet, heads = [], []
    for token, (left, right) in zip(tokens, limits, strict=True):
        rows = np.flatnonzero(dark[:, left:right].any(axis=1))
        if len(rows) == 0:
            continue
        if token.symbol in STANDING:
            feet.append(((left + right) / 2, float(rows[-1] + 1)))
        if token.symbol in LOW:
            heads.append(((left + right) / 2, float(rows[0])))
    if len(feet) < 2:
        return None
    places = np.array(feet)
    slope, base = 0.0, float(np.median(places[:, 1]))
    kept = np.abs(places[:, 1] - base) < 0.2 * dark.shape[0]
    for _ in range(3):
        if np.count_nonzero(kept) >= 4 and np.ptp(places[kept, 0]) > 2 * dark.shape[0]:
            slope, base = (float(value) for value in np.polyfit(places[kept, 0], places[kept, 1], 1))
        off = np.abs(places[:, 1] - base - slope * places[:, 0])
        kept = off <= max(2.0, 2.0 * float(np.median(off)))
    if len(heads) < 2:
        return None
    body = float(np.median([base + slope * column - head for column, head in heads]))
    return BaseLine(slope, base, body) if body >= 6 else None


def _part(joined: np.ndarray, left: int, right: int, most: float) -> np.ndarray | None:
    """What lies between two columns of pieces that go beyond them, bool (H, W); None where one of these columns holds more ink than ``most``."""
    for border in (left, right):
        crossed = 0 < border < joined.shape[1] and joined[:, border - 1].any() and joined[:, border].any()
        if crossed and joined[:, border].sum() > most:
            return None
    inside = np.zeros_like(joined)
    inside[:, left:right] = joined[:, left:right]
    return inside


def _without_scraps(mine: np.ndarray) -> np.ndarray:
    """The pieces of a letter, bool (H, W), that hold a share of its ink worth keeping: no full stop or accent that stood near."""
    from scipy import ndimage

    pieces, count = ndimage.label(mine, structure=np.ones((3, 3), dtype=np.int8))
    areas = np.bincount(pieces.ravel(), minlength=count + 1)
    large = areas >= CRUMB * areas[1:].sum()
    large[0] = False
    return large[pieces]


def _frame(letter: str, ink: np.ndarray, mine: np.ndarray, body: float, base: float, whole: bool) -> list[Cut]:
    """The letter as a picture, or nothing where its size is not that of a letter."""
    box = _box(mine)
    if box is None:
        return []
    top, bottom, left, right = box
    height, width = bottom - top, right - left
    cut_off = mine[0].sum() + mine[-1].sum() > 0.25 * width + 2 or mine[:, 0].any() or mine[:, -1].any()
    if cut_off or width > LARGEST_WIDTH * body or height > HEIGHTS[1] * body:
        return []
    if letter.isalnum() and (height < HEIGHTS[0] * body or (width < LEAST_WIDTH * body and letter not in NARROW)):
        return []
    return [_cut(letter, ink, mine, box, body, base - bottom, whole)]


def _frame_mark(mark: str, ink: np.ndarray, mine: np.ndarray, body: float) -> list[Cut]:
    """What stands above the largest piece of a letter, or nothing where the mark is not apart from it."""
    from scipy import ndimage

    pieces, count = ndimage.label(mine, structure=np.ones((3, 3), dtype=np.int8))
    if count < 2:
        return []
    slices = ndimage.find_objects(pieces)
    areas = np.bincount(pieces.ravel())[1:]
    top = slices[int(areas.argmax())][0].start
    above = [number for number in range(count) if slices[number][0].stop <= top + 0.15 * body]
    marked = np.isin(pieces, [number + 1 for number in above])
    box = _box(marked)
    if box is None or (mark != "\u0308" and len(above) > 1) or (mark == "\u0308" and len(above) > 2):
        return []
    height, width = box[1] - box[0], box[3] - box[2]
    if max(height, width) > 1.3 * body or box[0] == 0:
        return []
    return [_cut(mark, ink, marked, box, body, float(top - box[1]), True)]


def _box(mine: np.ndarray) -> tuple[int, int, int, int] | None:
    rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
    return None if len(rows) == 0 else (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)


def _cut(letter: str, ink: np.ndarray, mine: np.ndarray, box: tuple[int, int, int, int], body: float, rise: float, whole: bool) -> Cut:
    from scipy import ndimage

    top, bottom, left, right = max(0, box[0] - 1), box[1] + 1, max(0, box[2] - 1), box[3] + 1
    inside = mine[top:bottom, left:right]
    soft = ndimage.binary_dilation(inside, np.ones((3, 3), bool))  # the pale edge of the strokes belongs to them
    picture = np.where(soft & ((ink[top:bottom, left:right] < INK) | inside), ink[top:bottom, left:right], 0).astype(np.uint8)
    return Cut(letter, picture, body, rise, measure_stroke(inside), whole)
