"""Skew: the angle by which a line of text climbs or falls, and its removal."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

STEEPEST = math.tan(math.radians(10))
LEAST_ASPECT = 1.5  # width by height of the ink; what is narrower has no direction of its own
LEAST_ANGLE = 0.1  # degrees; turning by less only blurs


def deskew(line: np.ndarray) -> np.ndarray:
    """Level ``line``, uint8 (H, W), ink 255 on paper 0, by turning it; the picture grows to hold all ink."""
    angle = skew_degrees(line)
    if abs(angle) < LEAST_ANGLE:
        return line
    return np.asarray(Image.fromarray(line).rotate(-angle, Image.Resampling.BILINEAR, expand=True))


def skew_degrees(line: np.ndarray) -> float:
    """Angle of the text in degrees, positive when it climbs to the right.

    It is the angle along which the ink's projection on the vertical axis is most concentrated (largest sum of
    squares), among those up to 10 degrees: first over a picture reduced four times, then nearby in full.
    """
    rows, columns, weights = ink_points(line, reduction=4)
    if len(rows) == 0 or np.ptp(columns) < LEAST_ASPECT * np.ptp(rows):
        return 0.0
    step = min(0.02, max(4.0, line.shape[0] / 16) / line.shape[1])
    coarse = np.arange(-math.ceil(STEEPEST / step), math.ceil(STEEPEST / step) + 1) * step
    slope = most_concentrated(rows, columns, weights, coarse)
    rows, columns, weights = ink_points(line, reduction=2)
    slope = most_concentrated(rows, columns, weights, slope + np.linspace(-1, 1, 17) * step)
    return math.degrees(math.atan(slope))


def ink_points(line: np.ndarray, reduction: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and weights, each float32 (N,), of the inked pixels of ``line`` reduced ``reduction`` times."""
    small = np.asarray(Image.fromarray(line).reduce(reduction))
    rows, columns = np.nonzero(small >= 64)
    return rows.astype(np.float32), columns.astype(np.float32), small[rows, columns].astype(np.float32)


def most_concentrated(along: np.ndarray, across: np.ndarray, weights: np.ndarray, slopes: np.ndarray) -> float:
    """The slope s for which the histogram of ``along + s * across`` has the largest sum of squares.

    Of equals, the one nearest to zero wins.
    """
    best, highest = 0.0, -1.0
    for slope in sorted(slopes.tolist(), key=abs):
        shifted = along + slope * across
        histogram = np.bincount((shifted - shifted.min()).astype(np.intp), weights=weights)
        score = float(histogram @ histogram)
        if score > highest * (1 + 1e-9):
            best, highest = slope, score
    return best
