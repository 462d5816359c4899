"""A hypothesis: the labels a decoder reads from one utterance or line, where they begin and how likely they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recognizer.errors import InputError


@dataclass(frozen=True)
class Hypothesis:
    """One decoding of one utterance or line. Scores are natural logarithms.

    Attributes:
        labels: CTC labels without blanks, in order.
        frames: as many numbers as ``labels``: the frame in which each label's run begins (greedy), or was last appended to
            the prefix before it (beam), counted in encoder outputs.
        score: ``acoustic + language + bonus``.
        acoustic: of the path the labels were read from (greedy), or of all paths the beam kept (beam); 0 without frames.
        language: of the n-gram models, each times its weight.
        bonus: what words, tokens, unknown words and hotwords added.
        words: words by a lexicon or word model, in order; empty where the decoder knows none.
        spans: for each of ``words`` its first label and the one after its last, as positions in ``labels``.
        segments: of the best hypothesis of a long recording those that it was joined from, in order; else empty.
    """

    labels: tuple[int, ...]
    frames: tuple[int, ...]
    score: float
    acoustic: float = 0.0
    language: float = 0.0
    bonus: float = 0.0
    words: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class Segment:
    """What was read from one segment of a long recording.

    Attributes:
        place: where its labels begin among those of the whole.
        hypotheses: its N-best list, best first; frames are counted from its own first.
    """

    place: int
    hypotheses: tuple[Hypothesis, ...]


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
    """Refuse log-probs (T, V) that are not normalized, such as a network's output before the softmax.

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
