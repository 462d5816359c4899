"""The likeliest course of numbers whose values and differences are both known by mean and variance."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

# Of the frames around, as CMU Sphinx makes its streams: values, differences over two frames on both sides, differences of these.
WINDOWS = ({0: 1.0}, {2: 1.0, -2: -1.0}, {3: 1.0, -1: -1.0, 1: -1.0, -3: 1.0})


def find_trajectory(means: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """The values (frames, D) that are likeliest together with the differences that follow from them.

    Each number is Gaussian and independent of the others (Tokuda, Yoshimura, Masuko, Kobayashi & Kitamura 2000, case 1): a
    linear system with a narrow band for each dimension. Before the first frame and behind the last these are repeated.

    Args:
        means: (frames, streams, D), the streams being those of ``WINDOWS``.
        variances: likewise, all positive.
    """
    frames, _, dimensions = means.shape
    differences = sparse.vstack([_window(weights, frames) for weights in WINDOWS]).tocsc()
    values = np.empty((frames, dimensions))
    for dimension in range(dimensions):
        precisions = 1 / variances[:, :, dimension].T.ravel()  # a stream after the other, as the windows are stacked
        weighted = differences.T.multiply(precisions).tocsc()
        values[:, dimension] = spsolve((weighted @ differences).tocsc(), weighted @ means[:, :, dimension].T.ravel())
    return values


def _window(weights: dict[int, float], frames: int) -> sparse.coo_matrix:
    """The matrix that makes a stream of the values of all frames."""
    rows = np.tile(np.arange(frames), len(weights))
    columns = np.concatenate([np.clip(np.arange(frames) + offset, 0, frames - 1) for offset in weights])
    return sparse.coo_matrix((np.repeat([*weights.values()], frames), (rows, columns)), shape=(frames, frames))
