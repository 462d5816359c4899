"""Random changes of pen traces for training: other slants, sizes, writers and speeds."""

from __future__ import annotations

import math

import numpy as np

from recognizer.config import StrokeAugment
from recognizer.strokes.normalize import resample


def augment_strokes(points: np.ndarray, config: StrokeAugment, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Change a prepared trace at random.

    Width and height are scaled, the line is sheared and turned about the middle of its base line, each point is moved by
    itself, and the trace is resampled at another distance.

    Args:
        points: float32 (T, 5), as :func:`~recognizer.strokes.normalize.prepare_strokes` gives them.
        config: how strongly; zeros change nothing, to the last bit.
        spacing: distance of the points in corpus heights.
        rng: decides everything; the same state gives the same result.

    Returns:
        float32 (T2, 5), a new array. T2 can be smaller than T, so a trace that is barely long enough for its text may become
        too short.
    """
    result = np.array(points)
    if rng.uniform() >= config.probability:
        return result
    across, upwards = 1 + rng.uniform(-config.scale, config.scale, 2)
    shear = rng.uniform(-config.shear, config.shear)
    angle = math.radians(rng.uniform(-config.rotate_degrees, config.rotate_degrees))
    speed_factor = math.exp(rng.uniform(-1, 1) * math.log1p(config.speed))
    distance = spacing * math.exp(rng.uniform(-1, 1) * math.log1p(config.spacing))
    reshaped = bool(config.scale or config.shear or config.rotate_degrees)
    if reshaped:
        middle = (result[:, 0].min() + result[:, 0].max()) / 2
        cosine, sine = math.cos(angle), math.sin(angle)
        change = np.array([[cosine, -sine], [sine, cosine]]) @ np.array([[across, shear * upwards], [0.0, upwards]])
        result[:, :2] = (result[:, :2] - (middle, 0)) @ change.T
    if config.jitter:
        result[:, :2] += rng.normal(0, config.jitter, (len(result), 2))
    if config.speed:
        result[:, 4] *= speed_factor
    return resample(split_strokes(result), distance) if config.spacing or reshaped else result


def split_strokes(points: np.ndarray) -> list[np.ndarray]:
    """The strokes, (N, 4: x, y, hat, speed) float64, of a prepared trace; strokes with nothing between them become one."""
    down = points[:, 2] >= 0.5
    breaks = np.flatnonzero(np.diff(down)) + 1
    runs = zip(np.split(points, breaks), np.split(down, breaks), strict=True)
    return [run[:, [0, 1, 3, 4]].astype(np.float64) for run, is_down in runs if is_down[0]]
