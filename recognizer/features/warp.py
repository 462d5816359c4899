"""Warping of a line image: scale, slant, rotation and elastic displacement in one resampling."""

from __future__ import annotations

import math

import numba
import numpy as np
from PIL import Image

from recognizer.config import LineAugment

INK = 128  # grey level from which a pixel counts as ink when a warp is made to fit
LARGEST_END_SHIFT = 0.25  # share of the height by which rotation lifts the ends of a line at most
STEEPEST_FIELD = 0.25  # largest displacement, in grid cells: beyond 1/2 the paper could fold


def warp_line(line: np.ndarray, config: LineAugment, generator: np.random.Generator) -> np.ndarray:
    """Warp ``line``, uint8 (H, W), ink 255, by random amounts; the height stays, the width follows.

    The picture is made smaller where a rotation, a larger scale or the slant would otherwise push ink out of it, and
    moves up or down, by up to ``scale``, where there is room. The width is at least ``(1 - scale)`` times 4/5 of what it was
    (4/5 only with rotation).
    """
    height, width = line.shape
    across, along = 1 + generator.uniform(-config.scale, config.scale, 2)
    shear = generator.uniform(-config.shear, config.shear)
    turn = math.tan(math.radians(generator.uniform(-config.rotate_degrees, config.rotate_degrees)))
    steepest = LARGEST_END_SHIFT * height / width
    turn = min(max(turn, -steepest), steepest)
    slant = shear - turn  # a small rotation is a shear of the rows and its counterpart, a shear of the columns
    move = generator.uniform(-config.scale, config.scale) * height
    cell = generator.uniform(0.3, 0.8) * height
    amplitude = min(generator.uniform(0, config.elastic) * height, STEEPEST_FIELD * cell)

    top, bottom = ink_rows(line)
    lift = abs(turn) * width  # of one end over the other
    fit = height / (height + lift)
    along *= fit
    across = min(across * fit, height / (bottom - top + lift))
    new_width = max(1, math.ceil(along * (width + abs(slant) * height)))
    middle = (top + bottom - 1) / 2
    space = (height - across * (bottom - top + lift)) / 2  # above and below the ink when it stands in the middle
    offset = float(np.clip(middle + move - (height - 1) / 2, -space, space))
    first_row = middle - ((height - 1) / 2 + offset) / across  # of the source, in output row 0, at mid-width
    field_x = _smooth_field(height, new_width, cell, amplitude, generator)
    field_y = _smooth_field(height, new_width, cell, amplitude, generator)
    return _resample(line, new_width, across, along, slant, turn, first_row, field_x, field_y)


def ink_rows(line: np.ndarray) -> tuple[int, int]:
    """First row with ink and the one after the last; all rows of a picture without ink."""
    inked = np.flatnonzero(line.max(axis=1) >= INK)
    return (int(inked[0]), int(inked[-1]) + 1) if len(inked) else (0, line.shape[0])


def _smooth_field(height: int, width: int, cell: float, amplitude: float, generator: np.random.Generator) -> np.ndarray:
    """Displacements in pixels, float32 (height, width), within ``amplitude``: random at nodes ``cell`` apart, smooth between."""
    rows, columns = math.ceil(height / cell) + 2, math.ceil(width / cell) + 2
    nodes = generator.uniform(-amplitude, amplitude, (rows, columns)).astype(np.float32)
    if amplitude == 0:
        return np.zeros((height, width), dtype=np.float32)
    box = (1.0, 1.0, 1.0 + width / cell, 1.0 + height / cell)
    fine = Image.fromarray(nodes).resize((width, height), Image.Resampling.BICUBIC, box=box)
    return np.clip(np.asarray(fine), -amplitude, amplitude)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _resample(line, new_width, across, along, slant, turn, first_row, field_x, field_y):  # type: ignore[no-untyped-def]
    """Look every output pixel up in ``line``, bilinearly; what lies outside is paper."""
    height, width = line.shape
    result = np.empty((height, new_width), dtype=np.uint8)
    middle_row, middle, new_middle = (height - 1) / 2, (width - 1) / 2, (new_width - 1) / 2
    for i in range(height):
        for j in range(new_width):
            x = (j - new_middle) / along + field_x[i, j]
            y = first_row + i / across + turn * x + field_y[i, j]
            x += middle + slant * (y - middle_row)
            row, column = math.floor(y), math.floor(x)
            if row < -1 or row >= height or column < -1 or column >= width:
                result[i, j] = 0
                continue
            fy, fx = y - row, x - column
            value = 0.0
            if row >= 0:
                if column >= 0:
                    value += (1 - fy) * (1 - fx) * line[row, column]
                if column + 1 < width:
                    value += (1 - fy) * fx * line[row, column + 1]
            if row + 1 < height:
                if column >= 0:
                    value += fy * (1 - fx) * line[row + 1, column]
                if column + 1 < width:
                    value += fy * fx * line[row + 1, column + 1]
            result[i, j] = int(value + 0.5)
    return result
