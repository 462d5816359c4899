"""Courses of numbers whose values and differences are both known by mean and variance."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.linalg import cho_solve_banded, cholesky_banded, solve_banded

# Of the frames around, as CMU Sphinx makes its streams: values, differences over two frames on both sides, differences of these.
WINDOWS = ({0: 1.0}, {2: 1.0, -2: -1.0}, {3: 1.0, -1: -1.0, 1: -1.0, -3: 1.0})
REACH = 6  # frames apart that two values of one difference can be


def find_trajectory(means: np.ndarray, variances: np.ndarray, chance: np.random.Generator | None = None, spread: float = 1.0) -> np.ndarray:
    """Values (frames, D) that are likely together with the differences that follow from them.

    Each number is Gaussian and independent of the others (Tokuda, Yoshimura, Masuko, Kobayashi & Kitamura 2000, case 1), so that a
    whole course is Gaussian too, with an inverse covariance that is a narrow band for each dimension. Before the first
    frame and behind the last these are repeated.

    Args:
        means: (frames, streams, D), the streams being those of ``WINDOWS``.
        variances: likewise, all positive.
        chance: draws a course in place of the likeliest one.
        spread: factor of a drawn course's distance from the likeliest.
    """
    frames, _, dimensions = means.shape
    differences = sparse.vstack([_window(weights, frames) for weights in WINDOWS]).tocsr()
    values = np.empty((frames, dimensions))
    for dimension in range(dimensions):
        precisions = 1 / variances[:, :, dimension].T.ravel()  # a stream after the other, as the windows are stacked
        weighted = differences.T.multiply(precisions).tocsr()
        root = cholesky_banded(_band(weighted @ differences, frames))
        values[:, dimension] = cho_solve_banded((root, False), weighted @ means[:, :, dimension].T.ravel())
        if chance is not None:
            values[:, dimension] += spread * solve_banded((0, len(root) - 1), root, chance.standard_normal(frames))
    return values


def _band(matrix: sparse.csr_matrix, frames: int) -> np.ndarray:
    """The upper diagonals of a symmetric matrix, the farthest first, each ending where its columns do."""
    offsets = range(min(REACH, frames - 1), -1, -1)
    return np.stack([np.pad(matrix.diagonal(offset), (offset, 0)) for offset in offsets])


def _window(weights: dict[int, float], frames: int) -> sparse.coo_matrix:
    """The matrix that makes a stream of the values of all frames."""
    rows = np.tile(np.arange(frames), len(weights))
    columns = np.concatenate([np.clip(np.arange(frames) + offset, 0, frames - 1) for offset in weights])
    return sparse.coo_matrix((np.repeat([*weights.values()], frames), (rows, columns)), shape=(frames, frames))
