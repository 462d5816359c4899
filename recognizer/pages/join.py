"""Boxes of text joined to lines: a detector finds words and parts of lines, and a recognizer wants whole ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recognizer.pages.order import order_lines
from recognizer.pages.segmenter import PageLine
from recognizer.utils.xml import Point

MIN_OVERLAP = 0.5  # of the facing ends of two boxes in one row, share of the lower
MAX_RATIO = 2.5  # of their heights
NEAR = 1.2  # heights between two boxes of a line
FAR = 4.0  # ... where no other row has a gap at the same place, as columns have
GUTTER_ROWS = 2  # other rows with such a gap that make columns of it
GUTTER_REACH = 6.0  # heights up and down, in which these rows lie
MAX_COVERED = 0.6  # of a box that another covers, above which it is no line of its own
BASELINE = 0.67  # of a box, from its top, where letters stand; on the pages of Copiste nine tenths lie between 0.62 and 0.72


@dataclass
class _Box:
    """A box of text on a page that was turned so that its lines are level.

    Attributes:
        corners: (4, 2), from the top left clockwise, in pixels of the page; ``level``: the same after turning.
    """

    corners: np.ndarray
    level: np.ndarray

    def __post_init__(self) -> None:
        self.left, self.right = float(self.level[[0, 3], 0].mean()), float(self.level[[1, 2], 0].mean())
        self.height = float((self.level[[3, 2], 1] - self.level[[0, 1], 1]).mean())
        self.first = float(self.level[0, 1]), float(self.level[3, 1])  # top and bottom of its left end
        self.last = float(self.level[1, 1]), float(self.level[2, 1])
        self.extent = (*self.level.min(axis=0).tolist(), *self.level.max(axis=0).tolist())


def find_lines(boxes: np.ndarray) -> list[PageLine]:
    """Join the boxes of a page to lines, and put these into reading order.

    Two boxes are of one line if their facing ends overlap, their heights are similar and they are near each other; or not quite so
    near, unless gaps in other rows lie above or below theirs, as they do between columns.

    Args:
        boxes: corners (N, 4, 2), (x, y) in pixels, from the top left clockwise.
    """
    if not len(boxes):
        return []
    angle = page_angle(boxes)
    sine, cosine = math.sin(angle), math.cos(angle)
    level = boxes @ np.array([[cosine, -sine], [sine, cosine]])
    parts = _drop_covered([_Box(corners, turned) for corners, turned in zip(boxes, level, strict=True)])
    lines = [sorted(chain, key=lambda box: box.left) for chain in _join(parts)]
    extents = np.array([_enclose(line) for line in lines])
    found: list[PageLine] = []
    for block, members in enumerate(order_lines(extents), start=1):
        for member in members:
            found.append(_describe(lines[member], f"line_{len(found) + 1}", f"region_{block}"))
    return found


def page_angle(boxes: np.ndarray) -> float:
    """By how many radians the lines of a page descend to the right: the median of its boxes, weighted by their lengths."""
    along = (boxes[:, 1] - boxes[:, 0] + boxes[:, 2] - boxes[:, 3]) / 2
    lengths = np.hypot(along[:, 0], along[:, 1])
    angles = np.arctan2(along[:, 1], along[:, 0])
    order = angles.argsort()
    middle = np.searchsorted(lengths[order].cumsum(), lengths.sum() / 2)
    angle = float(angles[order][min(middle, len(angles) - 1)])
    return angle if abs(angle) < math.radians(30) else 0.0  # a column of upright text says nothing


def _drop_covered(boxes: list[_Box]) -> list[_Box]:
    """Boxes without those that lie for the most part within a larger one, as accents and parts found twice do."""
    kept: list[_Box] = []
    for box in sorted(boxes, key=lambda box: -_area(box.extent)):
        left, top, right, bottom = box.extent
        shared = (max(0.0, min(right, o.extent[2]) - max(left, o.extent[0])) * max(0.0, min(bottom, o.extent[3]) - max(top, o.extent[1]))
                  for o in kept)
        if max(shared, default=0.0) <= MAX_COVERED * _area(box.extent):
            kept.append(box)
    return kept


def _area(extent: tuple[float, ...]) -> float:
    return (extent[2] - extent[0]) * (extent[3] - extent[1])


def _join(boxes: list[_Box]) -> list[list[_Box]]:
    """Boxes in lines: each box is followed by the nearest to its right whose nearest to the left it is."""
    gaps = {}  # of boxes that may follow each other
    for i, box in enumerate(boxes):
        for j, other in enumerate(boxes):
            if i != j and (gap := _gap(box, other)) is not None:
                gaps[i, j] = gap
    following: dict[int, tuple[float, int]] = {}
    preceding: dict[int, tuple[float, int]] = {}
    for (i, j), gap in gaps.items():
        following[i] = min(following.get(i, (math.inf, -1)), (gap, j))
        preceding[j] = min(preceding.get(j, (math.inf, -1)), (gap, i))
    pairs = [(i, j) for i, (_, j) in following.items() if preceding[j][1] == i]
    next_of = {i: j for i, j in pairs if _belongs(boxes, pairs, i, j)}
    chains = []
    for start in set(range(len(boxes))) - set(next_of.values()):
        chain = [start]
        while chain[-1] in next_of:
            chain.append(next_of[chain[-1]])
        chains.append([boxes[i] for i in chain])
    return chains


def _gap(box: _Box, other: _Box) -> float | None:
    """Pixels from a box to one on its right that may be of the same line, negative where they overlap; None for all others."""
    low, high = sorted((box.height, other.height))
    gap = other.left - box.right
    if high > MAX_RATIO * low or gap > FAR * high or gap < -low or other.left <= box.left or other.right <= box.right:
        return None
    shared = min(box.last[1], other.first[1]) - max(box.last[0], other.first[0])
    return gap if shared >= MIN_OVERLAP * low else None


def _belongs(boxes: list[_Box], pairs: list[tuple[int, int]], i: int, j: int) -> bool:
    """Whether two neighbors in a row are of one line."""
    height = max(boxes[i].height, boxes[j].height)
    left, right = boxes[i].right, boxes[j].left
    if right - left <= NEAR * height:
        return True
    middle = sum(boxes[i].last) / 2
    others = 0
    for k, m in pairs:
        away = abs(sum(boxes[k].last) / 2 - middle)
        shared = min(right, boxes[m].left) - max(left, boxes[k].right)
        others += k != i and away <= GUTTER_REACH * height and shared > 0.5 * height
    return others < GUTTER_ROWS


def _enclose(line: list[_Box]) -> tuple[float, float, float, float]:
    lefts, tops, rights, bottoms = zip(*(box.extent for box in line), strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _describe(line: list[_Box], id: str, region: str) -> PageLine:
    """The line that boxes make: its outline goes along their upper sides and back along the lower ones."""
    upper = sorted((tuple(corner) for box in line for corner in box.corners[[0, 1]].tolist()), key=lambda point: point[0])
    lower = sorted((tuple(corner) for box in line for corner in box.corners[[3, 2]].tolist()), key=lambda point: point[0])
    baseline: list[Point] = []
    for box in line:
        for top, bottom in ((box.corners[0], box.corners[3]), (box.corners[1], box.corners[2])):
            x, y = (top + BASELINE * (bottom - top)).tolist()
            if not baseline or x > baseline[-1][0]:
                baseline.append((x, y))
    return PageLine(id, tuple((*upper, *reversed(lower))), tuple(baseline), region)
