"""Log probability of everything that begins with some labels, by CTC, as the labels become more."""

from __future__ import annotations

from math import inf

import numpy as np

from recognizer.decoding.ctc_score import log_add
from recognizer.utils.compiling import compiled

LABEL, BLANK = 0, 1  # the last axis of forward variables: paths that end with the last label of a prefix, and those in a blank behind it


class CtcPrefixes:
    """Scores of prefixes (Watanabe et al. 2017, algorithm 2), for many prefixes and all labels behind them at once.

    A prefix is known by its forward variables (T + 1, 2): log probability of all paths of the first t frames that read it.

    Args:
        log_probs: (T, V), label 0 the blank.
    """

    def __init__(self, log_probs: np.ndarray) -> None:
        self.log_probs = np.ascontiguousarray(log_probs, dtype=np.float64)
        self.probs = np.exp(self.log_probs)

    def initial(self) -> np.ndarray:
        """Forward variables (1, T + 1, 2) of the empty prefix."""
        forward = np.full((1, len(self.log_probs) + 1, 2), -inf)
        forward[0, :, BLANK] = np.concatenate([[0.0], self.log_probs[:, 0].cumsum()])
        return forward

    def score(self, forward: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Log probability (N, V) of all labelings that begin with a prefix and the label behind it; in column 0 of the prefix alone.

        It is -inf where a label falls below the smallest double beside its prefix.

        Args:
            forward: (N, T + 1, 2) of the prefixes.
            last: (N,) their last labels, 0 of the empty one.
        """
        entered = np.logaddexp(forward[:, :-1, LABEL], forward[:, :-1, BLANK])  # (N, T) before the frame in which the next label is read
        top = entered.max(axis=1, keepdims=True)
        top[np.isneginf(top)] = 0.0
        with np.errstate(divide="ignore"):
            scores = np.log(np.exp(entered - top) @ self.probs) + top
        again = np.flatnonzero(last)  # the same label again needs a blank between
        scores[again, last[again]] = np.logaddexp.reduce(forward[again, :-1, BLANK] + self.log_probs[:, last[again]].T, axis=1)
        scores[:, 0] = np.logaddexp(forward[:, -1, LABEL], forward[:, -1, BLANK])
        return scores

    def extend(self, forward: np.ndarray, last: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Append a label each.

        Args:
            forward: (N, T + 1, 2) of prefixes.
            last: (N,) as of :meth:`score`.
            rows: (M,) which prefixes go on.
            labels: (M,) by which label.

        Returns:
            Forward variables (M, T + 1, 2), and the frame (M,) in which each label is likeliest to be read first.
        """
        extended, frames = np.empty((len(rows), *forward.shape[1:])), np.empty(len(rows), np.int64)
        extend_prefixes(self.log_probs, forward, last, rows, labels, extended, frames)
        return extended, frames


@compiled
def extend_prefixes(
    log_probs: np.ndarray, forward: np.ndarray, last: np.ndarray, rows: np.ndarray, labels: np.ndarray, extended: np.ndarray, frames: np.ndarray
) -> None:
    """Fill in what :meth:`CtcPrefixes.extend` returns."""
    for m in range(rows.size):
        before, label = forward[rows[m]], labels[m]
        direct = label != last[rows[m]]
        in_label, in_blank, best = -inf, -inf, -inf
        extended[m, 0, 0], extended[m, 0, 1], frames[m] = -inf, -inf, 0
        for t in range(log_probs.shape[0]):
            entered = log_add(before[t, 0], before[t, 1]) if direct else before[t, 1]
            if entered + log_probs[t, label] > best:
                best, frames[m] = entered + log_probs[t, label], t
            in_blank = log_add(in_blank, in_label) + log_probs[t, 0]
            in_label = log_add(in_label, entered) + log_probs[t, label]
            extended[m, t + 1, 0], extended[m, t + 1, 1] = in_label, in_blank
