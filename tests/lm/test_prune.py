"""Smaller models: costs by the definition of relative entropy, what stays, sums of one, and smaller vocabularies."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.errors import ConfigError
from recognizer.lm.arpa import load_arpa
from recognizer.lm.interpolate import normalize
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.lm.ngram import NgramModel
from recognizer.lm.prune import limit_vocabulary, most_probable_symbols, prune_ngrams, removal_costs
from recognizer.lm.trie import list_ngrams
from tests.lm.reference import Gram, back_off, read_dictionaries, sums_of_contexts

SENTENCE = st.lists(st.sampled_from("abcd"), min_size=1, max_size=6)
TEXT = st.lists(SENTENCE, min_size=1, max_size=8)
STORY = ["a b c a b", "b c a", "c c b a d", "d a b c", "a b c d", "b a"]


def costs_of(model: NgramModel) -> dict[Gram, float]:
    grams = [tuple(model.symbols[id] for id in row) for each in list_ngrams(model) for row in each.ids.tolist()]
    return dict(zip(grams, removal_costs(model).tolist(), strict=True))


def relative_entropy(model: NgramModel, removed: Gram) -> float:
    """Between the context's distributions with and without one n-gram, straight from the formulas, times the context's probability."""
    probability, backoff = read_dictionaries(model)
    *context, _ = removed
    vocabulary = [symbol for symbol in model.symbols if symbol != "<s>"]
    before = {symbol: back_off(probability, backoff, tuple(context), symbol) for symbol in vocabulary}
    fewer = {gram: p for gram, p in probability.items() if gram != removed}
    listed = [gram[-1] for gram in fewer if gram[:-1] == tuple(context) and gram[-1] != "<s>"]
    shorter = {symbol: back_off(fewer, backoff, tuple(context[1:]), symbol) for symbol in vocabulary}
    left = 1 - sum(fewer[(*context, symbol)] for symbol in listed)
    anew = backoff | {tuple(context): left / (1 - sum(shorter[symbol] for symbol in listed))}
    after = {symbol: back_off(fewer, anew, tuple(context), symbol) for symbol in vocabulary}
    assert sum(after.values()) == pytest.approx(1, abs=1e-5)
    weight = 1.0
    for n, symbol in enumerate(context):
        weight *= probability[("</s>",)] if symbol == "<s>" else back_off(probability, backoff, tuple(context[:n]), symbol)
    return weight * sum(p * math.log(p / after[symbol]) for symbol, p in before.items())


@settings(max_examples=30, deadline=None)
@given(TEXT, st.integers(2, 4))
def test_costs_are_relative_entropies(text, order) -> None:
    model = estimate_ngram(text, order)
    for gram, cost in costs_of(model).items():
        assert cost == (math.inf if len(gram) == 1 else pytest.approx(relative_entropy(model, gram), rel=1e-3, abs=1e-6)), gram


@settings(max_examples=60, deadline=None)
@given(TEXT, st.integers(2, 4), st.integers(0, 40))
def test_so_many_stay_with_their_contexts_and_every_context_sums_to_one(text, order, most) -> None:
    model = estimate_ngram(text, order)
    before = read_dictionaries(model)[0]
    pruned = prune_ngrams(model, most)
    after = read_dictionaries(pruned)[0]
    assert sum(len(gram) > 1 for gram in after) == min(most, sum(len(gram) > 1 for gram in before))
    assert pruned.symbols == model.symbols and sum(len(gram) == 1 for gram in after) == len(model.symbols)
    assert all(gram[:-1] in after for gram in after if len(gram) > 1)
    assert all(p == pytest.approx(before[gram], rel=1e-6) for gram, p in after.items())
    assert pruned is model or pruned.order == max(map(len, after))
    assert sums_of_contexts(pruned) == pytest.approx(1, abs=2e-5)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_what_costs_least_goes_first(order) -> None:
    model = estimate_ngram(STORY, order)
    costs = {gram: cost for gram, cost in costs_of(model).items() if len(gram) > 1}
    worth = {gram: max(cost for other, cost in costs.items() if other[: len(gram)] == gram) for gram in costs}
    kept = {*costs}
    for most in reversed(range(len(costs))):
        smaller = {gram for gram in read_dictionaries(prune_ngrams(model, most))[0] if len(gram) > 1}
        (dropped,) = kept - smaller
        assert len(smaller) == most and worth[dropped] == min(worth[gram] for gram in kept)
        kept = smaller


def test_nothing_to_drop_changes_nothing() -> None:
    model = estimate_ngram(STORY, 3)
    count = len(model.symbol) - len(model.symbols)
    assert prune_ngrams(model, count) is model and prune_ngrams(model, count + 1) is model
    assert limit_vocabulary(model, {"a", "b", "c", "d", "e"}) is model
    unigrams = estimate_ngram(STORY, 1)
    assert prune_ngrams(unigrams, 0) is unigrams


def test_all_but_unigrams_can_go() -> None:
    model = estimate_ngram(STORY, 3)
    unigrams = prune_ngrams(model, 0)
    assert unigrams.order == 1 and unigrams.log_prob.tolist() == model.log_prob[: len(model.symbols)].tolist()
    assert unigrams.score(unigrams.start, 3) == (float(model.log_prob[3]), 0)
    assert unigrams.perplexity(STORY).including_unknown > prune_ngrams(model, 20).perplexity(STORY).including_unknown


def test_a_model_whose_contexts_do_not_sum_to_one() -> None:
    model = estimate_ngram(STORY, 3)
    spoiled = replace(model, backoff=np.where(model.backoff != 0, np.float32(-3), np.float32(0)))
    most = len(model.symbol) - len(model.symbols) - 5
    assert prune_ngrams(spoiled, most).log_prob.tolist() == prune_ngrams(model, most).log_prob.tolist()
    assert sums_of_contexts(prune_ngrams(spoiled, most)) == pytest.approx(1, abs=1e-5)


def test_ngrams_without_probability_go_first(tmp_path) -> None:
    (tmp_path / "m.arpa").write_text(
        "\\data\\\nngram 1=5\nngram 2=4\nngram 3=2\n\n\\1-grams:\n-99 <s> -0.5\n-0.7 </s>\n-0.5 a -0.3\n-0.6 b -0.2\n-1 <unk>\n\n"
        "\\2-grams:\n-0.4 <s> a -0.1\n-0.3 a b -0.3\n-0.8 b a -0.2\n-99 b <s>\n\n\\3-grams:\n-0.2 <s> a b\n-0.6 a b </s>\n\n\\end\\\n"
    )
    model = load_arpa(tmp_path / "m.arpa")
    assert np.isfinite(removal_costs(normalize(model))[5:]).all()
    assert {*read_dictionaries(model)[0]} - {*read_dictionaries(prune_ngrams(model, 5))[0]} == {("b", "<s>")}


@settings(max_examples=60, deadline=None)
@given(TEXT, st.integers(1, 4), st.sets(st.sampled_from("abcdx"), min_size=1))
def test_a_smaller_vocabulary_shares_what_the_others_had(text, order, words) -> None:
    model = estimate_ngram(text, order)
    if not words & {*model.symbols}:
        with pytest.raises(ConfigError, match="vocabulary: the model knows none of its symbols"):
            limit_vocabulary(model, words)
        return
    small = limit_vocabulary(model, words)
    assert small.symbols == ("<unk>", "<s>", "</s>", *sorted(words & {*model.symbols}))
    assert sums_of_contexts(small) == pytest.approx(1, abs=2e-5)
    before, after = read_dictionaries(model), read_dictionaries(small)
    assert {*after[0]} == {gram for gram in before[0] if {*gram} <= {*small.symbols}}
    contexts = {gram[:n] for gram in after[0] for n in range(min(len(gram), order - 1) + 1)}
    for context in contexts:
        known = [symbol for symbol in small.symbols if symbol != "<s>"]
        ours = [back_off(*after, context, symbol) for symbol in known]
        full = [back_off(*before, context, symbol) for symbol in known]
        assert ours == pytest.approx([p / sum(full) for p in full], rel=1e-3, abs=1e-5), context


def test_a_vocabulary_that_holds_all_changes_nothing() -> None:
    model = estimate_ngram(STORY, 3)
    assert limit_vocabulary(model, {"a", "b", "c", "d", "e"}) is model


def test_the_most_probable_symbols() -> None:
    model = estimate_ngram(["b b b a", "c b a", "b d"], 1)
    assert most_probable_symbols(model, 2) == ["b", "a"] and most_probable_symbols(model, 3) == ["b", "a", "c"]
    assert most_probable_symbols(model, 9) == ["b", "a", "c", "d"]


def test_what_makes_no_sense() -> None:
    model = estimate_ngram(STORY, 2)
    with pytest.raises(ConfigError, match="max_ngrams: -1 is not 0 or more"):
        prune_ngrams(model, -1)
    with pytest.raises(ConfigError, match="vocabulary: 0 symbols leave none"):
        most_probable_symbols(model, 0)
