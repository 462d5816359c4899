"""A pen trace as a sequence of equally spaced points on a level, upright line of unit size.

The corpus is the band of the letters without ascender and descender, between base line and corpus line; it becomes the
unit of length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from recognizer.config import StrokeFeatures
from recognizer.errors import InputError
from recognizer.strokes.io import Trace

Strokes = list[np.ndarray]  # each (N, 2 or more): x, y upwards, and what is carried along

# Skew, slant, size and width
MAX_SKEW = math.tan(math.radians(20))
MIN_ASPECT = 2.0  # width by height; what is narrower has no direction of its own
MIN_TURN = 0.1  # share of the whole height by which y must come back before a minimum or maximum counts
MAX_OUTLIER = 0.3  # share of the corpus height; extrema farther from their line are those of ascenders and descenders
MAX_WIDTH = 100.0  # corpus heights in the width of a line at most, lest a dash be taken for writing of its own thickness
MAX_SLANT_DEGREES = 60.0  # from the upright; strokes that lie flatter are no downstrokes
BIN_DEGREES = 2.0  # of the histogram of directions (published)
SLANT_DEVIATION = 25.0  # degrees, standard deviation of the Gaussian that weights it
MIN_CROSSINGS = 10  # strokes through the middle of the corpus from which on they tell the number of characters
CROSSING_WIDTH = 0.6  # corpus heights that each of them is to take
MAX_STRETCH = 2.0
# Points
MAX_POINTS = 100_000  # in a prepared trace
MAX_SPEED = 100.0  # corpus heights a second; what is faster is an error of the clock
DELAYED_HEIGHT = 0.75  # corpus heights above the base line: a delayed stroke lies higher
DELAYED_REACH = 0.25  # corpus heights: something written before lies so much lower, within as much to the left and right


def prepare_strokes(trace: Trace, config: StrokeFeatures, name: str = "the trace") -> np.ndarray:
    """Make the points that features are computed from.

    As in Graves et al. 2009 (IEEE TPAMI 31(5), section 3): the shape is normalized (:func:`normalize_shape`), delayed strokes
    become a mark, and the points are resampled to equal distance; strokes are joined by straight lines with the pen lifted.
    Their filter against noise and their distance of points are not published; here there is none, and it is ``config.spacing``.

    Returns:
        float32 (T, 5), T >= 1: x from 0; y, 0 on the base line and 1 on the corpus line, upwards; whether the pen is down;
        whether a delayed stroke stood here; speed in corpus heights a second, 0 where times are not known.

    Raises:
        InputError: the trace is so long that it cannot be one line.
    """
    strokes = [_drop_repeated(stroke * (1.0, -1.0, 1.0)) for stroke in trace.strokes]
    if not strokes:
        raise InputError(f"{name}: holds no strokes")
    strokes = normalize_shape(strokes, config)
    speeds = measure_speed(strokes)
    strokes = [np.column_stack((stroke[:, :2], np.zeros(len(stroke)), speed)) for stroke, speed in zip(strokes, speeds, strict=True)]
    if config.hats:
        strokes = mark_delayed(strokes)
    count = _count_points(strokes, config.spacing)
    if count > MAX_POINTS:
        raise InputError(f"{name}: {count} points at {config.spacing:g} of the letters' height; is this one line of text?")
    return resample(strokes, config.spacing)


def normalize_shape(strokes: Sequence[np.ndarray], config: StrokeFeatures) -> Strokes:
    """Level the line, stand it upright, and scale it so that its corpus lies between y = 0 and y = 1; x starts at 0.

    Graves et al. 2009 correct the skew by linear regression, part by part of a line; find the slant as the peak of a
    histogram of directions; take base and corpus line for the limits of three areas, each scaled to a height of its own;
    and scale the width by the number of strokes that cross the middle. Where their text leaves off, or for short traces,
    this differs: the line is one part; base and corpus line are the two parallel lines through the minima and maxima of y
    that leave out what is far from them; the areas above and below keep the scale of the corpus; and the
    width is set to 0.6 corpus heights a crossing, by a factor of 2 at most, from ten crossings on.

    Args:
        strokes: (N, 2 or more) each: x, y upwards; further columns stay as they are.
        config: which corrections are made.
    """
    result = [np.array(stroke, dtype=np.float64) for stroke in strokes]
    if config.deskew and _is_wide(result):
        _rotate(result, regression_slope(result))
        _rotate(result, find_zones(result)[0])
    _, base, height = find_zones(result)
    for stroke in result:
        stroke[:, :2] = (stroke[:, :2] - (0.0, base)) / height
    if config.deslant:
        lean = slant_tangent(result)
        for stroke in result:
            stroke[:, 0] -= lean * stroke[:, 1]
    left = min(stroke[:, 0].min() for stroke in result)
    stretch = width_factor(result) if config.scale_width else 1.0
    for stroke in result:
        stroke[:, 0] = (stroke[:, 0] - left) * stretch
    return result


def regression_slope(strokes: Sequence[np.ndarray]) -> float:
    """Slope of the regression of y on x over the ink, every unit of its length counting the same; 20 degrees at most."""
    middles = np.concatenate([(stroke[1:, :2] + stroke[:-1, :2]) / 2 for stroke in strokes])
    steps = np.concatenate([np.diff(stroke[:, :2], axis=0) for stroke in strokes])
    weights = np.hypot(steps[:, 0], steps[:, 1])
    if weights.sum() == 0:
        return 0.0
    x, y = (middles - np.average(middles, axis=0, weights=weights)).T
    # a segment has ink on either side of its middle: the variance of an even spread is a twelfth of the square of its length
    spread = weights @ (x * x + steps[:, 0] ** 2 / 12)
    return float(np.clip(weights @ (x * y + steps[:, 0] * steps[:, 1] / 12) / spread, -MAX_SKEW, MAX_SKEW)) if spread > 0 else 0.0


def find_zones(strokes: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Common slope of base and corpus line, height of the base line at x = 0 and distance of the two.

    Least squares through minima and maxima of y, after which those far from their line are left out, four times over; it
    starts from the medians of both. Without a minimum or maximum (a dot, a dash) the whole trace is the corpus.
    """
    points = np.concatenate([stroke[:, :2] for stroke in strokes])
    (width, height), bottom = np.ptp(points, axis=0), points[:, 1].min()
    least = width / MAX_WIDTH
    fallback = 0.0, float(bottom), float(max(height, least) or 1.0)
    lows, highs = find_extrema(strokes, MIN_TURN * height)
    if not len(lows) or not len(highs):
        return fallback
    extrema = np.concatenate((lows, highs))
    is_low = np.arange(len(extrema)) < len(lows)
    wide = _is_wide(strokes) and np.ptp(lows[:, 0]) > 0 and np.ptp(highs[:, 0]) > 0
    slope, base, corpus = 0.0, float(np.median(lows[:, 1])), float(np.median(highs[:, 1]))
    for _ in range(4):
        residual = extrema[:, 1] - slope * extrema[:, 0] - np.where(is_low, base, corpus)
        near = np.abs(residual) <= MAX_OUTLIER * (corpus - base)
        if not (near & is_low).any() or not (near & ~is_low).any():
            break
        design = np.stack([extrema[:, 0] if wide else np.zeros(len(extrema)), is_low, ~is_low], axis=1)
        slope, base, corpus = np.linalg.lstsq(design[near], extrema[near, 1], rcond=None)[0].tolist()
    if corpus - base < max(least, MIN_TURN * height):
        return fallback
    return float(np.clip(slope, -MAX_SKEW, MAX_SKEW)), base, corpus - base


def find_extrema(strokes: Sequence[np.ndarray], turn: float) -> tuple[np.ndarray, np.ndarray]:
    """Minima and maxima (N, 2) of y along each stroke that y leaves by at least ``turn``.

    The ends of a stroke count only where it has no other minimum, or maximum: a loop may begin and end anywhere.
    """
    found: tuple[list[np.ndarray], list[np.ndarray]] = [], []
    for stroke in strokes:
        for known, indices in zip(found, _turning_points(stroke[:, 1].tolist(), turn), strict=True):
            inner = [i for i in indices if 0 < i < len(stroke) - 1]
            known.extend(stroke[i, :2] for i in inner or indices)
    lows, highs = (np.array(points).reshape(-1, 2) for points in found)
    return lows, highs


def _turning_points(heights: list[float], turn: float) -> tuple[list[int], list[int]]:
    """Indices of minima and maxima, ends included."""
    lows: list[int] = []
    highs: list[int] = []
    low = high = 0  # since the last turn
    rising = None  # not known yet
    for i, height in enumerate(heights):
        if rising is not True and height < heights[low]:
            low = i
        if rising is not False and height > heights[high]:
            high = i
        if rising is not False and heights[high] - height >= turn > 0:
            highs.append(high)
            rising, low = False, i
        elif rising is not True and height - heights[low] >= turn > 0:
            lows.append(low)
            rising, high = True, i
    if rising is not None:
        (highs if rising else lows).append(high if rising else low)
    return lows, highs


def slant_tangent(strokes: Sequence[np.ndarray]) -> float:
    """Tangent of the angle between the strokes and the upright, positive when they lean to the right.

    It is the peak of the histogram, in steps of 2 degrees and weighted by length, of the directions of all segments;
    weighted by a Gaussian around the upright and smoothed by (1, 2, 1) / 4 (Graves et al. 2009). Of equals the one nearest to
    the upright wins.
    """
    steps = np.concatenate([np.diff(stroke[:, :2], axis=0) for stroke in strokes])
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    if lengths.sum() == 0:
        return 0.0
    upwards = np.where(steps[:, 1] < 0, -1.0, 1.0)
    angles = np.degrees(np.arctan2(steps[:, 0] * upwards, steps[:, 1] * upwards))  # from the upright, -90..90
    centers = np.arange(-90, 90 + BIN_DEGREES, BIN_DEGREES)
    histogram = np.bincount(np.rint((angles + 90) / BIN_DEGREES).astype(np.intp), weights=lengths, minlength=len(centers))
    histogram[[0, -1]] = histogram[0] + histogram[-1]  # lying segments have both directions
    histogram *= np.exp(-0.5 * (centers / SLANT_DEVIATION) ** 2)
    padded = np.pad(histogram, 1)
    smooth = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    order = np.argsort(np.abs(centers), kind="stable")[: 2 * round(MAX_SLANT_DEGREES / BIN_DEGREES) + 1]
    return math.tan(math.radians(centers[order[np.argmax(smooth[order])]]))


def width_factor(strokes: Sequence[np.ndarray]) -> float:
    """How much wider a normalized line is to become for its characters to have a common width."""
    crossings = sum(int(np.count_nonzero(np.diff(stroke[:, 1] > 0.5))) for stroke in strokes)
    width = float(np.ptp(np.concatenate([stroke[:, 0] for stroke in strokes])))
    if crossings < MIN_CROSSINGS or width == 0:
        return 1.0
    return float(np.clip(crossings * CROSSING_WIDTH / width, 1 / MAX_STRETCH, MAX_STRETCH))


def _is_wide(strokes: Sequence[np.ndarray]) -> bool:
    width, height = np.ptp(np.concatenate([stroke[:, :2] for stroke in strokes]), axis=0)
    return bool(width >= MIN_ASPECT * height and width > 0)


def _rotate(strokes: Strokes, slope: float) -> None:
    """Turn so that a line of this slope becomes level."""
    cosine, sine = math.cos(math.atan(slope)), math.sin(math.atan(slope))
    for stroke in strokes:
        stroke[:, :2] = stroke[:, :2] @ np.array([[cosine, -sine], [sine, cosine]])


def measure_speed(strokes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Speed at each point of strokes (N, 3): the way from the point before to the one after by the time it took.

    Neighbors may belong to other strokes. Where a time is missing or does not grow the speed is 0; it is at most 100.
    """
    points = np.concatenate(strokes)
    steps = np.pad(np.hypot(*np.diff(points[:, :2], axis=0).T), 1)  # before the first point and after the last: 0
    times = np.pad(points[:, 2], 1, mode="edge")
    elapsed = times[2:] - times[:-2]
    known = np.isfinite(elapsed) & (elapsed > 0)
    speeds = np.where(known, np.minimum((steps[1:] + steps[:-1]) / np.where(known, elapsed, 1.0), MAX_SPEED), 0.0)
    return np.split(speeds, np.cumsum([len(stroke) for stroke in strokes])[:-1])


def mark_delayed(strokes: Sequence[np.ndarray]) -> Strokes:
    """Take out delayed strokes, such as the dot of an i, and set the column 2 of the points they stand over.

    A stroke is delayed if it lies above what was written before and the pen then moves on to the right (Graves et al. 2009,
    after Jaeger et al. 2001); here, if it lies wholly above 3/4 of the corpus, some point before it lies a quarter lower and,
    but for a quarter, within its width, and the next stroke begins to the right of its end, or none follows.
    """
    kept: Strokes = [np.array(strokes[0])]
    for number, stroke in enumerate(strokes[1:], start=1):
        onwards = number + 1 == len(strokes) or strokes[number + 1][0, 0] > stroke[-1, 0]
        beneath = _find_beneath(kept, stroke) if onwards and stroke[:, 1].min() >= DELAYED_HEIGHT else []
        for earlier, within in zip(kept, beneath, strict=False):
            earlier[within, 2] = 1.0
        if not beneath:
            kept.append(np.array(stroke))
    return kept


def _find_beneath(strokes: Strokes, delayed: np.ndarray) -> list[np.ndarray]:
    """Which points of each stroke lie within the width of a delayed one; empty if none of them lies lower."""
    left, right = delayed[:, 0].min() - DELAYED_REACH, delayed[:, 0].max() + DELAYED_REACH
    within = [(stroke[:, 0] >= left) & (stroke[:, 0] <= right) for stroke in strokes]
    highest = delayed[:, 1].min() - DELAYED_REACH
    return within if any((stroke[inside, 1] <= highest).any() for stroke, inside in zip(strokes, within, strict=True)) else []


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


def _count_points(strokes: Sequence[np.ndarray], spacing: float) -> int:
    """How many points :func:`resample` gives, before it takes memory for them."""
    lengths = (float(np.hypot(*np.diff(stroke[:, :2], axis=0).T).sum()) for stroke in strokes)
    return sum(_steps(length, spacing) + 1 for length in lengths) + sum(max(0, _steps(gap, spacing) - 1) for gap in _gaps(strokes))


def _drop_repeated(stroke: np.ndarray) -> np.ndarray:
    """Without points that lie where the one before lies."""
    moved = np.any(np.diff(stroke[:, :2], axis=0) != 0, axis=1)
    return stroke[np.concatenate(([True], moved))]


def _gaps(strokes: Sequence[np.ndarray]) -> list[float]:
    """Distances from the end of each stroke to the beginning of the next."""
    return [float(np.hypot(*(after[0, :2] - before[-1, :2]))) for before, after in pairwise(strokes)]


def _steps(length: float, spacing: float) -> int:
    return max(1, round(length / spacing)) if length > 0 else 0
