"""The reading order of the lines of a page: columns from left to right, within each from top to bottom (a recursive X-Y cut, Nagy and Seth 1984)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

CORE = 0.25  # of a line's height that neighbors may reach into, above and below
MIN_GUTTER = 0.5  # between two columns, by the height of their lines
MIN_SPAN = 0.8  # of the width of all lines: what is as wide and has no gutter spans the columns
MAX_UNCUT = 12  # lines without a gutter, after which no further ones are looked at for columns
MIN_BESIDE = 0.5  # of the shorter of two columns that lies beside the other


def order_lines(extents: np.ndarray) -> list[list[int]]:
    """Numbers of the lines in reading order, block by block.

    A page with an empty strip from top to bottom, at least two lines on each side of it, has columns; so has what lies above,
    below or between lines that span them. What has none is read row by row.

    Args:
        extents: left, top, right, bottom of each line, (N, 4), the page turned so that they are level.
    """
    return [block.tolist() for block in _cut(extents, np.arange(len(extents)))]


def _cut(extents: np.ndarray, members: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of some lines, in reading order."""
    parts = _cut_columns(extents, members) or _cut_rows(extents, members)
    if parts is None:
        yield members[_order_rows(extents[members])]
        return
    for part in parts:
        yield from _cut(extents, part)


def _cut_columns(extents: np.ndarray, members: np.ndarray) -> list[np.ndarray] | None:
    """The lines left and right of the widest gutter, if there is one."""
    boxes = extents[members]
    order = boxes[:, 0].argsort(kind="stable")
    for cut in _gutters(boxes[order]):
        left, right = order[: cut + 1], order[cut + 1 :]
        tops, bottoms = zip(*((boxes[side, 1].min(), boxes[side, 3].max()) for side in (left, right)), strict=True)
        beside = min(bottoms) - max(tops)
        if min(len(left), len(right)) > 1 and beside > MIN_BESIDE * min(b - t for t, b in zip(tops, bottoms, strict=True)):
            return [members[np.sort(left)], members[np.sort(right)]]
    return None


def _gutters(boxes: np.ndarray) -> list[int]:
    """After which of some boxes, sorted by their left sides, an empty strip lies, the widest first."""
    widths = boxes[1:, 0] - np.maximum.accumulate(boxes[:-1, 2])
    least = MIN_GUTTER * float(np.median(boxes[:, 3] - boxes[:, 1]))
    return [cut for cut in (-widths).argsort(kind="stable").tolist() if widths[cut] >= least]


def _cut_rows(extents: np.ndarray, members: np.ndarray) -> list[np.ndarray] | None:
    """The lines above, in and below the largest run of rows that has columns, if there is one that is not the whole."""
    boxes = extents[members]
    margin = CORE * (boxes[:, 3] - boxes[:, 1])
    tops, bottoms = boxes[:, 1] + margin, boxes[:, 3] - margin
    order = tops.argsort(kind="stable")
    between = np.nonzero(tops[order[1:]] >= np.maximum.accumulate(bottoms[order])[:-1])[0] + 1
    edges = [0, *between.tolist(), len(order)]  # of the rows, in ``order``
    width = boxes[:, 2].max() - boxes[:, 0].min()
    first = last = 0
    for start in edges[:-1]:
        for stop in edges:
            if stop - start <= last - first:
                continue
            run = members[order[start:stop]]
            inside = extents[run]
            if _cut_columns(extents, run) is not None:
                first, last = start, stop
            elif (stop - start > MAX_UNCUT or inside[:, 2].max() - inside[:, 0].min() > MIN_SPAN * width) and not _gutters(
                inside[inside[:, 0].argsort(kind="stable")]
            ):
                break  # a line spans the columns
    parts = [members[order[a:b]] for a, b in ((0, first), (first, last), (last, len(order))) if a < b]
    return parts if last and len(parts) > 1 else None


def _order_rows(boxes: np.ndarray) -> Sequence[int]:
    """From top to bottom, and within a row from left to right; a row is what the middle of its first line goes through."""
    order: list[int] = []
    row: list[int] = []
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    for line in middles.argsort(kind="stable").tolist():
        if row and not (boxes[row[0], 1] <= middles[line] <= boxes[row[0], 3] and all(_apart(boxes[line], boxes[other]) for other in row)):
            order += sorted(row, key=lambda other: boxes[other, 0])
            row = []
        row.append(line)
    return order + sorted(row, key=lambda other: boxes[other, 0])


def _apart(box: np.ndarray, other: np.ndarray) -> bool:
    """Whether one of two boxes begins about where the other ends, or beyond."""
    shared = min(box[2], other[2]) - max(box[0], other[0])
    return bool(shared < 0.3 * min(box[2] - box[0], other[2] - other[0]))
