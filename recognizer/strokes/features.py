"""Points of pen traces as feature frames: 25 numbers a point."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from recognizer.config import StrokeFeatures
from recognizer.utils.compiling import compiled
from recognizer.utils.statistics import FeatureExtractor

STROKE_DIM = 25
VICINITY = 3  # points before and after that are its vicinity in time
MEAN_REACH = 25  # points before and after that the mean of x is taken over
BESIDE = 1.0  # corpus heights to the left and right in which ascenders and descenders are counted
BEYOND = 0.5  # corpus heights above the corpus line, or below the base line, from which on a point belongs to one
CELL = 0.5  # corpus heights: side of each of the 3 x 3 cells of the context map
MIN_SPEED = 1e-3  # corpus heights a second; below, the speed is not known


class StrokeFeatureExtractor(FeatureExtractor):
    """One frame a point of padded traces (B, T, 5), described by 25 numbers; see :func:`stroke_features`."""

    def __init__(self, config: StrokeFeatures) -> None:
        """Features of points ``config.spacing`` apart."""
        super().__init__(STROKE_DIM, config.normalize)
        self.config = config

    def raw(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, 25) before normalization, and the lengths; see the base class."""
        return stroke_features(inputs.float(), lengths), lengths

    def gaps(self, features: Tensor) -> Tensor:
        """Time from the point before (B, T), of features (B, T, D) as :meth:`forward` gives them: its distance by the pen's speed.

        In units of 10 ms, at most 1,000 of them; 1 where the times are not known.
        """
        speed = features[:, :, 2]
        if self.normalize == "corpus":
            speed = speed * self.std[2] + self.mean[2]
        known = speed > MIN_SPEED
        return torch.where(known, (100 * self.config.spacing / torch.where(known, speed, 1.0)).clamp_max(1000), 1.0)


def stroke_features(points: Tensor, lengths: Tensor) -> Tensor:
    """Describe every point by the 25 numbers of Graves et al. 2009 (IEEE TPAMI 31(5), section 3, online data).

    The corpus is the band of the letters without ascender and descender, between base line (y = 0) and corpus line (y = 1).
    The numbers of a point are

    0. whether the pen is down;
    1. the hat: whether a delayed stroke was taken out here;
    2. the speed before resampling;
    3. x less its mean over 25 points on either side;
    4. y;
    5. and 6. cosine and sine of the writing direction, from the point to the next (the last one has that of the one before);
    7. and 8. curvature: cosine and sine of the angle between the lines to the points before and after, seen from the point;
    9. vicinity aspect: (height - width) / (height + width) of the box around the vicinity, which is 3 points on either side;
    10. and 11. vicinity slope: cosine and sine of the direction from its first to its last point;
    12. vicinity curliness: its length along the trace by the longer side of its box;
    13. vicinity linearity: mean squared distance of its points from the straight line between its first and last point;
    14. and 15. how many points of ink within a corpus height to the left and right lie more than half a corpus height
        above the corpus line (ascenders) or below the base line (descenders);
    16. to 24. the context map: how many points of ink lie in each of 3 x 3 squares around the point, each half a corpus
        height wide, row by row from the top.

    Which numbers there are is published; how far the vicinities, the mean and the map reach is not, and was chosen here. The
    margin for ascenders and descenders follows Jaeger et al. 2001 (Online handwriting recognition: the NPen++ recognizer).
    At the ends of a trace vicinities are shorter. Where points coincide, directions are 0 and 0, the angle is that of a
    straight line, the aspect is 0 and the curliness 1.

    Args:
        points: (B, T, 5) float32, as :func:`~recognizer.strokes.normalize.prepare_strokes` gives them, padded with anything.
        lengths: (B,) points of each trace.

    Returns:
        (B, T, 25) float32, zero beyond a trace's length. Each trace is described by itself.
    """
    arrays = points.detach().cpu().numpy()
    result = np.zeros((*arrays.shape[:2], STROKE_DIM), dtype=np.float32)
    for trace, row, length in zip(arrays, result, lengths.tolist(), strict=True):
        _describe_points(np.ascontiguousarray(trace[:length]), row[:length])
    return torch.from_numpy(result).to(points.device)


@compiled
def _describe_points(points: np.ndarray, result: np.ndarray) -> None:
    """Describe the points (T, 5) of one trace; ``result`` (T, 25) float32 is written to."""
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


@compiled
def _direction(x: np.ndarray, y: np.ndarray, i: int) -> tuple[float, float]:
    """Cosine and sine of the direction from point i to the next; 0 and 0 if they coincide."""
    right, up = x[i + 1] - x[i], y[i + 1] - y[i]
    length = math.sqrt(right * right + up * up)
    return (right / length, up / length) if length > 0 else (0.0, 0.0)


@compiled
def _curvature(x: np.ndarray, y: np.ndarray, i: int) -> tuple[float, float]:
    """Cosine and sine of the angle from the line to the next point to the line to the one before; -1 and 0 where it goes straight on."""
    if i == 0 or i == len(x) - 1:
        return -1.0, 0.0
    (right, up), (right_after, up_after) = _direction(x, y, i - 1), _direction(x, y, i)
    if (right == 0 and up == 0) or (right_after == 0 and up_after == 0):
        return -1.0, 0.0
    return -(right * right_after + up * up_after), right * up_after - up * right_after


@compiled
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
