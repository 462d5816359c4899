"""A pen trace as a sequence of equally spaced points on a levelled, upright line of unit size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from recognizer.config import StrokeFeatures
from recognizer.errors import InputError
from recognizer.features.stroke_shape import Strokes, normalise_shape
from recognizer.features.trace import Trace

COLUMNS = ("x", "y", "pen", "hat", "speed")  # of a prepared trace
MOST_POINTS = 100_000  # in a prepared trace
FASTEST = 100.0  # corpus heights a second; what is faster is an error of the clock
DELAYED_HEIGHT = 0.75  # corpus heights above the base line: a delayed stroke lies higher
BENEATH = 0.25  # corpus heights: something written before lies so much lower, within as much to the left and right


def prepare_strokes(trace: Trace, config: StrokeFeatures, name: str = "trace") -> np.ndarray:
    """Points of a trace, ready for the features of :class:`~recognizer.features.stroke_points.StrokePoints`.

    As in Graves et al. 2009, A novel connectionist system for unconstrained handwriting recognition (IEEE TPAMI 31(5)):
    skew, slant and size are normalised (:func:`~recognizer.features.stroke_shape.normalise_shape`), delayed strokes become
    a mark, and the points are resampled to equal distance; strokes are joined by straight lines with the pen lifted. Their
    filter against noise and their distance of points are not published; here there is none, and it is ``config.spacing``.

    Returns:
        float32 (T, 5), T >= 1: x from 0; y, 0 on the base line and 1 on the corpus line, upwards; whether the pen is down;
        whether a delayed stroke stood here; speed in corpus heights a second, 0 where times are not known.

    Raises:
        InputError: the trace is so long that it cannot be one line.
    """
    strokes = [_drop_repeated(stroke * (1.0, -1.0, 1.0)) for stroke in trace.strokes]
    if not strokes:
        raise InputError(f"{name}: holds no strokes")
    strokes = normalise_shape(strokes, config)
    strokes = [np.column_stack((stroke[:, :2], np.zeros(len(stroke)), speed)) for stroke, speed in zip(strokes, measure_speed(strokes), strict=True)]
    if config.hats:
        strokes = mark_delayed(strokes)
    count = count_points(strokes, config.spacing)
    if count > MOST_POINTS:
        raise InputError(f"{name}: {count} points at {config.spacing:g} of the letters' height; is this one line of text?")
    return resample(strokes, config.spacing)


def measure_speed(strokes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Speed at each point of strokes (N, 3): the way from the point before to the one after by the time it took.

    Neighbours may belong to other strokes. Where a time is missing or does not grow the speed is 0; it is at most 100.
    """
    points = np.concatenate(strokes)
    steps = np.pad(np.hypot(*np.diff(points[:, :2], axis=0).T), 1)  # before the first point and after the last: 0
    times = np.pad(points[:, 2], 1, mode="edge")
    elapsed = times[2:] - times[:-2]
    ways = steps[1:] + steps[:-1]
    known = np.isfinite(elapsed) & (elapsed > 0)
    speeds = np.where(known, np.minimum(ways / np.where(known, elapsed, 1.0), FASTEST), 0.0)
    return np.split(speeds, np.cumsum([len(stroke) for stroke in strokes])[:-1])


def mark_delayed(strokes: Sequence[np.ndarray]) -> Strokes:
    """Take out delayed strokes, such as the dot of an i, and set the column 2 of the points they stand over.

    A stroke is delayed if it lies above what was written before and the pen then moves on to the right (Graves et al. 2009,
    after Jaeger et al. 2001); here, if it lies wholly above 3/4 of the corpus, some point before it lies a quarter lower and,
    but for a quarter, within its width, and the next stroke begins to the right of its end, or none follows.
    """
    kept: Strokes = [np.array(strokes[0])]
    for number, stroke in enumerate(strokes[1:], start=1):
        bottom = stroke[:, 1].min()
        onwards = number + 1 == len(strokes) or strokes[number + 1][0, 0] > stroke[-1, 0]
        beneath = _find_beneath(kept, stroke, bottom - BENEATH) if bottom >= DELAYED_HEIGHT and onwards else None
        if beneath is not None:
            for earlier, within in zip(kept, beneath, strict=True):
                earlier[within, 2] = 1.0
        else:
            kept.append(np.array(stroke))
    return kept


def _find_beneath(strokes: Strokes, delayed: np.ndarray, highest: float) -> list[np.ndarray] | None:
    """Which points of each stroke lie within the width of a delayed one; None if none of them lies as low as ``highest``."""
    left, right = delayed[:, 0].min() - BENEATH, delayed[:, 0].max() + BENEATH
    within = [(stroke[:, 0] >= left) & (stroke[:, 0] <= right) for stroke in strokes]
    low = any(bool((stroke[inside, 1] <= highest).any()) for stroke, inside in zip(strokes, within, strict=True))
    return within if low else None


def count_points(strokes: Sequence[np.ndarray], spacing: float) -> int:
    """How many points :func:`resample` gives."""
    return sum(_steps(_length(stroke), spacing) + 1 for stroke in strokes) + sum(
        max(0, _steps(gap, spacing) - 1) for gap in _gaps(strokes))


def resample(strokes: Sequence[np.ndarray], spacing: float) -> np.ndarray:
    """Points at equal distance along strokes (N, 4: x, y, hat, speed) and, with the pen lifted, along the lines that join them.

    Each stroke and each gap is divided into equal steps, as many as come nearest to ``spacing``, so that both ends of
    every stroke are kept, and dots too.

    Returns:
        float32 (T, 5) as :func:`prepare_strokes` gives them.
    """
    parts = []
    gaps = [*_gaps(strokes), 0.0]
    for number, (stroke, gap) in enumerate(zip(strokes, gaps, strict=True)):
        way = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(stroke[:, :2], axis=0).T))))
        places = np.linspace(0.0, way[-1], _steps(way[-1], spacing) + 1)
        x, y, hat, speed = (np.interp(places, way, column) for column in stroke.T)
        parts.append(np.stack((x, y, np.ones_like(x), hat >= 0.5, speed), axis=1))
        count = _steps(gap, spacing)
        if count > 1:
            share = np.arange(1, count)[:, None] / count
            x, y, _, speed = (stroke[-1] + share * (strokes[number + 1][0] - stroke[-1])).T
            parts.append(np.stack((x, y, np.zeros_like(x), np.zeros_like(x), speed), axis=1))
    return np.concatenate(parts).astype(np.float32)


def _drop_repeated(stroke: np.ndarray) -> np.ndarray:
    """Without points that lie where the one before lies."""
    moved = np.any(np.diff(stroke[:, :2], axis=0) != 0, axis=1)
    return stroke[np.concatenate(([True], moved))]


def _length(stroke: np.ndarray) -> float:
    return float(np.hypot(*np.diff(stroke[:, :2], axis=0).T).sum())


def _gaps(strokes: Sequence[np.ndarray]) -> list[float]:
    """Distances from the end of each stroke to the beginning of the next."""
    return [float(np.hypot(*(after[0, :2] - before[-1, :2]))) for before, after in pairwise(strokes)]


def _steps(length: float, spacing: float) -> int:
    return max(1, round(length / spacing)) if length > 0 else 0
