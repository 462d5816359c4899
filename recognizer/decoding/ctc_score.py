"""Log probability of a labeling, summed over its paths; compiled by numba."""

from __future__ import annotations

from math import exp, inf, log, log1p

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, inline="always")
def log_add(a: float, b: float) -> float:
    """log(exp(a) + exp(b)), exact where either is -inf."""
    if a < b:
        a, b = b, a
    if b < a - 40.0:  # beyond the digits of a double; also every case of b = -inf but a = -inf
        return a
    if b == -inf:
        return a
    return a + log1p(exp(b - a))


@njit(cache=True, nogil=True)
def label_log_prob(log_probs: np.ndarray, labels: np.ndarray) -> float:
    """Log probability of a labeling summed over its paths (Graves et al. 2006, equation 8); log-probs (T, V) float64, labels (L,)."""
    frames, count = log_probs.shape[0], labels.shape[0]
    states = 2 * count + 1
    forward = np.full(states, -inf)
    forward[0] = 0.0  # before the first frame; state 1 is entered from here
    if frames == 0:
        return 0.0 if count == 0 else -inf
    for t in range(frames):
        for s in range(states - 1, -1, -1):
            label = labels[s // 2] if s % 2 else 0
            value = forward[s]
            if t == 0:
                value = 0.0 if s < 2 else -inf
            else:
                if s > 0:
                    value = log_add(value, forward[s - 1])
                if s > 2 and s % 2 and labels[s // 2] != labels[s // 2 - 1]:
                    value = log_add(value, forward[s - 2])
            forward[s] = value + log_probs[t, label]
    return log_add(forward[states - 1], forward[states - 2]) if count else forward[0]


@njit(cache=True, nogil=True)
def quick_label_log_prob(probs: np.ndarray, labels: np.ndarray) -> float:
    """:func:`label_log_prob` from probabilities (T, V) float64, several times faster, for many labelings of one table.

    The forward variables are scaled to a sum of one in each frame (Rabiner 1989, section V.A). Where the labeling is so unlikely
    beside its beginnings that it falls below the smallest double, the answer is -inf.
    """
    frames, count = probs.shape[0], labels.shape[0]
    states = 2 * count + 1
    if frames == 0:
        return 0.0 if count == 0 else -inf
    forward = np.zeros(states)
    forward[0] = probs[0, 0]
    if count:
        forward[1] = probs[0, labels[0]]
    total = 0.0
    for t in range(1, frames):
        scale = forward.sum()
        if scale == 0.0:
            return -inf
        total += log(scale)
        blank = probs[t, 0] / scale
        for s in range(states - 1, -1, -1):
            value = forward[s]
            if s > 0:
                value += forward[s - 1]
            if s % 2 == 0:
                forward[s] = value * blank
                continue
            if s > 2 and labels[s // 2] != labels[s // 2 - 1]:
                value += forward[s - 2]
            forward[s] = value * probs[t, labels[s // 2]] / scale
    ends = forward[states - 1] + (forward[states - 2] if count else 0.0)
    return total + log(ends) if ends > 0.0 else -inf
