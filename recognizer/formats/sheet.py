"""What formats of pages share: a transcript of a line or a page as regions, lines and words with places that every schema accepts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from recognizer.errors import InputError
from recognizer.image.io import image_size
from recognizer.types import Line, Transcript, Word

Box = tuple[int, int, int, int]  # left, top, right, bottom
_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True)
class Region:
    """Lines that belong together.

    Attributes:
        id: a name that XML takes, different from all others of the sheet; so are those of the lines.
        box: around the lines.
        lines: with outlines, base lines and boxes of words in whole pixels inside the page.
    """

    id: str
    box: Box
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Sheet:
    """A picture of ``width`` times ``height`` pixels with its text."""

    source: str
    width: int
    height: int
    regions: tuple[Region, ...]
    number: int = 1


class Names:
    """Gives out names that XML takes as ids, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, wanted: str) -> str:
        """The wanted name, or one like it."""
        name = _NO_NAME.sub("_", wanted) or "_"
        if not (name[0].isalpha() or name[0] == "_"):
            name = f"_{name}"
        number, free = 2, name
        while free in self._taken:
            number, free = number + 1, f"{name}_{number}"
        self._taken.add(free)
        return free


def lay_out(transcript: Transcript, words: Sequence[Word]) -> Sheet:
    """The sheet of a transcript.

    Args:
        transcript: of a page (it has lines or a height), or of a picture of one line, which is opened for its size.
        words: of the latter.

    Raises:
        InputError: the size of the picture is not known and it cannot be read.
    """
    is_page = bool(transcript.lines) or transcript.height is not None
    width, height = (transcript.width, transcript.height) if is_page else (None, None)
    if not width or not height:
        width, height = image_size(transcript.source)
    lines = transcript.lines if is_page else (Line("line", _corners((0, 0, width, height)), (), "region", transcript.text, tuple(words)),)
    names = Names()
    names.take("page")
    regions = []
    for region, members in groupby(lines, key=lambda line: line.region):
        id = names.take(region or "region")
        placed = tuple(_place_line(line, names.take(line.id or "line"), width, height) for line in members)
        regions.append(Region(id, surround(point for line in placed for point in line.outline), placed))
    return Sheet(transcript.source, width, height, tuple(regions), transcript.page or 1)


def surround(points: Iterable[tuple[float, float]]) -> Box:
    """The least box around points, at least a pixel wide and high.

    Raises:
        InputError: there are none.
    """
    found = list(points)
    if not found:
        raise InputError("no points to put a box around")
    xs, ys = zip(*found, strict=True)
    left, top = int(min(xs)), int(min(ys))
    return left, top, max(left + 1, int(max(xs))), max(top + 1, int(max(ys)))


def box_of(word: Word) -> Box:
    """The box of a word of a sheet.

    Raises:
        InputError: it has none.
    """
    if word.box is None:
        raise InputError(f"the word {word.text!r} has no place on the page")
    left, top, right, bottom = map(int, word.box)
    return left, top, right, bottom


def _place_line(line: Line, id: str, width: int, height: int) -> Line:
    outline = tuple(_inside(point, width, height) for point in line.outline)
    if len(outline) < 3:
        boxes = [word.box for word in line.words if word.box is not None]
        corners = [*outline, *line.baseline, *((box[i], box[j]) for box in boxes for i, j in ((0, 1), (2, 3)))]
        found = [_inside(point, width, height) for point in corners] or [(0, 0), (width, height)]
        outline = _corners(surround(found))
    baseline = tuple(_inside(point, width, height) for point in line.baseline)
    box = surround(outline)
    words = tuple(replace(word, box=_place_word(word, box, width, height)) for word in line.words)
    return replace(line, id=id, outline=outline, baseline=baseline if len(baseline) > 1 else (), words=words)


def _place_word(word: Word, line: Box, width: int, height: int) -> Box:
    """Whole pixels inside the page, at least one wide and high."""
    left, top, right, bottom = word.box or (word.start, line[1], word.end, line[3])
    x, y = min(max(0, round(left)), width - 1), min(max(0, round(top)), height - 1)
    return x, y, max(x + 1, min(round(right), width)), max(y + 1, min(round(bottom), height))


def _inside(point: tuple[float, float], width: int, height: int) -> tuple[int, int]:
    return min(max(0, round(point[0])), width), min(max(0, round(point[1])), height)


def _corners(box: Box) -> tuple[tuple[int, int], ...]:
    left, top, right, bottom = box
    return (left, top), (right, top), (right, bottom), (left, bottom)
