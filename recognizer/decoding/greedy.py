"""Best-path decoding: the likeliest label of every frame, repeats merged and blanks dropped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recognizer.decoding.hypothesis import Hypothesis, check_log_probs
from recognizer.errors import InputError


def ctc_collapse(path: Sequence[int] | np.ndarray) -> list[int]:
    """Labels that a path of one label a frame stands for: merge repeats, then drop blanks (label 0).

    This is the map B of Graves et al. 2006, section 3.1: ``a a - a b b`` becomes ``a a b``.

    Raises:
        InputError: the path is not a sequence of whole numbers >= 0.
    """
    labels = np.asarray(path)
    if labels.size == 0 and labels.ndim == 1:
        return []
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise InputError(f"a path is a sequence of labels >= 0, found shape {labels.shape} of {labels.dtype}")
    return list(labels[_starts(labels)].tolist())


def greedy(log_probs: np.ndarray) -> Hypothesis:
    """Read the likeliest path (Graves et al. 2006, section 3.2); equally likely labels go to the lowest one.

    Args:
        log_probs: natural log probabilities of the labels in each frame, (T, V); label 0 is the blank. ``-inf`` is a
            probability of zero. No frames give an empty hypothesis.

    Raises:
        InputError: not of rank 2, fewer than two labels, or NaN or ``+inf`` in a frame, which is named.
    """
    log_probs = check_log_probs(log_probs)
    if len(log_probs) == 0:
        return Hypothesis((), (), 0.0)
    path = log_probs.argmax(axis=1)  # (T,); numpy promises the first of equal maxima
    starts = _starts(path)
    score = float(log_probs.max(axis=1).sum(dtype=np.float64))
    return Hypothesis(tuple(path[starts].tolist()), tuple(starts.tolist()), score, score)


def _starts(path: np.ndarray) -> np.ndarray:
    """First frame of every run of a label other than the blank, in order."""
    changes = np.diff(path, prepend=-1) != 0
    return np.flatnonzero(changes & (path != 0))
