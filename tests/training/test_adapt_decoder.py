"""Decisions by items held back, and language models that learn the corrected texts."""

from __future__ import annotations

import math

import pytest

from recognizer.config import DecoderConfig
from recognizer.lm.binary import load_ngram, save_ngram
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.training.adapt_decoder import Errors, compare_errors, learn_texts


def errors(*rows: tuple[int, int]) -> Errors:
    return Errors("CER", {f"i{number}": (wrong, total, None) for number, (wrong, total) in enumerate(rows)})


def test_rates_and_unions() -> None:
    both = errors((1, 10), (2, 10)) | Errors("CER", {"other": (3, 20, None)})
    assert both.rate == pytest.approx(6 / 40) and both.only(["i1", "other", "none"]).rate == pytest.approx(5 / 30)


def test_a_steady_gain_is_beyond_chance_and_a_mixed_one_is_not() -> None:
    low, high = compare_errors(errors(*[(5, 10)] * 12), errors(*[(2, 10)] * 12))
    assert (low, high) == pytest.approx((-0.3, -0.3))
    low, high = compare_errors(errors(*[(5, 10)] * 12), errors(*[(2, 10), (8, 10)] * 6))
    assert low < 0 < high
    assert compare_errors(errors((5, 10)), errors((1, 10))) == (-math.inf, math.inf)  # one item says nothing


def test_a_few_groups_are_not_resampled_whole() -> None:
    before = Errors("CER", {f"i{n}": (5, 10, f"page{n % 2}") for n in range(12)})
    after = Errors("CER", {f"i{n}": (1 if n % 2 else 5, 10, f"page{n % 2}") for n in range(12)})
    low, high = compare_errors(before, after)
    assert low < high < 0  # of two pages the one alone would have been drawn a quarter of the time


def test_language_models_learn_the_corrected_texts(tmp_path) -> None:
    old = tmp_path / "lm.ngram"
    save_ngram(estimate_ngram(["the cat sat", "the dog sat"] * 10, 2), old)
    texts = [f"the wombat {verb}" for verb in ("sat", "ran", "ate", "slept")] * 5
    files, lines = learn_texts(DecoderConfig("beam", lm="lm.ngram"), {"lm.ngram": old}, texts, tmp_path / "new")
    before, after = load_ngram(old), load_ngram(files["lm.ngram"])
    assert files["lm.ngram"].parent == tmp_path / "new" and len(lines) == 1
    assert not before.id("wombat") and after.id("wombat") and after.id("cat")


def test_too_few_texts_change_no_model(tmp_path) -> None:
    old = tmp_path / "lm.ngram"
    save_ngram(estimate_ngram(["the cat sat"] * 10, 2), old)
    files, lines = learn_texts(DecoderConfig("beam", lm="lm.ngram"), {"lm.ngram": old}, ["the wombat sat"] * 3, tmp_path / "new")
    assert files == {"lm.ngram": old} and not lines
