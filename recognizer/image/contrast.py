"""Gray levels: which side is paper, how dark it is, and how to bring ink to 255 and paper to 0."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

INK_LEVEL = 128  # from which a pixel of a picture with bright ink counts as ink
MIN_CONTRAST = 16  # gray levels between paper and ink below which a picture holds no ink
MIN_SIGNAL_TO_NOISE = 5.0  # ... or standard deviations of the paper's noise
MIN_INK_SHARE = 5e-4  # of the pixels of a noisy picture, less being single specks
PAPER_RIPPLE = 0.05  # least distance of the paper's level from the median, share of that of the ink's
MAX_TILE_ASPECT = 2  # a tile is at most this many times wider than the picture, so that a tall thin one is not padded to a square
NOISE_SHARE = 1 / 25  # of the range of gray levels: noise above that is smoothed; in scans of good quality it is below a fortieth
MIN_NOISE = 2.0  # gray levels
SMOOTHING = 1 / 64  # standard deviation of the smoothing, share of the height
MAX_SMOOTHING = 8.0  # ... in pixels
FLAT_PAPER = 224  # gray level that the local paper is brought to, so that its noise is not cut off at 255


def is_light_on_dark(gray: np.ndarray) -> bool:
    """Whether the ink of ``gray``, uint8 (H, W), is lighter than the paper around it.

    Ink covers less of the paper than it leaves, so pixels stray from the local median (over tiles of half the height)
    towards the ink: the answer is the sign of their third moment about it. A shadow moves the median along with the
    paper and does not count. Inverting the picture inverts the answer, unless both sides are exactly even (then False).
    """
    tile = _tile_side(gray, 2)
    deviation = gray - _interpolate_tiles(np.median(_cut_tiles(gray, tile), axis=2), gray.shape, tile)
    return float((deviation * deviation * deviation).sum(dtype=np.float64)) > 0  # ** 3 takes ten times as long


def normalize_contrast(gray: np.ndarray, contrast: str) -> np.ndarray:
    """Turn dark ink on light paper into ink 255 on paper 0 (``contrast="none"``: merely invert), uint8 (H, W).

    Where "stretch" finds no level that parts ink from paper, it tries "background" before it calls the picture blank.
    """
    if contrast == "background":
        gray = _flatten_paper(gray)
    ink = np.subtract(255, gray, dtype=np.uint8)
    levels = _find_levels(ink)
    if levels is None and contrast != "background":
        flat = np.subtract(255, _flatten_paper(gray), dtype=np.uint8)
        levels = _find_levels(flat)
        ink = flat if contrast == "stretch" else ink
    if levels is None:
        return np.zeros_like(ink)
    if contrast == "none":
        return ink
    paper, level = levels
    return np.clip(np.rint((np.arange(256) - paper) * (255 / (level - paper))), 0, 255).astype(np.uint8)[ink]


def smooth_noise(gray: np.ndarray) -> np.ndarray:
    """Smooth ``gray``, uint8 (H, W), where its paper is as noisy as a photograph in the dark; else give it back as it is.

    Noise is what differs between neighboring pixels and is neither edge nor slope: the median size of the second difference
    along both axes (after Immerkaer 1996, Fast noise variance estimation, which takes the mean, and so counts strokes in).
    """
    noise = _noise_level(gray)
    if noise < MIN_NOISE:
        return gray
    share = np.cumsum(np.bincount(gray.ravel(), minlength=256)) / gray.size
    if noise < NOISE_SHARE * int(np.argmax(share >= 0.995) - np.argmax(share >= 0.005)):
        return gray
    from scipy import ndimage  # a quarter of a second that most pictures can do without

    return ndimage.gaussian_filter(gray, min(SMOOTHING * gray.shape[0], MAX_SMOOTHING), mode="nearest")


def _noise_level(gray: np.ndarray) -> float:
    """Standard deviation of the noise from pixel to pixel in ``gray``, uint8 (H, W)."""
    if min(gray.shape) < 3:
        return 0.0
    rows = gray[:-2].astype(np.int16) - 2 * gray[1:-1].astype(np.int16) + gray[2:]
    second = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    sizes = np.bincount(np.abs(second).ravel())
    median = int(np.argmax(np.cumsum(sizes) >= second.size / 2))
    return 1.4826 * median / 6  # of a normal distribution; the difference has six times the deviation of a pixel


def _tile_side(gray: np.ndarray, parts: int) -> int:
    """Side of the square tiles of which ``parts`` make up the height."""
    return max(4, min(gray.shape[0] // parts, MAX_TILE_ASPECT * gray.shape[1]))


def _cut_tiles(gray: np.ndarray, tile: int) -> np.ndarray:
    """Cut ``gray``, uint8 (H, W), into squares, (rows, columns, tile * tile); the last ones repeat the border."""
    height, width = gray.shape
    padded = np.pad(gray, ((0, -height % tile), (0, -width % tile)), mode="edge")
    rows, columns = padded.shape[0] // tile, padded.shape[1] // tile
    return padded.reshape(rows, tile, columns, tile).transpose(0, 2, 1, 3).reshape(rows, columns, tile * tile)


def _interpolate_tiles(values: np.ndarray, shape: tuple[int, ...], tile: int) -> np.ndarray:
    """Interpolate one value a tile, (rows, columns), between the tiles' centers: float32 of ``shape`` (H, W)."""
    rows, columns = values.shape
    smooth = Image.fromarray(values.astype(np.float32)).resize((columns * tile, rows * tile), Image.Resampling.BILINEAR)
    return np.asarray(smooth)[: shape[0], : shape[1]]


def _flatten_paper(gray: np.ndarray) -> np.ndarray:
    """Divide ``gray``, uint8 (H, W), dark ink, by a local estimate of the paper: shadows go, ink keeps its density.

    The paper is the 80th percentile of each tile (a quarter of the height wide), closed over tiles full of ink,
    smoothed, and interpolated between the tiles' centers.
    """
    from scipy import ndimage  # a quarter of a second that most pictures can do without

    tile = _tile_side(gray, 4)
    rank = (4 * tile * tile) // 5
    paper = np.partition(_cut_tiles(gray, tile), rank, axis=2)[:, :, rank].astype(np.float32)
    paper = ndimage.gaussian_filter(ndimage.grey_closing(paper, size=3, mode="nearest"), 0.7, mode="nearest")
    local = np.maximum(_interpolate_tiles(paper, gray.shape, tile), 1)
    return np.minimum(gray * (FLAT_PAPER / local), 255).astype(np.uint8)


def _find_levels(ink: np.ndarray) -> tuple[float, float] | None:
    """The paper's and the ink's level in ``ink``, uint8 (H, W), ink bright; None when there is no ink.

    Most of the picture is taken for paper; if there is no ink beyond it, for ink.
    """
    histogram = np.bincount(ink.ravel(), minlength=256)
    levels = _find_minority(histogram)
    if levels is not None:
        return levels
    mirrored = _find_minority(histogram[::-1])
    return None if mirrored is None else (255 - mirrored[1], 255 - mirrored[0])


def _find_minority(histogram: np.ndarray) -> tuple[float, float] | None:
    """The levels of paper, which most pixels are, and of the brighter ink; None when there is no ink.

    The paper's level is the median plus three standard deviations of the paper's noise, which is read off the light
    side of the median, where no ink is; and at least a twentieth of the way to the ink, where compression leaves its
    ripples. The ink's level is the upper quartile of the darker class (Otsu 1979) of what lies beyond the paper.
    """
    share = np.cumsum(histogram) / histogram.sum()
    median = int(np.argmax(share >= 0.5))
    noise = median - int(np.argmax(share >= 0.16))
    paper = median + 3 * noise
    beyond = histogram.copy()
    beyond[: min(paper, 255) + 1] = 0
    if beyond.sum() == 0:
        return None
    beyond[: otsu_threshold(beyond)] = 0
    level = int(np.argmax(np.cumsum(beyond) >= 0.75 * beyond.sum()))
    spread = max(noise, _quantile(share, 0.5) - _quantile(share, 0.16))  # not in whole levels, which smoothed noise falls between
    if level - median < max(MIN_CONTRAST, MIN_SIGNAL_TO_NOISE * spread) or level <= paper:
        return None
    if spread >= MIN_NOISE and histogram[math.ceil(median + MIN_SIGNAL_TO_NOISE * spread) :].sum() < MIN_INK_SHARE * histogram.sum():
        return None
    return max(float(paper), median + PAPER_RIPPLE * (level - median)), float(level)


def _quantile(share: np.ndarray, part: float) -> float:
    """Gray level below which ``part`` of the pixels lie, from the cumulative shares of the levels (256,), interpolated within a level."""
    level = int(np.argmax(share >= part))
    below = float(share[level - 1]) if level else 0.0
    return level + (part - below) / (float(share[level]) - below)


def otsu_threshold(histogram: np.ndarray) -> int:
    """First level of the upper of the two classes that differ most (Otsu 1979)."""
    below = np.cumsum(histogram)
    mass_below = np.cumsum(histogram * np.arange(256))
    above = below[-1] - below
    split = (below > 0) & (above > 0)
    if not split.any():
        return int(np.argmax(histogram > 0))
    below, above = np.maximum(below, 1), np.maximum(above, 1)
    distance = mass_below / below - (mass_below[-1] - mass_below) / above
    between = np.where(split, below.astype(np.float64) * above * distance**2, -1.0)
    return int(np.argmax(between)) + 1
