"""Random changes of line images for training: other slants, pens, papers and scanners."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from recognizer.config import LineAugment
from recognizer.features.line import scale_height
from recognizer.features.ruling import draw_ruling
from recognizer.features.warp import ink_rows, warp_line

STRONGEST_DILATION = 1.2  # passes of a 3 x 3 cross; the broken part is blended in
STRONGEST_EROSION = 0.4
BLEED_INK = (0.08, 0.35)  # density of ink from the reverse side, share
DEEPEST_NEIGHBOUR = 0.35  # what is seen of the line above or below, share of the height


def augment_line(line: np.ndarray, config: LineAugment, generator: np.random.Generator) -> np.ndarray:
    """Change a prepared line at random.

    Args:
        line: uint8 (H, W), ink 255 on paper 0.
        config: how strongly; zeros change nothing, to the last bit.
        generator: decides everything; the same state gives the same result.

    Returns:
        uint8 (H, W2), a new array. W2 can be smaller than W (see :func:`recognizer.features.warp.warp_line`; with
        neighbours all is scaled down to H rows), so a line that is barely wide enough for its text may become too narrow.
    """
    result = np.array(line, order="C")
    if generator.uniform() >= config.probability:
        return result
    if generator.uniform() < config.thickness:
        result = change_thickness(result, generator.uniform(-STRONGEST_EROSION, STRONGEST_DILATION))
    if config.scale or config.shear or config.rotate_degrees or config.elastic:
        result = warp_line(result, config, generator)
    if config.neighbours and generator.uniform() < config.neighbours:
        result = _crowd(result, generator)
    if generator.uniform() < config.ruling:
        result = draw_ruling(result, generator)
    if generator.uniform() < config.bleed:
        result = _let_bleed(result, generator)
    if config.contrast:
        result = _change_contrast(result, config.contrast, generator)
    if config.blur:
        result = _blur(result, generator.uniform(0, config.blur))
    if config.noise:
        result = _add_noise(result, generator.uniform(0, config.noise), generator)
    return result


def change_thickness(line: np.ndarray, passes: float) -> np.ndarray:
    """Dilate (``passes`` > 0) or erode (< 0) the strokes of ``line``, uint8 (H, W), by a 3 x 3 cross.

    The fraction of a pass is blended in, so that strokes grow smoothly with ``passes``.
    """
    spread = np.maximum if passes > 0 else np.minimum
    remaining = abs(passes)
    while remaining > 0:
        changed = _spread(line, spread)
        share = min(1.0, remaining)
        line = changed if share == 1 else _blend(line, changed, share)
        remaining -= share
    return line


def _spread(line: np.ndarray, spread: np.ufunc) -> np.ndarray:
    result = line.copy()
    spread(result[1:], line[:-1], out=result[1:])
    spread(result[:-1], line[1:], out=result[:-1])
    spread(result[:, 1:], line[:, :-1], out=result[:, 1:])
    spread(result[:, :-1], line[:, 1:], out=result[:, :-1])
    return result


def _blend(line: np.ndarray, changed: np.ndarray, share: float) -> np.ndarray:
    weight = round(share * 256)
    return ((line.astype(np.uint16) * (256 - weight) + changed.astype(np.uint16) * weight) >> 8).astype(np.uint8)


def _let_bleed(line: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Add faint mirrored ink, as of the reverse side, or the ends of strokes of the line above or below."""
    height, width = line.shape
    offset = int(generator.integers(width))
    if generator.uniform() < 0.5:
        ghost = np.roll(line[:, ::-1], (int(generator.integers(-height // 3, height // 3 + 1)), offset), axis=(0, 1))
        ghost = ndimage.gaussian_filter(ghost, height / 64, mode="constant")
        return np.maximum(line, (ghost * generator.uniform(*BLEED_INK)).astype(np.uint8))
    depth = max(1, round(generator.uniform(0.05, 0.2) * height))
    top, bottom = ink_rows(line)
    depth = min(depth, bottom - top)
    neighbour = np.roll(line[top:bottom], offset, axis=1)
    result = line.copy()
    if generator.uniform() < 0.5:
        np.maximum(result[:depth], neighbour[-depth:], out=result[:depth])
    else:
        np.maximum(result[height - depth :], neighbour[:depth], out=result[height - depth :])
    return result


def _crowd(line: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Put the foot of a line above and the head of one below it, both made of its own ink elsewhere, as of a crop that is too tall."""
    height, width = line.shape
    top, bottom = ink_rows(line)
    above, below = (min(round(generator.uniform(0, DEEPEST_NEIGHBOUR) * height), bottom - top) for _ in range(2))
    foot, head = (np.roll(line[top:bottom], int(generator.integers(width)), axis=1) for _ in range(2))
    return scale_height(np.concatenate((foot[bottom - top - above :], line, head[:below])), height)


def _change_contrast(line: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Make ink fainter by up to ``share``, uneven along the line, and paper greyer by up to a quarter of that."""
    height, width = line.shape
    density = 1 - generator.uniform(0, share)
    paper = generator.uniform(0, share / 4)
    nodes = np.arange(0, width + height, height)
    pressure = np.interp(np.arange(width), nodes, density + generator.uniform(-share / 4, share / 4, len(nodes)))
    pressure = np.clip(pressure, 0, 1).astype(np.float32)  # (W,)
    return np.maximum(line * pressure, np.float32(255 * paper)).astype(np.uint8)


def _blur(line: np.ndarray, deviation: float) -> np.ndarray:
    return ndimage.gaussian_filter(line, deviation, mode="constant", truncate=3.0)


def _add_noise(line: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    noise = generator.standard_normal(line.shape, dtype=np.float32)
    noise *= np.float32(255 * share)
    noise += line
    return np.clip(noise, 0, 255).astype(np.uint8)
