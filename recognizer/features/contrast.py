"""Grey levels: which side is paper, how dark it is, and how to bring ink to 255 and paper to 0."""

from __future__ import annotations

import numpy as np
from PIL import Image

LEAST_CONTRAST = 16  # grey levels between paper and ink below which a picture holds no ink
LEAST_SIGNAL = 5.0  # ... or standard deviations of the paper's noise
CLEAN = 0.05  # least distance of the paper's level from the median, share of that of the ink's
HEADROOM = 224  # grey level that the local paper is brought to, so that its noise is not cut off at 255


def is_light_on_dark(grey: np.ndarray) -> bool:
    """Whether the ink of ``grey``, uint8 (H, W), is lighter than the paper round it.

    Ink covers less of the paper than it leaves, so that pixels stray from the local median (over tiles of half the height) towards the ink: the
    answer is the sign of their third moment about it. A shadow moves the median along with the paper, so it has no say. Inverting the picture
    inverts the answer, unless both sides are exactly even (then False).
    """
    tile = max(4, grey.shape[0] // 2)
    strayed = grey - _spread_tiles(np.median(_cut_tiles(grey, tile), axis=2), grey.shape, tile)
    return float((strayed * strayed * strayed).sum(dtype=np.float64)) > 0  # ** 3 takes ten times as long


def _cut_tiles(grey: np.ndarray, tile: int) -> np.ndarray:
    """Cut ``grey``, uint8 (H, W), into squares, (rows, columns, tile * tile); the last ones repeat the border."""
    height, width = grey.shape
    padded = np.pad(grey, ((0, -height % tile), (0, -width % tile)), mode="edge")
    rows, columns = padded.shape[0] // tile, padded.shape[1] // tile
    return padded.reshape(rows, tile, columns, tile).transpose(0, 2, 1, 3).reshape(rows, columns, tile * tile)


def _spread_tiles(values: np.ndarray, shape: tuple[int, ...], tile: int) -> np.ndarray:
    """Interpolate one value a tile, (rows, columns), between the tiles' centres: float32 of ``shape`` (H, W)."""
    rows, columns = values.shape
    smooth = Image.fromarray(values.astype(np.float32)).resize((columns * tile, rows * tile), Image.Resampling.BILINEAR)
    return np.asarray(smooth)[: shape[0], : shape[1]]


def find_levels(ink: np.ndarray) -> tuple[float, float] | None:
    """Find the paper's and the ink's level in ``ink``, uint8 (H, W), ink bright; None when there is no ink.

    Most of the picture is taken for paper; if there is no ink beyond it, for ink. See :func:`_find_minority`.
    """
    histogram = np.bincount(ink.ravel(), minlength=256)
    levels = _find_minority(histogram)
    if levels is not None:
        return levels
    mirrored = _find_minority(histogram[::-1])
    return None if mirrored is None else (255 - mirrored[1], 255 - mirrored[0])


def _find_minority(histogram: np.ndarray) -> tuple[float, float] | None:
    """Find the levels of paper, which most pixels are, and of the brighter ink; None when there is no ink.

    The paper's level is the median plus three standard deviations of the paper's noise, which is read off the light
    side of the median, where no ink is; and at least a twentieth of the way to the ink, where compression leaves its
    ripples. The ink's level is the upper quartile of the darker class
    (Otsu 1979) of what lies beyond the paper.
    """
    share = np.cumsum(histogram) / histogram.sum()
    median = int(np.argmax(share >= 0.5))
    noise = median - int(np.argmax(share >= 0.16))
    paper = median + 3 * noise
    beyond = histogram.copy()
    beyond[: min(paper, 255) + 1] = 0
    if beyond.sum() == 0:
        return None
    beyond[: _otsu_threshold(beyond)] = 0
    level = int(np.argmax(np.cumsum(beyond) >= 0.75 * beyond.sum()))
    if level - median < max(LEAST_CONTRAST, LEAST_SIGNAL * noise) or level <= paper:
        return None
    return max(float(paper), median + CLEAN * (level - median)), float(level)


def _otsu_threshold(histogram: np.ndarray) -> int:
    """First level of the upper of the two classes that differ most (Otsu 1979)."""
    levels = np.arange(256)
    below = np.cumsum(histogram)
    mass_below = np.cumsum(histogram * levels)
    above = below[-1] - below
    split = (below > 0) & (above > 0)
    if not split.any():
        return int(np.argmax(histogram > 0))
    below, above = np.maximum(below, 1), np.maximum(above, 1)
    distance = mass_below / below - (mass_below[-1] - mass_below) / above
    between = np.where(split, below.astype(np.float64) * above * distance**2, -1.0)
    return int(np.argmax(between)) + 1


def stretch_levels(ink: np.ndarray, paper: float, level: float) -> np.ndarray:
    """Map ``paper`` and what is lighter to 0, ``level`` and what is darker to 255; uint8 (H, W) in and out."""
    table = np.clip(np.rint((np.arange(256) - paper) * (255 / (level - paper))), 0, 255).astype(np.uint8)
    return table[ink]


def flatten_paper(grey: np.ndarray) -> np.ndarray:
    """Divide ``grey``, uint8 (H, W), dark ink, by a local estimate of the paper: shadows go, ink keeps its density.

    The paper is the 80th percentile of each tile (a quarter of the height wide), closed over tiles full of ink,
    smoothed, and interpolated between the tiles' centres.
    """
    from scipy import ndimage  # a quarter of a second that most pictures can do without

    tile = max(4, grey.shape[0] // 4)
    tiles = _cut_tiles(grey, tile)
    rank = (4 * tile * tile) // 5
    paper = np.partition(tiles, rank, axis=2)[:, :, rank].astype(np.float32)
    paper = ndimage.gaussian_filter(ndimage.grey_closing(paper, size=3, mode="nearest"), 0.7, mode="nearest")
    local = np.maximum(_spread_tiles(paper, grey.shape, tile), 1)
    return np.minimum(grey * (HEADROOM / local), 255).astype(np.uint8)
