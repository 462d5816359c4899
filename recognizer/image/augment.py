"""Random changes of line images for training: other slants, pens, papers and scanners."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image
from scipy import ndimage

from recognizer.config import LineAugment
from recognizer.image.contrast import INK_LEVEL
from recognizer.image.normalize import scale_height
from recognizer.utils.compiling import compiled

# Ranges that the settings do not give
THICKNESS_PASSES = (-0.4, 1.2)  # of a 3 x 3 cross; negative is erosion; the broken part is blended in
BLEED_DENSITY = (0.08, 0.35)  # of ink from the reverse side, share
MAX_NEIGHBOR = 0.35  # what is seen of the line above or below, share of the height
MAX_END_SHIFT = 0.25  # share of the height by which rotation lifts the ends of a line at most
MAX_FIELD_SLOPE = 0.25  # largest displacement, in grid cells: beyond 1/2 the paper could fold
RULE_BASE = (0.55, 0.98)  # where the lower rule lies, share of the height
RULE_THICKNESS = (0.8, 2.2)  # pixels at a height of 64
RULE_LEVEL = (70, 230)  # gray levels
MAX_RULE_SLOPE = 0.006  # up or down
MARGIN_RULE_PROBABILITY = 0.1  # of an upright rule


def augment_line(line: np.ndarray, config: LineAugment, rng: np.random.Generator) -> np.ndarray:
    """Change a prepared line at random.

    Args:
        line: uint8 (H, W), ink 255 on paper 0.
        config: how strongly; zeros change nothing, to the last bit.
        rng: decides everything; the same state gives the same result.

    Returns:
        uint8 (H, W2), a new array. W2 can be smaller than W (see :func:`warp_line`; with neighbors all is scaled down
        to H rows), so a line that is barely wide enough for its text may become too narrow.
    """
    result = np.array(line, order="C")
    if rng.uniform() >= config.probability:
        return result
    if rng.uniform() < config.thickness:
        result = change_thickness(result, rng.uniform(*THICKNESS_PASSES))
    if config.scale or config.shear or config.rotate_degrees or config.elastic:
        result = warp_line(result, config, rng)
    if config.neighbors and rng.uniform() < config.neighbors:
        result = _add_neighbors(result, rng)
    if rng.uniform() < config.ruling:
        result = draw_ruling(result, rng)
    if rng.uniform() < config.bleed:
        result = _add_bleed(result, rng)
    if config.contrast:
        result = _change_contrast(result, config.contrast, rng)
    if config.blur:
        result = ndimage.gaussian_filter(result, rng.uniform(0, config.blur), mode="constant", truncate=3.0)
    if config.noise:
        result = _add_noise(result, rng.uniform(0, config.noise), rng)
    return result


def change_thickness(line: np.ndarray, passes: float) -> np.ndarray:
    """Dilate (``passes`` > 0) or erode (< 0) the strokes of ``line``, uint8 (H, W), by a 3 x 3 cross.

    The fraction of a pass is blended in, so that strokes grow smoothly with ``passes``.
    """
    spread = np.maximum if passes > 0 else np.minimum
    remaining = abs(passes)
    while remaining > 0:
        changed = line.copy()
        spread(changed[1:], line[:-1], out=changed[1:])
        spread(changed[:-1], line[1:], out=changed[:-1])
        spread(changed[:, 1:], line[:, :-1], out=changed[:, 1:])
        spread(changed[:, :-1], line[:, 1:], out=changed[:, :-1])
        weight = round(min(1.0, remaining) * 256)
        line = ((line.astype(np.uint16) * (256 - weight) + changed.astype(np.uint16) * weight) >> 8).astype(np.uint8)
        remaining -= 1
    return line


def warp_line(line: np.ndarray, config: LineAugment, rng: np.random.Generator) -> np.ndarray:
    """Scale, shear, turn and distort ``line``, uint8 (H, W), ink 255, by random amounts; the height stays, the width follows.

    The picture is made smaller where a rotation, a larger scale or the slant would otherwise push ink out of it, and
    moves up or down, by up to ``scale``, where there is room. The width is at least ``(1 - scale)`` times 4/5 of what it was
    (4/5 only with rotation).
    """
    height, width = line.shape
    across, along = 1 + rng.uniform(-config.scale, config.scale, 2)
    shear = rng.uniform(-config.shear, config.shear)
    turn = math.tan(math.radians(rng.uniform(-config.rotate_degrees, config.rotate_degrees)))
    steepest = MAX_END_SHIFT * height / width
    turn = min(max(turn, -steepest), steepest)
    slant = shear - turn  # a small rotation is a shear of the rows and its counterpart, a shear of the columns
    move = rng.uniform(-config.scale, config.scale) * height
    cell = rng.uniform(0.3, 0.8) * height
    amplitude = min(rng.uniform(0, config.elastic) * height, MAX_FIELD_SLOPE * cell)

    top, bottom = _ink_rows(line)
    lift = abs(turn) * width  # of one end over the other
    fit = height / (height + lift)
    along *= fit
    across = min(across * fit, height / (bottom - top + lift))
    new_width = max(1, math.ceil(along * (width + abs(slant) * height)))
    middle = (top + bottom - 1) / 2
    space = (height - across * (bottom - top + lift)) / 2  # above and below the ink when it stands in the middle
    offset = float(np.clip(middle + move - (height - 1) / 2, -space, space))
    first_row = middle - ((height - 1) / 2 + offset) / across  # of the source, in output row 0, at mid-width
    field_x = _smooth_field(height, new_width, cell, amplitude, rng)
    field_y = _smooth_field(height, new_width, cell, amplitude, rng)
    return _resample(line, new_width, across, along, slant, turn, first_row, field_x, field_y)


def _ink_rows(line: np.ndarray) -> tuple[int, int]:
    """First row with ink and the one after the last; all rows of a picture without ink."""
    inked = np.flatnonzero(line.max(axis=1) >= INK_LEVEL)
    return (int(inked[0]), int(inked[-1]) + 1) if len(inked) else (0, line.shape[0])


def _smooth_field(height: int, width: int, cell: float, amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """Displacements in pixels, float32 (height, width), within ``amplitude``: random at nodes ``cell`` apart, smooth between."""
    rows, columns = math.ceil(height / cell) + 2, math.ceil(width / cell) + 2
    nodes = rng.uniform(-amplitude, amplitude, (rows, columns)).astype(np.float32)
    if amplitude == 0:
        return np.zeros((height, width), dtype=np.float32)
    area = (1.0, 1.0, 1.0 + width / cell, 1.0 + height / cell)
    fine = Image.fromarray(nodes).resize((width, height), Image.Resampling.BICUBIC, box=area)
    return np.clip(np.asarray(fine), -amplitude, amplitude)


@compiled
def _resample(line, new_width, across, along, slant, turn, first_row, field_x, field_y):  # type: ignore[no-untyped-def]
    """Look every output pixel up in ``line``, bilinearly; what lies outside is paper. Ours, as Pillow takes no field of displacements."""
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


def draw_ruling(line: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one or two rules under and through the text of ``line``, uint8 (H, W), ink 255; never lessens ink."""
    height, width = line.shape
    unit = height / 64
    thickness = rng.uniform(*RULE_THICKNESS) * unit
    level = rng.uniform(*RULE_LEVEL)
    slope = rng.uniform(-MAX_RULE_SLOPE, MAX_RULE_SLOPE)
    slope = np.sign(slope) * min(abs(slope), 0.3 * height / width)
    pattern = level * _draw_dashes(width, unit, rng)  # (W,)
    base = rng.uniform(*RULE_BASE) * height
    distances = [0.0]
    if rng.uniform() < 0.4:
        distances.append(rng.uniform(0.35, 0.9) * height)
    ruled = line.astype(np.float32)
    columns = np.arange(width)
    for distance in distances:
        middle = base - distance + slope * (columns - width / 2)  # (W,)
        first, last = np.clip([middle.min() - thickness - 1, middle.max() + thickness + 2], 0, height).astype(int)
        rows = np.arange(first, last)[:, None]
        coverage = np.clip(thickness / 2 + 0.5 - np.abs(rows - middle), 0, 1)
        np.maximum(ruled[first:last], coverage * pattern, out=ruled[first:last])
    if rng.uniform() < MARGIN_RULE_PROBABILITY:
        middle = rng.uniform(0, width) + slope * np.arange(height)[:, None]
        np.maximum(ruled, np.clip(thickness / 2 + 0.5 - np.abs(columns - middle), 0, 1) * level, out=ruled)
    return ruled.astype(np.uint8)


def _draw_dashes(width: int, unit: float, rng: np.random.Generator) -> np.ndarray:
    """Ink along a rule, float (W,), 0..1: solid, dashed or dotted, worn in places."""
    style = rng.integers(3)
    phase = rng.uniform()
    period = rng.uniform(6, 24) if style == 1 else rng.uniform(2.5, 6)
    duty = rng.uniform(0.4, 0.8)
    nodes = np.arange(0, width + 40, 40)
    wear = np.interp(np.arange(width), nodes, rng.uniform(0.6, 1.0, len(nodes)))
    position = (np.arange(width) / (period * unit) + phase) % 1.0
    return wear if style == 0 else wear * np.where(position < duty, 1.0, 0.15)


def _add_bleed(line: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add faint mirrored ink, as of the reverse side, or the ends of strokes of the line above or below."""
    height, width = line.shape
    offset = int(rng.integers(width))
    if rng.uniform() < 0.5:
        ghost = np.roll(line[:, ::-1], (int(rng.integers(-height // 3, height // 3 + 1)), offset), axis=(0, 1))
        ghost = ndimage.gaussian_filter(ghost, height / 64, mode="constant")
        return np.maximum(line, (ghost * rng.uniform(*BLEED_DENSITY)).astype(np.uint8))
    depth = max(1, round(rng.uniform(0.05, 0.2) * height))
    top, bottom = _ink_rows(line)
    depth = min(depth, bottom - top)
    neighbor = np.roll(line[top:bottom], offset, axis=1)
    result = line.copy()
    if rng.uniform() < 0.5:
        np.maximum(result[:depth], neighbor[-depth:], out=result[:depth])
    else:
        np.maximum(result[height - depth :], neighbor[:depth], out=result[height - depth :])
    return result


def _add_neighbors(line: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put the foot of a line above and the head of one below it, both made of its own ink elsewhere, as of a crop that is too tall."""
    height, width = line.shape
    top, bottom = _ink_rows(line)
    above, below = (min(round(rng.uniform(0, MAX_NEIGHBOR) * height), bottom - top) for _ in range(2))
    foot, head = (np.roll(line[top:bottom], int(rng.integers(width)), axis=1) for _ in range(2))
    return scale_height(np.concatenate((foot[bottom - top - above :], line, head[:below])), height)


def _change_contrast(line: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Make ink fainter by up to ``share``, uneven along the line, and paper grayer by up to a quarter of that."""
    height, width = line.shape
    density = 1 - rng.uniform(0, share)
    paper = rng.uniform(0, share / 4)
    nodes = np.arange(0, width + height, height)
    pressure = np.interp(np.arange(width), nodes, density + rng.uniform(-share / 4, share / 4, len(nodes)))
    pressure = np.clip(pressure, 0, 1).astype(np.float32)  # (W,)
    return np.maximum(line * pressure, np.float32(255 * paper)).astype(np.uint8)


def _add_noise(line: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise to every pixel; ``deviation`` is a share of the gray range."""
    noise = rng.standard_normal(line.shape, dtype=np.float32)
    noise *= np.float32(255 * deviation)
    noise += line
    return np.clip(noise, 0, 255).astype(np.uint8)
