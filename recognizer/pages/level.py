"""Sloping text lines of a page turned level by their baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from recognizer.utils.xml import Point

if TYPE_CHECKING:
    from PIL import Image

Affine = tuple[float, float, float, float, float, float]  # (a, b, c, d, e, f): (x, y) is at (ax + by + c, dx + ey + f)

MIN_ANGLE = 1.0  # degrees; turning by less only blurs
MIN_RISE = 2.0  # pixels; coordinates are whole numbers
MIN_LENGTH = 1.5  # of a baseline, by the height of its line: a shorter one says little about the slope


def baseline_angle(baseline: Sequence[Point], outline: Sequence[Point]) -> float:
    """Degrees by which a line descends to the right, by the straight line nearest to its baseline in the sense of least squares.

    Args:
        baseline: points in pixels, in either direction.
        outline: at least two points in pixels.

    Returns:
        The angle; 0 if it is below 1 degree or 2 pixels, or the baseline is too short beside its line to tell.

    Raises:
        ValueError: the line is nearer to vertical than to horizontal.
    """
    if len(baseline) < 2:
        return 0.0
    segments = [((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in pairwise(baseline)]
    lengths = [math.hypot(dx, dy) for _, _, dx, dy in segments]
    total = sum(lengths)
    if total == 0:
        return 0.0
    run, rise = baseline[-1][0] - baseline[0][0], baseline[-1][1] - baseline[0][1]
    xs, ys = zip(*outline, strict=True)
    width, height = max(xs) - min(xs), max(ys) - min(ys)
    if abs(rise) > abs(run):
        if abs(rise) < MIN_LENGTH * (width - abs(run)):
            return 0.0
        raise ValueError(f"its baseline climbs {abs(rise):.0f} pixels over {abs(run):.0f}: vertical lines are left out; turn the page first")
    if abs(run) < MIN_LENGTH * (height - abs(rise)):
        return 0.0
    mean_x, mean_y = (sum(length * s[axis] for length, s in zip(lengths, segments, strict=True)) / total for axis in (0, 1))
    across = along = 0.0
    for length, (x, y, dx, dy) in zip(lengths, segments, strict=True):  # of the points of a segment, not of its middle only
        across += length * ((x - mean_x) * (y - mean_y) + dx * dy / 12)
        along += length * ((x - mean_x) ** 2 + dx * dx / 12)
    slope = across / along
    angle = math.degrees(math.atan(slope))
    return angle if abs(angle) >= MIN_ANGLE and abs(slope * run) >= MIN_RISE else 0.0


def level_line(cut: Image.Image, outline: Sequence[Point], baseline: Sequence[Point], angle: float) -> tuple[Image.Image, list[Point], Affine]:
    """Turn a cut-out line level about its center.

    Args:
        cut: gray.
        outline: at least three points in pixels of the cut, or two corners of a box.
        baseline: points in pixels of the cut.
        angle: degrees by which the line descends to the right.

    Returns:
        The smallest picture around the turned outline, what is beyond the cut painted in the cut's median gray; the baseline
        in pixels of that picture; and where its points lie in the cut.
    """
    from PIL import Image, ImageStat

    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    middle = (cut.width / 2, cut.height / 2)

    def turn(point: Point) -> Point:
        x, y = point[0] - middle[0], point[1] - middle[1]
        return cosine * x + sine * y, cosine * y - sine * x

    if len(outline) == 2:
        (left, top), (right, bottom) = outline
        outline = [(left, top), (right, top), (right, bottom), (left, bottom)]
    inside = [(min(max(x, 0.0), float(cut.width)), min(max(y, 0.0), float(cut.height))) for x, y in outline]
    xs, ys = zip(*map(turn, inside), strict=True)
    left, top = math.floor(min(xs)), math.floor(min(ys))
    size = (max(1, math.ceil(max(xs)) - left), max(1, math.ceil(max(ys)) - top))
    # Output (x, y) shows the input at the middle plus its place beside it turned back.
    matrix = (cosine, -sine, middle[0] + cosine * left - sine * top, sine, cosine, middle[1] + sine * left + cosine * top)
    level = cut.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=ImageStat.Stat(cut).median[0])
    return level, [(x - left, y - top) for x, y in map(turn, baseline)], matrix
