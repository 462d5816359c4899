"""Ruled lines drawn onto a line image: solid, dashed or dotted, with a margin line now and then."""

from __future__ import annotations

import numpy as np

MARGIN_LINE = 0.1  # probability of an upright line
BASE = (0.55, 0.98)  # where the base ruling lies, share of the height
THICKNESS = (0.8, 2.2)  # pixels at a height of 64
INK = (70, 230)  # grey levels
SLOPE = 0.006  # largest, up or down


def draw_ruling(line: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw one or two rules under and through the text of ``line``, uint8 (H, W), ink 255; never lessens ink."""
    height, width = line.shape
    unit = height / 64
    thickness = generator.uniform(*THICKNESS) * unit
    level = generator.uniform(*INK)
    slope = generator.uniform(-SLOPE, SLOPE)
    slope = np.sign(slope) * min(abs(slope), 0.3 * height / width)
    pattern = level * _dashes(width, unit, generator)  # (W,)
    base = generator.uniform(*BASE) * height
    distances = [0.0]
    if generator.uniform() < 0.4:
        distances.append(generator.uniform(0.35, 0.9) * height)
    ruled = line.astype(np.float32)
    columns = np.arange(width)
    for distance in distances:
        middle = base - distance + slope * (columns - width / 2)  # (W,)
        first, last = np.clip([middle.min() - thickness - 1, middle.max() + thickness + 2], 0, height).astype(int)
        rows = np.arange(first, last)[:, None]
        coverage = np.clip(thickness / 2 + 0.5 - np.abs(rows - middle), 0, 1)
        np.maximum(ruled[first:last], coverage * pattern, out=ruled[first:last])
    if generator.uniform() < MARGIN_LINE:
        middle = generator.uniform(0, width) + slope * np.arange(height)[:, None]
        np.maximum(ruled, np.clip(thickness / 2 + 0.5 - np.abs(columns - middle), 0, 1) * level, out=ruled)
    return ruled.astype(np.uint8)


def _dashes(width: int, unit: float, generator: np.random.Generator) -> np.ndarray:
    """Ink along a rule, float (W,), 0..1: solid, dashed or dotted, worn in places."""
    style = generator.integers(3)
    phase = generator.uniform()
    period = generator.uniform(6, 24) if style == 1 else generator.uniform(2.5, 6)
    duty = generator.uniform(0.4, 0.8)
    wear = np.interp(np.arange(width), np.arange(0, width + 40, 40), generator.uniform(0.6, 1.0, len(range(0, width + 40, 40))))
    if style == 0:
        return wear
    position = (np.arange(width) / (period * unit) + phase) % 1.0
    return wear * np.where(position < duty, 1.0, 0.15)
