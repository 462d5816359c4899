"""Interpolation: the mixture by dictionaries, sums of one, and the weight that a held-out text asks for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recognizer.errors import ConfigError, InputError
from recognizer.lm.interpolate import fit_weight, interpolate_ngrams, normalize
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.lm.ngram import LOG_ZERO
from tests.lm.reference import back_off, read_dictionaries, sums_of_contexts

SENTENCE = st.lists(st.sampled_from("abcde"), min_size=1, max_size=6)
TEXT = st.lists(SENTENCE, min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(TEXT, TEXT, st.integers(1, 4), st.integers(1, 4), st.sampled_from([0.2, 0.5, 0.9]))
def test_every_context_sums_to_one_and_listed_ngrams_are_interpolated(one_text, other_text, one_order, other_order, weight) -> None:
    one, other = estimate_ngram(one_text, one_order), estimate_ngram(other_text, other_order)
    mixed = interpolate_ngrams(one, other, weight)
    assert (mixed.order, mixed.symbols[3:]) == (max(one_order, other_order), tuple(sorted({*one.symbols[3:], *other.symbols[3:]})))
    assert sums_of_contexts(mixed) == pytest.approx(1, abs=2e-5)
    ours, theirs, found = read_dictionaries(one), read_dictionaries(other), read_dictionaries(mixed)[0]
    assert set(found) == {*ours[0], *theirs[0]}
    for gram, p in found.items():
        parts = []
        for model, order, dictionaries in ((one, one_order, ours), (other, other_order, theirs)):
            known = tuple(symbol if symbol in model.symbols else "<unk>" for symbol in gram)
            context = known[:-1][-(order - 1) :] if order > 1 else ()
            parts.append(back_off(*dictionaries, context, known[-1]) if gram[-1] in model.symbols else 0.0)
        assert p == pytest.approx((1 - weight) * parts[0] + weight * parts[1], rel=1e-4, abs=1e-30), gram


@settings(max_examples=30, deadline=None)
@given(TEXT, st.integers(1, 4), SENTENCE)
@example([["c"], ["c", "a", "b"], ["c", "b"]], 2, ["b", "a"])  # after b nothing is left for a, in the mixture neither
@example([["a"], ["a"], ["b"], ["a", "a", "b"]], 3, ["b", "a"])  # the same, in two contexts
def test_a_model_mixed_with_itself_or_with_no_weight_scores_the_same(text, order, sentence) -> None:
    model = estimate_ngram(text, order)
    for mixed in (interpolate_ngrams(model, model, 0.3), interpolate_ngrams(model, estimate_ngram(["a b"], 1), 0.0)):
        if set(sentence) <= set(model.symbols):
            scores = [max(each.sentence_log_prob(sentence), LOG_ZERO) for each in (mixed, model)]  # below it all are equally impossible
            assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_normalizing_gives_back_the_weights_of_an_estimated_model() -> None:
    model = estimate_ngram(["a b c", "b c a", "c c b a", "d a"], 3, prune=(0, 0, 1))
    spoiled = replace(model, backoff=np.where(model.backoff != 0, np.float32(-3), np.float32(0)))
    assert normalize(spoiled).backoff == pytest.approx(model.backoff, abs=1e-5)
    assert spoiled.backoff.min() == -3


def test_a_context_that_lists_every_symbol_needs_no_weight() -> None:
    model = estimate_ngram(["a <unk>", "a a", "a"], 2)
    state = model.score(0, model.id("a"))[1]
    assert model.first[state + 1] - model.first[state] == 3 and normalize(model).backoff[state] == 0


def test_the_fitted_weight_predicts_best() -> None:
    one, other = estimate_ngram(["a b a b", "a b"], 2), estimate_ngram(["b c c", "c c b"], 2)
    heldout = ["a b c c", "a b", "c b", "d"]
    weight = fit_weight(one, other, heldout)
    assert 0 < weight < 1

    def score(weight: float) -> float:  # of tokens that one of them knows, by the definition
        total = 0.0
        for sentence in heldout:
            parts = []
            for model in (one, other):
                ids = np.array([*model.encode(sentence), 2])
                parts.append(np.exp(model.token_log_probs(ids)) * (ids != 0))
            mixture = (1 - weight) * parts[0] + weight * parts[1]
            total += float(np.log(mixture[mixture > 0]).sum())
        return total

    assert score(weight) > max(score(weight + 0.01), score(weight - 0.01), score(0.5))


def test_the_weight_goes_to_the_model_that_knows_the_text() -> None:
    one, other = estimate_ngram(["a b a b"] * 3, 2), estimate_ngram(["c d c d"] * 3, 2)
    assert fit_weight(one, other, ["c d", "c d"]) > 0.8 and fit_weight(one, other, ["a b"]) < 0.2


def test_what_cannot_be_mixed() -> None:
    words, letters = estimate_ngram(["a b"], 2), estimate_ngram(["a b"], 2, "characters")
    with pytest.raises(ConfigError, match="a model of words and one of characters"):
        interpolate_ngrams(words, letters, 0.5)
    with pytest.raises(ConfigError, match="a model of words and one of characters"):
        fit_weight(words, letters, ["a"])
    for weight in (-0.1, 1.1, math.nan):
        with pytest.raises(ConfigError, match=r"weight: .* is not between 0 and 1"):
            interpolate_ngrams(words, words, weight)
    with pytest.raises(InputError, match="held-out text has no token"):
        fit_weight(words, words, [])
