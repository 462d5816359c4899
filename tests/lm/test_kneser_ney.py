"""Kneser-Ney against explicit formulas, dictionaries and KenLM."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.errors import ConfigError, InputError, OutputError
from recognizer.lm.binary import save_ngram
from recognizer.lm.kneser_ney import FALLBACK_DISCOUNTS, check_prune, estimate_discounts, estimate_ngram
from recognizer.lm.ngram import LOG_ZERO, START
from tests.lm.reference import back_off, chen_goodman, count, kneser_ney, read_dictionaries, same, sums_of_contexts, zipf_text

SYMBOL = st.sampled_from(["a", "b", "c", "dd", "é"])
TEXT = st.lists(st.lists(SYMBOL, min_size=1, max_size=7), min_size=1, max_size=12)


def test_a_full_disk_is_named_and_left_empty(tmp_path, full_disk) -> None:
    for size, sentences in ((0, ["a b"]), (10_000, ["a b c d"] * 5000)):
        with full_disk(size), pytest.raises(OutputError, match=rf"{tmp_path}/recognizer-lm-\w+: cannot be written: File too large"):
            estimate_ngram(sentences, 2, folder=tmp_path)
        assert list(tmp_path.iterdir()) == []


def test_a_bigram_model_by_hand() -> None:
    """Two sentences, "a b" and "a a"; discounts are the fallback ones, 0.5 and 1 for counts of 1 and 2.

    Bigrams: <s> a 2, a b 1, b </s> 1, a a 1, a </s> 1. Left neighbors: of a 2 (<s>, a), of b 1, of </s> 2: five.
    """
    remarks: list[str] = []
    model = estimate_ngram(["a b", "a a"], 2, log=remarks.append)
    probability, backoff = read_dictionaries(model)
    gamma = Fraction(1 + 1, 5) + Fraction(1, 10)  # 1 for a, 1 for </s>, 1/2 for b, of 5
    uniform = Fraction(1, 4)  # <unk>, </s>, a, b
    a, b, end = (Fraction(c, 5) + gamma * uniform for c in (2 - 1, Fraction(1, 2), 2 - 1))
    expected = {
        ("<unk>",): gamma * uniform, ("a",): a, ("b",): b, ("</s>",): end,
        ("<s>", "a"): Fraction(1, 2) + Fraction(1, 2) * a,
        ("a", "a"): Fraction(1, 6) + Fraction(1, 2) * a,
        ("a", "b"): Fraction(1, 6) + Fraction(1, 2) * b,
        ("a", "</s>"): Fraction(1, 6) + Fraction(1, 2) * end,
        ("b", "</s>"): Fraction(1, 2) + Fraction(1, 2) * end,
    }  # fmt: skip
    assert probability.pop(("<s>",)) < 1e-90
    assert probability == pytest.approx({gram: float(p) for gram, p in expected.items()}, rel=1e-6)
    assert backoff == pytest.approx({("<s>",): 0.5, ("a",): 0.5, ("b",): 0.5})
    assert sum("discounts cannot be estimated" in line for line in remarks) == 2


@settings(max_examples=80, deadline=None)
@given(TEXT, st.integers(1, 5), st.sampled_from([(0,), (0, 1), (0, 0, 1), (0, 1, 2)]))
def test_any_text_gives_what_dictionaries_give(text, order, prune) -> None:
    thresholds = check_prune(prune[:order], order)
    model = estimate_ngram(text, order, prune=prune[:order])
    _, adjusted = count(text, order)
    discounts = {n: chen_goodman(adjusted[n]) or FALLBACK_DISCOUNTS for n in adjusted}
    probability, backoff = kneser_ney(text, order, thresholds, discounts)
    found, weights = read_dictionaries(model)
    assert found.pop(("<s>",)) < 1e-90
    assert found == pytest.approx(probability, rel=1e-5)
    contexts = {gram[:-1] for gram in probability} - {()}
    assert {context: weights.get(context, 1.0) for context in contexts} == pytest.approx({c: backoff[c] for c in contexts}, rel=1e-5, abs=1e-30)
    assert weights.keys() <= contexts


@settings(max_examples=60, deadline=None)
@given(TEXT, st.integers(1, 4), st.sampled_from([(0,), (0, 1), (0, 0, 2)]), st.none() | st.integers(1, 4))
def test_every_context_sums_to_one(text, order, prune, vocabulary) -> None:
    model = estimate_ngram(text, order, prune=prune[:order], vocabulary=vocabulary)
    assert sums_of_contexts(model) == pytest.approx(1, abs=1e-5)


def test_dictionaries_that_back_off_sum_to_one_as_well() -> None:
    model = estimate_ngram(zipf_text(200, 20), 3)
    probability, backoff = read_dictionaries(model)
    for context in [("w1", "w2"), ("w19", "w18"), ("<s>", "w1")]:
        assert sum(back_off(probability, backoff, context, symbol) for symbol in model.symbols) == pytest.approx(1, abs=1e-5)


def test_discounts_are_those_of_the_paper() -> None:
    expected = [0, 1 - 2 * (2 / 3) * 10 / 40, 2 - 3 * (2 / 3) * 5 / 10, 3 - 4 * (2 / 3) * 2 / 5]
    assert estimate_discounts(np.array([0, 40, 10, 5, 2])) == pytest.approx(expected)
    with pytest.raises(ValueError, match="none has the count 2"):
        estimate_discounts(np.array([0, 3, 0, 1, 1]))
    with pytest.raises(ValueError, match="that of the count 2 would be -"):
        estimate_discounts(np.array([0, 20, 1, 9, 1]))


def test_a_larger_text_has_discounts_of_its_own_at_every_order() -> None:
    text = zipf_text(2000, 3000)
    remarks: list[str] = []
    model = estimate_ngram(text, 3, prune=(0, 0, 1), log=remarks.append)
    assert not any("cannot" in line for line in remarks)
    _, adjusted = count(text, 3)
    probability, backoff = kneser_ney(text, 3, (0, 0, 1), {n: chen_goodman(adjusted[n]) for n in adjusted})
    found, weights = read_dictionaries(model)
    del found[("<s>",)]
    assert found == pytest.approx(probability, rel=1e-5)
    assert weights == pytest.approx({c: backoff[c] for c in {gram[:-1] for gram in probability} - {()}}, rel=1e-5)


@pytest.mark.parametrize(("order", "symbols"), [(1, 40), (3, 300), (5, 12), (6, 5000)])
def test_counting_in_parts_on_disk_changes_nothing(order, symbols, tmp_path) -> None:
    text, prune = zipf_text(1500, symbols), [0, 0, 1][:order]
    whole = estimate_ngram(text, order, prune=prune)
    for memory in (160 * 37, 160 * 1000):
        assert same(estimate_ngram(text, order, prune=prune, memory=memory, folder=tmp_path), whole)
    if symbols == 12:  # two rows at a time: one such case is enough
        assert same(estimate_ngram(text[:60], order, prune=prune, memory=1, folder=tmp_path), estimate_ngram(text[:60], order, prune=prune))
    assert list(tmp_path.iterdir()) == []


def test_the_text_is_read_once_and_as_a_stream() -> None:
    assert same(estimate_ngram((line for line in ["a b", "", "  ", "b"]), 2), estimate_ngram([["a", "b"], [], ["b"]], 2))


def test_symbols_outside_the_vocabulary_are_unknown() -> None:
    text = ["a b c", "a b d", "a e"]
    limited = estimate_ngram(text, 2, vocabulary=2)
    assert limited.symbols == ("<unk>", "<s>", "</s>", "a", "b")
    assert same(limited, estimate_ngram(["a b <unk>", "a b <unk>", "a <unk>"], 2))
    assert same(limited, estimate_ngram(text, 2, vocabulary=["b", "a", "</s>", ""]))
    assert "never" in estimate_ngram(text, 2, vocabulary=["a", "never"]).symbols  # it has the probability that unknown words have
    assert estimate_ngram(["b a", "c"], 1, vocabulary=1).symbols[3:] == ("a",)  # equally frequent: the first


def test_characters_include_the_space() -> None:
    model = estimate_ngram(["ab  a", "été"], 3, "characters")
    assert model.symbols[3:] == (" ", "a", "b", "t", "é") and model.level == "characters"
    assert same(model, estimate_ngram([list("ab a"), list("été")], 3, "characters"))


def test_one_sentence_of_one_word_is_enough() -> None:
    model = estimate_ngram(["a"], 4)
    assert model.order == 4 and sums_of_contexts(model) == pytest.approx(1, abs=1e-6)
    assert model.log_prob[START] == np.float32(LOG_ZERO)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 0}, "order: 0"), ({"prune": (1,)}, "first threshold is 1"), ({"prune": (0, 2, 1)}, "0, 2, 1 falls"),
        ({"prune": (0, 0, 0, 0)}, "4 thresholds"), ({"vocabulary": 0}, "vocabulary: 0"), ({"vocabulary": ["</s>"]}, "vocabulary: is empty"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        estimate_ngram(["a b c"], **options)


def test_texts_that_give_no_model() -> None:
    for text in ([], [""], ["  ", []]):
        with pytest.raises(InputError, match="no sentence"):
            estimate_ngram(text)
    with pytest.raises(InputError, match=r"sentence 3: '</s>' stands for the edge"):
        estimate_ngram(["a", "b", "a </s> b"])
    with pytest.raises(InputError, match=r"sentence 1: '<s>'"):
        estimate_ngram(["<s> a"])


def test_kenlm_agrees_about_every_sentence(tmp_path) -> None:
    kenlm = pytest.importorskip("kenlm")
    text = zipf_text(2000, 150)
    model = estimate_ngram(text[:1500], 4, prune=(0, 0, 1))
    save_ngram(model, tmp_path / "m.arpa")
    theirs = kenlm.Model(str(tmp_path / "m.arpa"))
    for sentence in [*text[1500:], ["w1", "never", "w2"]]:
        assert theirs.score(" ".join(sentence)) * math.log(10) == pytest.approx(model.sentence_log_prob(sentence), abs=1e-4)
