"""The shape of a line of pen strokes: its skew, slant, base line, size and width, and their removal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from recognizer.config import StrokeFeatures

Strokes = list[np.ndarray]  # each (N, 2 or more): x, y upwards, and what is carried along

STEEPEST = math.tan(math.radians(20))  # skew that is believed
LEAST_ASPECT = 2.0  # width by height; what is narrower has no direction of its own
STEEPEST_SLANT = 60.0  # degrees from the upright; strokes that lie flatter are no downstrokes
TURN = 0.1  # share of the whole height by which y must come back before a minimum or maximum counts
OUTLIER = 0.3  # share of the corpus height; extrema farther from their line are those of ascenders and descenders
WIDEST = 100.0  # corpus heights in the width of a line at most, lest a dash be taken for writing of its own thickness
BIN = 2.0  # degrees, of the histogram of directions (published)
LIKELY_SLANT = 25.0  # degrees, standard deviation of the Gaussian that weights it
LEAST_CROSSINGS = 10  # strokes through the middle of the corpus from which on they tell the number of characters
CROSSING_WIDTH = 0.6  # corpus heights that each of them is to take
LARGEST_STRETCH = 2.0


def normalise_shape(strokes: Sequence[np.ndarray], config: StrokeFeatures) -> Strokes:
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
    return float(np.clip(weights @ (x * y + steps[:, 0] * steps[:, 1] / 12) / spread, -STEEPEST, STEEPEST)) if spread > 0 else 0.0


def find_zones(strokes: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Common slope of base and corpus line, height of the base line at x = 0 and distance of the two.

    Least squares through minima and maxima of y, after which those far from their line are left out, four times over; it
    starts from the medians of both. Without a minimum or maximum (a dot, a dash) the whole trace is the corpus.
    """
    points = np.concatenate([stroke[:, :2] for stroke in strokes])
    (width, height), bottom = np.ptp(points, axis=0), points[:, 1].min()
    least = width / WIDEST
    fallback = 0.0, float(bottom), float(max(height, least) or 1.0)
    lows, highs = find_extrema(strokes, TURN * height)
    if not len(lows) or not len(highs):
        return fallback
    extrema = np.concatenate((lows, highs))
    is_low = np.arange(len(extrema)) < len(lows)
    wide = _is_wide(strokes) and np.ptp(lows[:, 0]) > 0 and np.ptp(highs[:, 0]) > 0
    slope, base, corpus = 0.0, float(np.median(lows[:, 1])), float(np.median(highs[:, 1]))
    for _ in range(4):
        residual = extrema[:, 1] - slope * extrema[:, 0] - np.where(is_low, base, corpus)
        near = np.abs(residual) <= OUTLIER * (corpus - base)
        if not (near & is_low).any() or not (near & ~is_low).any():
            break
        design = np.stack([extrema[:, 0] if wide else np.zeros(len(extrema)), is_low, ~is_low], axis=1)
        slope, base, corpus = np.linalg.lstsq(design[near], extrema[near, 1], rcond=None)[0].tolist()
    if corpus - base < max(least, TURN * height):
        return fallback
    return float(np.clip(slope, -STEEPEST, STEEPEST)), base, corpus - base


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
    centres = np.arange(-90, 90 + BIN, BIN)
    histogram = np.bincount(np.rint((angles + 90) / BIN).astype(np.intp), weights=lengths, minlength=len(centres))
    histogram[[0, -1]] = histogram[0] + histogram[-1]  # lying segments have both directions
    histogram *= np.exp(-0.5 * (centres / LIKELY_SLANT) ** 2)
    padded = np.pad(histogram, 1)
    smooth = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    order = np.argsort(np.abs(centres), kind="stable")[: 2 * round(STEEPEST_SLANT / BIN) + 1]
    return math.tan(math.radians(centres[order[np.argmax(smooth[order])]]))


def width_factor(strokes: Sequence[np.ndarray]) -> float:
    """How much wider a normalised line is to become for its characters to have a common width."""
    crossings = sum(int(np.count_nonzero(np.diff(stroke[:, 1] > 0.5))) for stroke in strokes)
    points = np.concatenate([stroke[:, 0] for stroke in strokes])
    width = float(np.ptp(points))
    if crossings < LEAST_CROSSINGS or width == 0:
        return 1.0
    return float(np.clip(crossings * CROSSING_WIDTH / width, 1 / LARGEST_STRETCH, LARGEST_STRETCH))


def _is_wide(strokes: Sequence[np.ndarray]) -> bool:
    width, height = np.ptp(np.concatenate([stroke[:, :2] for stroke in strokes]), axis=0)
    return bool(width >= LEAST_ASPECT * height and width > 0)


def _rotate(strokes: Strokes, slope: float) -> None:
    """Turn so that a line of this slope becomes level."""
    cosine, sine = math.cos(math.atan(slope)), math.sin(math.atan(slope))
    for stroke in strokes:
        stroke[:, :2] = stroke[:, :2] @ np.array([[cosine, -sine], [sine, cosine]])
