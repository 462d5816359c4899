"""Confidence: how likely each symbol and each word of a decoding is right.

Two pieces of evidence speak for a label of the best hypothesis: the share of the N-best list that keeps it (Evermann & Woodland
2000 take it from a lattice), which knows what the language model knows, and the probability that the network itself gave the
label where it was emitted.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from recognizer.alphabet import Alphabet
from recognizer.calibration import Calibration, Logistic
from recognizer.decoding.alignment import Alignment
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.decoding.timing import Span, split_words
from recognizer.errors import InputError

SMALLEST = 1e-4  # probabilities are kept so far from 0 and 1: neither a list of N nor a frame knows better

DEPTH = 20  # hypotheses that posteriors are taken over, unless told otherwise

NBest = Sequence[tuple[Sequence[Hashable], float]]  # labels (or words) of each hypothesis and its total score, best first


def confidence(n_best: NBest, log_probs: np.ndarray, alignment: Alignment, calibration: Calibration | None = None) -> np.ndarray:
    """Confidence (L,) of each label of the best hypothesis, 0..1.

    Args:
        n_best: hypotheses and their total scores (natural logarithms), the best first; one alone leaves the frames to speak.
        log_probs: (T, V) they were decoded from.
        alignment: of the best hypothesis with these log-probs.
        calibration: None: posterior times peak, which ranks well and says too little where a language model helped.

    Raises:
        InputError: no hypothesis, a best score that is not finite, or another number of labels in the alignment.
    """
    share = posteriors(n_best)
    if share.size != len(alignment.labels):
        raise InputError(f"the best hypothesis has {share.size} labels, its alignment has {len(alignment.labels)}")
    return combine(share, peaks(log_probs, alignment), calibration.tokens if calibration else None)


def word_confidence(
    n_best: NBest, log_probs: np.ndarray, alignment: Alignment, spans: Sequence[Span], calibration: Calibration | None = None
) -> np.ndarray:
    """Confidence (W,) of each word of the best hypothesis, as :func:`confidence`; its peak is that of its weakest label.

    ``n_best`` holds words, or whatever tells words apart (their labels as tuples); ``spans`` are the labels of each word.
    """
    share = posteriors(n_best)
    if share.size != len(spans):
        raise InputError(f"the best hypothesis has {share.size} words, there are {len(spans)} spans")
    return combine(share, word_peaks(peaks(log_probs, alignment), spans), calibration.words if calibration else None)


def find_words(alphabet: Alphabet, hypothesis: Hypothesis) -> tuple[Sequence[str], Sequence[Span]]:
    """Words of a hypothesis and the labels of each: what lies between spaces, or what a lexicon made of units."""
    if alphabet.level == "units":
        return hypothesis.words, hypothesis.spans
    symbols = alphabet.spell(hypothesis.labels)
    spans = split_words(symbols)
    return ["".join(symbols[begin:end]) for begin, end in spans], spans


def combine(share: np.ndarray, peak: np.ndarray, logistic: Logistic | None) -> np.ndarray:
    """One probability (N,) from posteriors and peaks, each (N,); their product without a logistic regression."""
    if logistic is None:
        return share * peak
    odds = logistic.bias + logistic.posterior * log_odds(share) + logistic.peak * log_odds(peak)
    return 1.0 / (1.0 + np.exp(-odds))


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """``log(p / (1 - p))``, with p kept within ``SMALLEST`` and 1 - ``SMALLEST``."""
    inside = np.clip(probabilities, SMALLEST, 1.0 - SMALLEST)
    return np.log(inside) - np.log1p(-inside)


def peaks(log_probs: np.ndarray, alignment: Alignment) -> np.ndarray:
    """The highest probability (L,) of each label within its run of frames."""
    table = np.asarray(log_probs)
    runs = zip(alignment.labels, alignment.starts, alignment.stops, strict=True)
    return np.exp(np.array([table[start:stop, label].max() for label, start, stop in runs], np.float64)).clip(0.0, 1.0)


def word_peaks(peak: np.ndarray, spans: Sequence[Span]) -> np.ndarray:
    """The lowest peak (W,) among the labels of each word."""
    return np.array([peak[begin:end].min() for begin, end in spans], np.float64)


def posteriors(n_best: NBest) -> np.ndarray:
    """Share (L,) of the probability of an N-best list that falls to hypotheses which keep each symbol of the best one.

    Which symbols a hypothesis keeps is told by an alignment with the fewest errors, and among those with the most matches.

    Raises:
        InputError: an empty list, or a best score that is not finite.
    """
    if not n_best or not math.isfinite(n_best[0][1]):
        raise InputError("confidence needs at least one hypothesis, and a finite score of the best")
    numbers: dict[Hashable, int] = {}
    codes = [_number(symbols, numbers) for symbols, _ in n_best]
    weights = np.exp(np.array([score for _, score in n_best]) - n_best[0][1])
    if len(codes) == 1 or codes[0].size == 0:
        return np.ones(codes[0].size)
    from recognizer.decoding.confidence_kernel import kept_weight

    ends = np.cumsum([len(code) for code in codes[1:]])
    kept = weights[0] + kept_weight(codes[0], np.concatenate(codes[1:]), ends, weights[1:])
    return np.minimum(kept / weights.sum(), 1.0)


def _number(symbols: Iterable[Hashable], numbers: dict[Hashable, int]) -> np.ndarray:
    return np.array([numbers.setdefault(symbol, len(numbers)) for symbol in symbols], np.int64)
