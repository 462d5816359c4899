"""Confidence: posteriors of an N-best list against alignments by hand and by brute force, peaks, and what they make together."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.config import PlattScaling
from recognizer.decoding.alignment import Alignment, viterbi_align
from recognizer.decoding.confidence import combine, label_posteriors, log_odds, peaks, posteriors, word_peaks, word_posteriors
from recognizer.decoding.hypothesis import Hypothesis, Segment
from recognizer.errors import InputError
from recognizer.text.alphabet import Alphabet


def scored(*pairs: tuple[str, float]) -> list[tuple[str, float]]:
    """Hypotheses with log scores of the given probabilities."""
    return [(text, math.log(probability)) for text, probability in pairs]


def test_posteriors_by_hand() -> None:
    assert posteriors(scored(("cat", 0.5), ("cut", 0.3), ("at", 0.2))).tolist() == pytest.approx([0.8, 0.7, 1.0])
    # the scale of the scores does not matter, nor that they are far below what a double's exponential holds
    shifted = [(text, score - 5000) for text, score in scored(("cat", 0.5), ("cut", 0.3), ("at", 0.2))]
    assert posteriors(shifted).tolist() == pytest.approx([0.8, 0.7, 1.0])


def test_an_insertion_does_not_hurt_what_stands_around_it() -> None:
    assert posteriors(scored(("ab", 0.6), ("axb", 0.4))).tolist() == pytest.approx([1.0, 1.0])
    assert posteriors(scored(("ba", 0.6), ("ab", 0.4))).sum() == pytest.approx(1.6)  # one of the two is kept


def test_words_are_symbols_too() -> None:
    n_best = [(("the", "cat"), math.log(0.75)), (("the", "cats"), math.log(0.25))]
    assert posteriors(n_best).tolist() == pytest.approx([1.0, 0.75])


def test_lists_of_one_and_of_nothing() -> None:
    assert posteriors([((3, 1), -9.0)]).tolist() == [1.0, 1.0]
    assert posteriors([((), -1.0), ((1,), -2.0)]).shape == (0,)
    assert posteriors([((1,), 0.0), ((), 0.0), ((2,), -math.inf)]).tolist() == [0.5]
    for n_best in ([], [((1,), -math.inf)], [((1,), math.nan)]):
        with pytest.raises(InputError, match="at least one hypothesis, and a finite score"):
            posteriors(n_best)


def best_matches(best: str, other: str) -> tuple[int, int]:
    """Errors and, negative, matches of the best alignment, by trying all of them."""
    if not best or not other:
        return len(best) + len(other), 0
    same = best[0] == other[0]
    errors, matches = best_matches(best[1:], other[1:])
    through = (errors, matches - 1) if same else (errors + 1, matches)
    return min(through, *((e + 1, m) for e, m in (best_matches(best[1:], other), best_matches(best, other[1:]))))


@given(st.text("abc", max_size=5), st.text("abc", max_size=5))
@settings(max_examples=150, deadline=None)
def test_as_many_are_kept_as_the_best_alignment_matches(best: str, other: str) -> None:
    kept = posteriors([(best, 0.0), (other, 0.0)]) == 1.0
    assert kept.sum() == -best_matches(best, other)[1]
    # what is kept stands in the other in the same order
    places = iter(other)
    assert all(symbol in places for symbol, keep in zip(best, kept, strict=True) if keep)


def test_peaks_are_taken_within_the_run() -> None:
    table = np.log([[0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.05, 0.9, 0.05], [0.3, 0.1, 0.6]])
    alignment = Alignment((1, 2), (0, 3), (2, 4), 0.0)
    assert peaks(table, alignment).tolist() == pytest.approx([0.8, 0.6])
    assert word_peaks(np.array([0.9, 0.2, 0.7]), [(0, 2), (2, 3)]).tolist() == [0.2, 0.7]
    assert peaks(table, Alignment((), (), (), 0.0)).shape == word_peaks(np.empty(0), []).shape == (0,)


def test_confidence_is_the_product_or_a_logistic_regression_in_log_odds() -> None:
    table = np.log([[0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.3, 0.1, 0.6]])
    n_best = [((1, 2), math.log(0.75)), ((1,), math.log(0.25))]
    peak = peaks(table, viterbi_align(table, (1, 2)))
    assert combine(posteriors(n_best), peak).tolist() == pytest.approx([0.8, 0.75 * 0.6])
    assert combine(posteriors(n_best), peak, PlattScaling(0.0, 1.0, 0.0)).tolist() == pytest.approx([0.8, 0.6])
    words, weakest = [(("a b",), math.log(0.75)), (("a",), math.log(0.25))], word_peaks(peak, [(0, 2)])
    assert combine(posteriors(words), weakest).tolist() == pytest.approx([0.75 * 0.6])
    odds = 2.0 * math.log(3) + 0.5 * math.log(1.5) - 1.0
    assert combine(posteriors(words), weakest, PlattScaling(2.0, 0.5, -1.0)).tolist() == pytest.approx([1 / (1 + math.exp(-odds))])
    for hypotheses in (n_best, words):
        with pytest.raises(InputError, match=r"has \d symbols or words, there are 3 peaks"):
            combine(posteriors(hypotheses), np.ones(3))


def test_each_segment_of_a_recording_has_posteriors_of_its_own() -> None:
    alphabet = Alphabet((" ", "a", "b"))

    def said(text: str, probability: float) -> Hypothesis:
        return Hypothesis(tuple(alphabet.encode(text)), (), math.log(probability))

    parts = [(said("ab", 0.8), said("a", 0.2)), (said("b a", 0.7), said("a a", 0.3))]
    whole = Hypothesis(tuple(alphabet.encode("ab b a")), (), 0.0, segments=(Segment(0, parts[0]), Segment(3, parts[1])))
    found = [whole, replace(whole, score=-9.0, segments=())]
    assert label_posteriors(found).tolist() == pytest.approx([1.0, 0.8, 1.0, 0.7, 1.0, 1.0])
    assert word_posteriors(alphabet, found).tolist() == pytest.approx([0.8, 0.7, 1.0])
    cut = replace(whole, labels=tuple(alphabet.encode("abb a")), segments=(Segment(0, parts[0]), Segment(2, parts[1])))  # within a word
    assert word_posteriors(alphabet, [cut]).tolist() == pytest.approx([0.7, 1.0])
    for known in parts:  # alone, as ever
        assert label_posteriors(known).tolist() == posteriors([(h.labels, h.score) for h in known]).tolist()


def test_certainty_has_a_limit() -> None:
    odds = log_odds(np.array([0.0, 0.5, 1.0]))
    assert np.isfinite(odds).all() and odds[1] == 0 and odds[0] == pytest.approx(-odds[2])
    sure = combine(np.ones(2), np.array([0.0, 1.0]), PlattScaling(50.0, 50.0, 0.0))
    assert np.isfinite(sure).all() and (sure >= 0).all() and (sure <= 1).all()
