"""The 25 numbers of every point of a pen trace, compiled."""

from __future__ import annotations

import math

import numba
import numpy as np

STROKE_DIM = 25
VICINITY = 3  # points before and after that are its vicinity in time
MEAN_REACH = 25  # points before and after that the mean of x is taken over
BESIDE = 1.0  # corpus heights to the left and right in which ascenders and descenders are counted
BEYOND = 0.5  # corpus heights above the corpus line, or below the base line, from which on a point belongs to one
CELL = 0.5  # corpus heights: side of each of the 3 x 3 cells of the context map


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def describe_points(points: np.ndarray, result: np.ndarray) -> None:
    """Describe the points of one prepared trace; see :func:`~recognizer.features.stroke_points.stroke_features`.

    Args:
        points: float32 (T, 5).
        result: float32 (T, 25), written to.
    """
    count = len(points)
    x, y = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
    order = np.argsort(x)
    ranked = x[order]
    for i in range(count):
        result[i, 0], result[i, 1], result[i, 2] = points[i, 2], points[i, 3], points[i, 4]
        first, last = max(0, i - MEAN_REACH), min(count - 1, i + MEAN_REACH)
        total = 0.0
        for j in range(first, last + 1):
            total += x[j] - x[i]
        result[i, 3], result[i, 4] = -total / (last - first + 1), y[i]
        result[i, 5], result[i, 6] = _direction(x, y, min(i, count - 2)) if count > 1 else (0.0, 0.0)
        result[i, 7], result[i, 8] = _curvature(x, y, i)
        _describe_vicinity(x, y, max(0, i - VICINITY), min(count - 1, i + VICINITY), result[i])
        for column in range(14, STROKE_DIM):
            result[i, column] = 0.0
        reach = max(BESIDE, 1.5 * CELL)
        for rank in range(np.searchsorted(ranked, x[i] - reach, side="left"), np.searchsorted(ranked, x[i] + reach, side="right")):
            j = order[rank]
            if points[j, 2] < 0.5:
                continue
            right, up = x[j] - x[i], y[j] - y[i]
            if abs(right) <= BESIDE:
                result[i, 14] += y[j] > 1 + BEYOND
                result[i, 15] += y[j] < -BEYOND
            column, row = math.floor(right / CELL + 1.5), math.floor(1.5 - up / CELL)
            if 0 <= column < 3 and 0 <= row < 3:
                result[i, 16 + 3 * row + column] += 1


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _direction(x: np.ndarray, y: np.ndarray, i: int) -> tuple[float, float]:
    """Cosine and sine of the direction from point i to the next; 0 and 0 if they coincide."""
    right, up = x[i + 1] - x[i], y[i + 1] - y[i]
    length = math.sqrt(right * right + up * up)
    return (right / length, up / length) if length > 0 else (0.0, 0.0)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _curvature(x: np.ndarray, y: np.ndarray, i: int) -> tuple[float, float]:
    """Cosine and sine of the angle from the line to the next point to the line to the one before; -1 and 0 where it goes straight on."""
    if i == 0 or i == len(x) - 1:
        return -1.0, 0.0
    (right, up), (right_after, up_after) = _direction(x, y, i - 1), _direction(x, y, i)
    if (right == 0 and up == 0) or (right_after == 0 and up_after == 0):
        return -1.0, 0.0
    return -(right * right_after + up * up_after), right * up_after - up * right_after


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _describe_vicinity(x: np.ndarray, y: np.ndarray, first: int, last: int, row: np.ndarray) -> None:
    """Aspect, slope, curliness and linearity of the points from first to last, into columns 9 to 13 of a row."""
    left, right, bottom, top, way = x[first], x[first], y[first], y[first], 0.0
    for j in range(first + 1, last + 1):
        left, right, bottom, top = min(left, x[j]), max(right, x[j]), min(bottom, y[j]), max(top, y[j])
        way += math.sqrt((x[j] - x[j - 1]) ** 2 + (y[j] - y[j - 1]) ** 2)
    width, height = right - left, top - bottom
    row[9] = (height - width) / (height + width) if height + width > 0 else 0.0
    along, across = x[last] - x[first], y[last] - y[first]
    length = math.sqrt(along * along + across * across)
    row[10], row[11] = (along / length, across / length) if length > 0 else (0.0, 0.0)
    row[12] = way / max(width, height) if width + height > 0 else 1.0
    squares = 0.0
    for j in range(first, last + 1):
        h, v = x[j] - x[first], y[j] - y[first]
        squares += ((along * v - across * h) / length) ** 2 if length > 0 else h * h + v * v
    row[13] = squares / (last - first + 1)
