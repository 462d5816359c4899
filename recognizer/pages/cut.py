"""Lines cut out of the picture of a page: along their outlines, sloping ones turned level, with the way back to the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recognizer.pages.level import Affine, baseline_angle, level_line
from recognizer.utils.xml import Point

if TYPE_CHECKING:
    from PIL import Image

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom are outside

MAX_COORDINATE = 1e6  # pixels


@dataclass(frozen=True)
class LineCut:
    """A line cut out of its page.

    Attributes:
        picture: gray, the line level in it.
        box: what was cut of the page, before it was turned.
        baseline: in pixels of ``picture``.
        angle: degrees by which it was turned, counterclockwise; 0 for most.
        back: ``(a, b, c, d, e, f)``: the point (x, y) of ``picture`` is (ax + by + c, dx + ey + f) on the page.
    """

    picture: Image.Image
    box: Box
    baseline: list[Point]
    angle: float
    back: Affine

    def to_page(self, points: Sequence[Point]) -> list[Point]:
        """Points of ``picture`` in pixels of the page."""
        a, b, c, d, e, f = self.back
        return [(a * x + b * y + c, d * x + e * y + f) for x, y in points]

    def from_page(self, points: Sequence[Point]) -> list[Point]:
        """Points of the page in pixels of ``picture``; the way there only moves and turns."""
        a, b, c, d, e, f = self.back
        return [(a * (x - c) + d * (y - f), b * (x - c) + e * (y - f)) for x, y in points]


def cut_level(page: Image.Image, outline: Sequence[Point], baseline: Sequence[Point], *, masked: bool = True) -> LineCut:
    """Cut out a line and turn it level by its baseline.

    Args:
        page: gray.
        outline, baseline: as :func:`cut_line` and :func:`~recognizer.pages.level.baseline_angle` take them, in pixels of the page.
        masked: paint what lies outside the outline as paper.

    Raises:
        ValueError: the outline encloses nothing of the page or has fewer than two points, or the line is vertical.
    """
    if len(outline) < 2:
        raise ValueError("has neither an outline nor a box")
    cut, box = cut_line(page, outline, masked=masked)
    angle = baseline_angle(baseline, outline)
    left, top = box[:2]
    inner, base = ([(x - left, y - top) for x, y in points] for points in (outline, baseline))
    if not angle:
        return LineCut(cut, box, base, 0.0, (1, 0, left, 0, 1, top))
    cut, base, (a, b, c, d, e, f) = level_line(cut, inner, base, angle)
    return LineCut(cut, box, base, angle, (a, b, c + left, d, e, f + top))


def cut_line(page: Image.Image, outline: Sequence[Point], *, masked: bool) -> tuple[Image.Image, Box]:
    """Cut out a line.

    Args:
        page: gray.
        outline: at least two points in pixels; two are the corners of a box.
        masked: paint what lies outside the outline in the gray of the paper, taken as the median inside; or, where ink covers
            more than it leaves, as that of those pixels inside that are on the same side of the gray levels as the outline.

    Returns:
        The cut and its box on the page, the smallest of whole pixels around the outline.

    Raises:
        ValueError: the outline encloses nothing of the page, or reaches beyond a million pixels.
    """
    from PIL import Image, ImageDraw

    xs, ys = zip(*outline, strict=True)
    if max(map(abs, (*xs, *ys))) > MAX_COORDINATE:  # Pillow counts in 32 bits
        raise ValueError(f"the outline reaches {max(map(abs, (*xs, *ys))):g} pixels, beyond any picture")
    left, top = max(0, math.floor(min(xs))), max(0, math.floor(min(ys)))
    right, bottom = min(page.width, math.ceil(max(xs))), min(page.height, math.ceil(max(ys)))
    if left >= right or top >= bottom:
        spans = f"({min(xs):g}, {min(ys):g})..({max(xs):g}, {max(ys):g})"
        raise ValueError(f"the outline {spans} encloses nothing of the page ({page.width} x {page.height} pixels)")
    box = (left, top, right, bottom)
    line = page.crop(box)
    if not masked or len(outline) < 3:
        return line, box
    inside = Image.new("L", line.size, 0)
    ImageDraw.Draw(inside).polygon([(x - left, y - top) for x, y in outline], fill=255)
    if inside.getbbox() is None:
        raise ValueError("the outline encloses no pixel")
    paper = Image.new("L", line.size, _find_paper(line, inside, [(x - left, y - top) for x, y in outline]))
    return Image.composite(line, paper, inside), box


def _find_paper(line: Image.Image, inside: Image.Image, outline: Sequence[Point]) -> int:
    """Gray of the paper within an outline, whose pixels are 255 in ``inside``."""
    from PIL import Image, ImageChops, ImageDraw, ImageStat

    from recognizer.image.contrast import otsu_threshold

    histogram = line.histogram(inside)
    threshold = otsu_threshold(np.array(histogram))
    median = ImageStat.Stat(line, inside).median[0]
    edge = Image.new("L", line.size, 0)
    ImageDraw.Draw(edge).line([*outline, outline[0]], fill=255, width=3)
    along = ImageStat.Stat(line, ImageChops.multiply(edge, inside)).median[0]
    if (along < threshold) == (median < threshold):
        return median
    side = line.point([255 * ((level < threshold) == (along < threshold)) for level in range(256)])
    return ImageStat.Stat(line, ImageChops.multiply(side, inside)).median[0]


def is_same(box: Box, other: Box) -> bool:
    """Whether two boxes are of one line: they share more than half of what they cover together, or most of the smaller one."""
    width, height = min(box[2], other[2]) - max(box[0], other[0]), min(box[3], other[3]) - max(box[1], other[1])
    if width <= 0 or height <= 0:
        return False
    first, second = ((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other))
    return width * height > min(0.5 * (first + second - width * height), 0.75 * min(first, second))
