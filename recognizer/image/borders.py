"""Borders of a scan: the black frame that a scanner leaves around a page, found and cut off."""

from __future__ import annotations

import numpy as np

from recognizer.image.contrast import otsu_threshold, smooth_noise

BORDER_SHARE = 0.9  # of a row or column that is on the border's side of the gray levels
MIN_LEVELS = 12  # gray levels between border and paper
MIN_DEVIATIONS = 4  # ... or standard deviations of the border: the sides of a shadow that grows are no border
FLAT_SHARE = 1 / 8  # of the distance to the paper: what strays from the border's level by more is writing in a shadow
MAX_STRAYS = 0.01  # share of the border's pixels that may
STROKE_SHARE = 1 / 6  # of the height: a border that is thinner must cross margins that hold no ink, for a stroke does not
MARGIN_SHARE = 1 / 25  # of the height: margin that a thin border crosses
CLEAR_SHARE = 0.02  # of a margin's pixels that noise may darken


def trim_border(gray: np.ndarray) -> tuple[np.ndarray, int]:
    """Cut off rows and columns at the edges of ``gray``, uint8 (H, W), that are a dark frame around light paper.

    A picture whose edges are like its middle comes back as it is.

    Returns:
        The picture, at least one pixel, and how many columns went on its left.
    """
    smooth = smooth_noise(gray)
    dark = smooth < otsu_threshold(np.bincount(smooth.ravel(), minlength=256))
    height, width = gray.shape
    if dark[height // 4 : height - height // 4, width // 4 : width - width // 4].mean() > 0.5:
        return gray, 0  # dark paper, or heavy type that fills it: a light frame cannot be told from margins
    if not any(edge.mean() >= BORDER_SHARE for edge in (dark[0], dark[-1], dark[:, 0], dark[:, -1])):
        return gray, 0
    top, bottom, left, right = 0, height, 0, width
    while True:  # the sides of a frame are whole only once its top and bottom are gone, or the other way round
        before = (top, bottom, left, right)
        first, last = _edge_runs(dark[top:bottom, left:right])
        top, bottom = top + first, bottom - last
        first, last = _edge_runs(dark[top:bottom, left:right].T)
        left, right = left + first, right - last
        if (top, bottom, left, right) == before:
            break
    inside = smooth[top:bottom, left:right]
    if inside.size in (0, gray.size):
        return gray, 0
    # without the pixels next to the paper, which are of either kind
    outer = [_outer_part(gray[:top]), _outer_part(gray[bottom:][::-1]), _outer_part(gray[:, :left].T), _outer_part(gray[:, right:].T[::-1])]
    if not _is_plain(np.concatenate(outer), float(np.median(inside))):
        return gray, 0
    return gray[top:bottom, left:right], left


def _outer_part(side: np.ndarray) -> np.ndarray:
    """Pixels (N,) of a side of the border, its rows (H, W) in order from the edge inwards, less the innermost two if there are more."""
    return side[: max(1, len(side) - 2)].ravel()


def _is_plain(border: np.ndarray, paper: float) -> bool:
    """Whether the pixels of a border, uint8 (N,), have one level that is far from the paper's, and hold no writing."""
    low, level, high = np.percentile(border, (16, 50, 84))
    distance, deviation = abs(paper - level), (high - low) / 2
    if distance < max(MIN_LEVELS, MIN_DEVIATIONS * deviation):
        return False
    strays = np.abs(border.astype(np.int16) - level) > max(FLAT_SHARE * distance, 5 * deviation)
    return bool(strays.mean() <= MAX_STRAYS)


def _edge_runs(border: np.ndarray) -> tuple[int, int]:
    """How many rows of ``border``, bool (H, W), belong to a frame at its top and at its bottom."""
    if border.size == 0:
        return 0, 0
    whole = border.mean(axis=1) >= BORDER_SHARE
    if whole.all():
        return 0, 0
    first, last = int(np.argmin(whole)), int(np.argmin(whole[::-1]))
    thin = max(1, round(STROKE_SHARE * min(border.shape)))
    if 0 < first < thin or 0 < last < thin:
        inner = border[first : len(border) - last]
        margin = 1 + max(1, round(MARGIN_SHARE * min(border.shape)))
        shares = np.stack([inner[:, :margin].mean(axis=0), inner[:, -margin:].mean(axis=0)])
        inked = np.count_nonzero((shares > CLEAR_SHARE) & (shares < BORDER_SHARE), axis=1)
        if (inked > 1).any():  # one may be where two sides of a frame meet paper
            first, last = (run if run >= thin else 0 for run in (first, last))
    return first, last
