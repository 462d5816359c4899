"""What an ALTO or PAGE file says of a page: its picture, its lines, their outlines and texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from recognizer.utils.xml import Point


@dataclass(frozen=True)
class TextLine:
    """A line as its file describes it, in the file's unit of length.

    Attributes:
        id: empty where the file gives none.
        text: of its transcript, or its words with spaces between them.
        polygon: outline; ``box``: top left and bottom right.
        baseline: points from one end to the other.
        problem: why the line cannot be used.
        predicted: the text carries a confidence, as recognizers write it.
        region: id of the block or region that it is in.
    """

    id: str
    text: str = ""
    polygon: Sequence[Point] = ()
    box: tuple[Point, Point] | None = None
    baseline: Sequence[Point] = ()
    problem: str | None = None
    predicted: bool = False
    region: str = ""


@dataclass(frozen=True)
class Page:
    """A page as its file describes it.

    Attributes:
        image: name of the picture as the file gives it.
        size: width and height in the file's unit; None: not stated.
        unit: of length, of an inch; None: pixels.
        lines: in reading order.
        format: "alto" or "page".
    """

    image: str | None
    size: tuple[float, float] | None
    unit: float | None
    lines: Sequence[TextLine] = field(default_factory=list)
    format: str = "alto"
