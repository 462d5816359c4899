"""Emissions: the log-probs of labels in every frame, checked before a decoder trusts them."""

from __future__ import annotations

import numpy as np

from recognizer.errors import InputError


def check_log_probs(log_probs: np.ndarray) -> np.ndarray:
    """Return ``log_probs`` as an array (T, V) that can be decoded: label 0 is the blank, ``-inf`` a probability of zero.

    Raises:
        InputError: not of rank 2, fewer than two labels, or NaN or ``+inf`` in a frame, which is named.
    """
    log_probs = np.asarray(log_probs)
    if log_probs.ndim != 2:
        raise InputError(f"log-probs have two axes, frames and labels; found shape {log_probs.shape}")
    frames, labels = log_probs.shape
    if labels < 2:
        raise InputError(f"log-probs need at least two labels, the blank and one symbol; found {labels}")
    if frames == 0:
        return log_probs
    best = log_probs.max(axis=1)  # (T,); NaN and +inf both come through a maximum
    bad = np.flatnonzero(np.isnan(best) | np.isposinf(best))
    if bad.size:
        raise InputError(f"log-probs are NaN or +inf in {bad.size} of {frames} frames, the first is frame {bad[0]}")
    return log_probs


def check_sums(log_probs: np.ndarray, tolerance: float = 0.02) -> None:
    """Refuse log-probs (T, V) that are not normalised, such as a network's output before the softmax.

    Raises:
        InputError: the probabilities of a frame, which is named, do not sum to one within ``tolerance``.
    """
    sums = np.exp(log_probs, dtype=np.float32 if log_probs.dtype == np.float32 else np.float64).sum(axis=1)
    bad = np.flatnonzero(np.abs(sums - 1.0) > tolerance)
    if bad.size:
        raise InputError(
            f"the probabilities of frame {bad[0]} sum to {sums[bad[0]]:.4g}, not to one ({bad.size} of {len(sums)} frames): "
            "are these logits? Take their log_softmax"
        )
