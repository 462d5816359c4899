"""Random changes of pen traces for training: other slants, sizes, hands and speeds."""

from __future__ import annotations

import math

import numpy as np

from recognizer.config import StrokeAugment
from recognizer.features.strokes import resample


def augment_strokes(points: np.ndarray, config: StrokeAugment, spacing: float, generator: np.random.Generator) -> np.ndarray:
    """Change a prepared trace at random.

    Width and height are scaled, the line is sheared and turned about the middle of its base line, each point is moved by
    itself, and the trace is resampled at another distance.

    Args:
        points: float32 (T, 5), as :func:`~recognizer.features.strokes.prepare_strokes` gives them.
        config: how strongly; zeros change nothing, to the last bit.
        spacing: distance of the points in corpus heights.
        generator: decides everything; the same state gives the same result.

    Returns:
        float32 (T2, 5), a new array. T2 can be smaller than T, so a trace that is barely long enough for its text may become
        too short.
    """
    result = np.array(points)
    if generator.uniform() >= config.probability:
        return result
    across, upwards = 1 + generator.uniform(-config.scale, config.scale, 2)
    shear = generator.uniform(-config.shear, config.shear)
    angle = math.radians(generator.uniform(-config.rotate_degrees, config.rotate_degrees))
    pace = math.exp(generator.uniform(-1, 1) * math.log1p(config.speed))
    distance = spacing * math.exp(generator.uniform(-1, 1) * math.log1p(config.spacing))
    if config.scale or config.shear or config.rotate_degrees:
        middle = (result[:, 0].min() + result[:, 0].max()) / 2
        cosine, sine = math.cos(angle), math.sin(angle)
        change = np.array([[across, shear * upwards], [0.0, upwards]])
        turned = np.array([[cosine, -sine], [sine, cosine]]) @ change
        result[:, :2] = (result[:, :2] - (middle, 0)) @ turned.T
    if config.jitter:
        result[:, :2] += generator.normal(0, config.jitter, (len(result), 2))
    if config.speed:
        result[:, 4] *= pace
    if config.spacing or config.scale or config.shear or config.rotate_degrees:
        result = resample(split_strokes(result), distance)
    return result


def split_strokes(points: np.ndarray) -> list[np.ndarray]:
    """The strokes, (N, 4: x, y, hat, speed) float64, of a prepared trace; strokes with nothing between them become one."""
    down = points[:, 2] >= 0.5
    breaks = np.flatnonzero(np.diff(down)) + 1
    runs = zip(np.split(points, breaks), np.split(down, breaks), strict=True)
    return [run[:, [0, 1, 3, 4]].astype(np.float64) for run, is_down in runs if is_down[0]]
