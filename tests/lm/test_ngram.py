"""The automaton against dictionaries that back off as the definition says, and its compiled functions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.lm.ngram import END, LOG_ZERO, START, NgramModel, encode_batches, query, query_many, score_text
from recognizer.lm.trie import Trie, build_model, link, list_ngrams, read_trie
from tests.lm.reference import back_off, read_dictionaries, zipf_text

SYMBOLS = ("<unk>", "<s>", "</s>", "a", "b")
TEXTS = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=6), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def small() -> NgramModel:
    """A model by hand: a trigram whose suffix "b a" is not listed, and "a" with a weight but nothing after it but b."""
    trie = Trie(5)
    trie.add(np.array([[1, 3], [3, 4]]))  # <s> a, a b
    trie.add(np.array([[1, 3, 4], [3, 4, 3]]))  # <s> a b, a b a
    p = [0.1, 1e-99, 0.2, 0.4, 0.3, 0.5, 0.6, 0.7, 0.8]
    weight = [1, 0.5, 1, 0.25, 0.9, 0.4, 0.3, 1, 1]
    return build_model(3, "words", SYMBOLS, trie, np.log(p), np.log(weight))


def test_scores_by_hand(small: NgramModel) -> None:
    assert small.sentence_log_prob(["a"]) == pytest.approx(math.log(0.5 * 0.4 * 0.25 * 0.2))  # </s>: from <s> a to a to nothing
    assert small.sentence_log_prob("a b a b") == pytest.approx(math.log(0.5 * 0.7 * 0.8 * 0.6 * (0.3 * 0.9 * 0.2)))
    assert small.sentence_log_prob(["b"]) == pytest.approx(math.log(0.5 * 0.3 * 0.9 * 0.2))
    assert small.sentence_log_prob("c") == pytest.approx(math.log(0.5 * 0.1 * 0.2))  # after an unknown word nothing is known


def test_the_automaton_by_hand(small: NgramModel) -> None:
    # States: nothing, <s>, a, b (it has a weight), <s> a, a b.
    assert small.first.tolist() == [0, 5, 6, 7, 7, 8, 9]
    assert small.symbol.tolist() == [0, 1, 2, 3, 4, 3, 4, 4, 3]
    assert small.target.tolist() == [0, 1, 0, 2, 3, 4, 5, 5, 2]  # a b a leads to a, since b a is not listed
    assert small.fallback.tolist() == [-1, 0, 0, 0, 2, 3]
    assert small.start == 1 and small.log_prob[START] == np.float32(LOG_ZERO)
    assert [each.dtype for each in small.arrays] == [np.int64, np.int32, np.float32, np.int32, np.float32, np.int32]
    assert [small.id(symbol) for symbol in (*SYMBOLS, "c")] == [0, 1, 2, 3, 4, 0]


def test_listing_gives_what_the_model_was_built_from(small: NgramModel) -> None:
    orders = list_ngrams(small)
    assert [each.ids.tolist() for each in orders] == [[[0], [1], [2], [3], [4]], [[1, 3], [3, 4]], [[1, 3, 4], [3, 4, 3]]]
    assert np.exp(np.concatenate([each.backoff for each in orders])) == pytest.approx([1, 0.5, 1, 0.25, 0.9, 0.4, 0.3, 1, 1])
    trie = read_trie(small)
    assert trie.ends == [5, 7, 9] and trie.walk(np.array([[3, 4, 3], [4, 3, 4]])).tolist() == [9, -1]


def test_links_follow_several_fallbacks() -> None:
    model = estimate_ngram(zipf_text(300, 9), 5, prune=(0, 0, 0, 1, 1))
    leads = np.isin(np.arange(len(model.target)), [np.flatnonzero(model.target == state)[0] for state in range(1, len(model.backoff))])
    target, fallback = link(model.first, model.symbol, leads)
    assert target.tolist() == model.target.tolist() and fallback.tolist() == model.fallback.tolist()


def test_perplexity_by_hand(small: NgramModel) -> None:
    result = small.perplexity(["a c", ["b"]])
    a_c = [0.5, 0.4 * 0.25 * 0.1, 0.2]
    b = [0.5 * 0.3, 0.9 * 0.2]
    assert (result.sentences, result.tokens, result.unknown) == (2, 5, 1)
    assert result.including_unknown == pytest.approx(math.prod(a_c + b) ** (-1 / 5))
    assert result.excluding_unknown == pytest.approx((0.5 * 0.2 * math.prod(b)) ** (-1 / 4))
    assert math.isnan(small.perplexity([]).including_unknown)


def test_batches_of_a_text_hold_what_the_whole_holds() -> None:
    model = estimate_ngram(["a b c", "b a"], 3)
    text = ["a b", "c", "b b a", "d"]
    parts = list(encode_batches(model, text, size=3))
    assert len(parts) > 1 and np.concatenate(parts).tolist() == next(iter(encode_batches(model, text))).tolist()


def test_characters_take_single_spaces() -> None:
    model = estimate_ngram(["ab a", "ba"], 2, "characters")
    assert model.symbols == ("<unk>", "<s>", "</s>", " ", "a", "b")
    assert model.sentence_log_prob("  a \n b") == model.sentence_log_prob(["a", " ", "b"])


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS, st.integers(1, 4), st.sampled_from([(0,), (0, 0, 1), (0, 1)]))
def test_scores_are_what_dictionaries_give_and_compiled_ones_agree(text, unseen, order, prune) -> None:
    model = estimate_ngram(text, order, prune=prune[:order])
    probability, backoff = read_dictionaries(model)
    for sentence in unseen:
        state, tokens = model.start, ["<s>"]
        for symbol in (*sentence, "</s>"):
            known = symbol if symbol in model.symbols else "<unk>"
            context = tuple(tokens[max(0, len(tokens) - order + 1) :]) if order > 1 else ()
            log_prob, after = model.score(state, model.id(symbol))
            assert log_prob == pytest.approx(math.log(back_off(probability, backoff, context, known)), abs=1e-5)
            assert query(*model.arrays, state, model.id(symbol)) == (log_prob, after) and type(after) is int
            state = after
            tokens.append(known)


def test_read_only_arrays_are_queried_as_well(small: NgramModel) -> None:
    frozen = [each.copy() for each in small.arrays]
    for each in frozen:
        each.flags.writeable = False
    ids = np.array([3, 4, 3, END, 4, END], dtype=np.int32)
    assert score_text(*frozen, small.start, ids).tolist() == score_text(*small.arrays, small.start, ids).tolist()
    pairs = [(state, id) for state in range(len(small.backoff)) for id in range(5)]
    assert [query(*frozen, np.int32(state), np.int32(id)) for state, id in pairs] == [small.score(*pair) for pair in pairs]
    assert [*zip(*(each.tolist() for each in query_many(*frozen, *np.array(pairs).T)), strict=True)] == [small.score(*pair) for pair in pairs]
