"""Confidence: how likely each symbol and each word of a decoding is right.

Two kinds of evidence speak for a label of the best hypothesis: the share of the N-best list that keeps it (Evermann & Woodland
2000 take it from a lattice), which knows what the language model knows, and the probability that the network itself gave the
label where it was emitted.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from recognizer.config import PlattScaling
from recognizer.decoding.alignment import Alignment
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.decoding.timing import Span, split_words
from recognizer.errors import InputError
from recognizer.text.alphabet import Alphabet
from recognizer.utils.compiling import compiled

MIN_PROBABILITY = 1e-4  # probabilities are kept so far from 0 and 1: neither a list of N nor a frame knows better
DEPTH = 20  # hypotheses that posteriors are taken over, unless told otherwise

NBest = Sequence[tuple[Sequence[Hashable], float]]  # labels (or words) of each hypothesis and its total score, best first


def find_words(alphabet: Alphabet, hypothesis: Hypothesis) -> tuple[Sequence[str], Sequence[Span]]:
    """Words of a hypothesis and the labels of each: what lies between spaces, or what a lexicon made of units."""
    if alphabet.level == "units":
        return hypothesis.words, hypothesis.spans
    symbols = alphabet.spell(hypothesis.labels)
    spans = split_words(symbols)
    return ["".join(symbols[begin:end]) for begin, end in spans], spans


def combine(share: np.ndarray, peak: np.ndarray, scaling: PlattScaling | None = None) -> np.ndarray:
    """Confidence (N,) of each label, or each word, of the best hypothesis, 0..1.

    Args:
        share: (N,) posteriors; where there is one hypothesis only the peaks count.
        peak: (N,) of the labels (:func:`peaks`) or words (:func:`word_peaks`).
        scaling: None: posterior times peak, which ranks well and says too little where a language model helped.

    Raises:
        InputError: not as many of the ones as of the others.
    """
    if share.shape != peak.shape:
        raise InputError(f"the best hypothesis has {share.size} symbols or words, there are {peak.size} peaks")
    combined: np.ndarray = share * peak
    if scaling is not None:
        combined = 1.0 / (1.0 + np.exp(-(scaling.bias + scaling.posterior * log_odds(share) + scaling.peak * log_odds(peak))))
    return combined


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """``log(p / (1 - p))``, with p kept within ``MIN_PROBABILITY`` and 1 - ``MIN_PROBABILITY``."""
    inside = np.clip(probabilities, MIN_PROBABILITY, 1.0 - MIN_PROBABILITY)
    odds: np.ndarray = np.log(inside) - np.log1p(-inside)
    return odds


def peaks(log_probs: np.ndarray, alignment: Alignment) -> np.ndarray:
    """The highest probability (L,) of each label within its run of frames."""
    table = np.asarray(log_probs)
    runs = zip(alignment.labels, alignment.starts, alignment.stops, strict=True)
    best = np.array([table[start:stop, label].max() for label, start, stop in runs], np.float64)
    return np.clip(np.exp(best), 0.0, 1.0)


def word_peaks(peak: np.ndarray, spans: Sequence[Span]) -> np.ndarray:
    """The lowest peak (W,) among the labels of each word."""
    return np.array([peak[begin:end].min() for begin, end in spans], np.float64)


def label_posteriors(hypotheses: Sequence[Hypothesis]) -> np.ndarray:
    """:func:`posteriors` (L,) of the labels of the best of some hypotheses; of a long recording each by the N-best list of its segment."""
    share = np.ones(len(hypotheses[0].labels))  # also of separators between segments
    for place, found in _segments(hypotheses):
        share[place : place + len(found[0].labels)] = posteriors([(hypothesis.labels, hypothesis.score) for hypothesis in found])
    return share


def word_posteriors(alphabet: Alphabet, hypotheses: Sequence[Hypothesis]) -> np.ndarray:
    """As :func:`label_posteriors`, (W,) of the words that :func:`find_words` finds in the best hypothesis."""
    by_label = np.ones(len(hypotheses[0].labels))
    for place, found in _segments(hypotheses):
        spoken = [find_words(alphabet, hypothesis) for hypothesis in found]
        share = posteriors([(words, hypothesis.score) for (words, _), hypothesis in zip(spoken, found, strict=True)])
        for (begin, end), value in zip(spoken[0][1], share, strict=True):
            by_label[place + begin : place + end] = value
    return word_peaks(by_label, find_words(alphabet, hypotheses[0])[1])  # a word that was cut has the lower share of its parts


def _segments(hypotheses: Sequence[Hypothesis]) -> list[tuple[int, Sequence[Hypothesis]]]:
    """Where the labels of each segment begin, and its hypotheses."""
    return [(segment.place, segment.hypotheses) for segment in hypotheses[0].segments] or [(0, hypotheses)]


def posteriors(n_best: NBest) -> np.ndarray:
    """Share (L,) of the probability of an N-best list that falls to hypotheses which keep each symbol of the best one.

    Which symbols a hypothesis keeps is told by an alignment with the fewest errors, and among those with the most matches.

    Raises:
        InputError: an empty list, or a best score that is not finite.
    """
    if not n_best or not math.isfinite(n_best[0][1]):
        raise InputError("confidence needs at least one hypothesis, and a finite score of the best")
    numbers: dict[Hashable, int] = {}
    codes = [_number_symbols(symbols, numbers) for symbols, _ in n_best]
    weights = np.exp(np.array([score for _, score in n_best]) - n_best[0][1])
    if len(codes) == 1 or codes[0].size == 0:
        return np.ones(codes[0].size)
    ends = np.cumsum([len(code) for code in codes[1:]])
    kept = weights[0] + kept_weight(codes[0], np.concatenate(codes[1:]), ends, weights[1:])
    share: np.ndarray = np.minimum(kept / weights.sum(), 1.0)
    return share


def _number_symbols(symbols: Iterable[Hashable], numbers: dict[Hashable, int]) -> np.ndarray:
    return np.array([numbers.setdefault(symbol, len(numbers)) for symbol in symbols], np.int64)


@compiled
def kept_weight(best: np.ndarray, others: np.ndarray, ends: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weight (L,) of the hypotheses in which each symbol of ``best`` is matched.

    Args:
        best: (L,) symbols as numbers.
        others: the other hypotheses, one after the other; ``ends``: where each of the N ends.
        weights: (N,).
    """
    kept = np.zeros(best.size)
    begin = 0
    for n in range(ends.size):
        other = others[begin : ends[n]]
        begin = ends[n]
        # Hypotheses of one list differ in few places: what they have in common at both ends is a match in some best alignment.
        head, shorter = 0, min(best.size, other.size)
        while head < shorter and best[head] == other[head]:
            head += 1
        tail = 0
        while tail < shorter - head and best[best.size - 1 - tail] == other[other.size - 1 - tail]:
            tail += 1
        kept[:head] += weights[n]
        kept[best.size - tail :] += weights[n]
        _add_matches(best[head : best.size - tail], other[head : other.size - tail], weights[n], kept[head : best.size - tail])
    return kept


@compiled
def _add_matches(best: np.ndarray, other: np.ndarray, weight: float, kept: np.ndarray) -> None:
    """Add ``weight`` where an alignment with the fewest errors, and of those one with the most matches, has a match."""
    rows, columns = best.size, other.size
    if rows == 0 or columns == 0:
        return
    error = min(rows, columns) + 1  # outweighs all matches there can be, each of which is worth 1
    cost = np.empty((rows + 1, columns + 1), np.int64)
    cost[0, :] = np.arange(columns + 1) * error
    for i in range(1, rows + 1):
        cost[i, 0] = i * error
        for j in range(1, columns + 1):
            through = cost[i - 1, j - 1] + (-1 if best[i - 1] == other[j - 1] else error)
            cost[i, j] = min(through, min(cost[i - 1, j], cost[i, j - 1]) + error)
    i, j = rows, columns
    while i > 0 and j > 0:
        same = best[i - 1] == other[j - 1]
        if cost[i, j] == cost[i - 1, j - 1] + (-1 if same else error):
            i, j = i - 1, j - 1
            if same:
                kept[i] += weight
        elif cost[i, j] == cost[i - 1, j] + error:
            i -= 1
        else:
            j -= 1
