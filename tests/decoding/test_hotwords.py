"""Hotwords: what phrases gain, label by label and in all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.decoding.hotwords import build_hotwords, find_words, fold_case, parse_hotword
from recognizer.errors import ConfigError, InputError
from recognizer.text.alphabet import Alphabet

LETTERS = Alphabet((" ", "a", "b"))
PHONES = Alphabet(("A", "B", "C"), "units")


def gains(automaton, labels):
    """What is gained after each label, without the end."""
    ends = [automaton.end[state] for state in states(automaton, labels)]
    return [automaton.score(labels[: n + 1]) - ends[n] for n in range(len(labels))]


def states(automaton, labels):
    state = 0
    for label in labels:
        state = automaton.target[state, label]
        yield state


def test_a_phrase_is_earned_label_by_label_and_lost_with_the_match():
    automaton = build_hotwords({"ab a": 8.0}, LETTERS)
    assert gains(automaton, LETTERS.encode("ab a")) == [2.0, 4.0, 6.0, 8.0] and automaton.score(LETTERS.encode("ab a")) == 8.0
    assert gains(automaton, LETTERS.encode("ab b")) == [2.0, 4.0, 6.0, 0.0] and automaton.score(LETTERS.encode("ab b")) == 0.0


def test_only_whole_words_count():
    automaton = build_hotwords({"ab": 4.0}, LETTERS)
    for text, count in (("ab", 1), ("ab ab", 2), ("abb", 0), ("bab", 0), ("b ab b", 1), ("a", 0), ("", 0)):
        assert automaton.score(LETTERS.encode(text)) == 4.0 * count


PHRASES = st.dictionaries(st.sampled_from(["a", "ab", "a b", "ba ab", "b b", "a b a"]), st.sampled_from([-2.0, 0.5, 3.0]), min_size=1)


@given(st.text("ab ", max_size=14), PHRASES)
def test_every_phrase_counts_wherever_it_stands(text, phrases):
    padded = f" {text} "
    expected = sum(w * sum(padded[i:].startswith(f" {p} ") for i in range(len(padded))) for p, w in phrases.items())
    assert build_hotwords(phrases, LETTERS).score(LETTERS.encode(text)) == pytest.approx(expected)


def test_pronunciations_spell_phrases_of_units():
    automaton = build_hotwords({"one two": 6.0}, PHONES, {"ONE": [("A",), ("B", "A")], "TWO": [("C",)]})
    for spoken in (["A", "C"], ["B", "A", "C"]):
        assert automaton.score(PHONES.encode(spoken)) >= 6.0
    assert automaton.score(PHONES.encode(["C", "A"])) == 0.0


def test_blanks_change_nothing_and_max_gain_bounds_every_gain():
    automaton = build_hotwords({"ab": 4.0, "b a": -1.0}, LETTERS)
    assert np.array_equal(automaton.target[:, 0], np.arange(len(automaton.target))) and not automaton.gain[:, 0].any()
    assert automaton.max_gain == automaton.gain.max() == 2.0


def test_the_command_line_form():
    assert parse_hotword("New York:5") == ("New York", 5.0) and parse_hotword("a:b:-1.5") == ("a:b", -1.5)
    for wrong in ("New York", ":3", "x:", "x:much", "x:nan"):
        with pytest.raises(ConfigError, match="phrase:weight"):
            parse_hotword(wrong)


def test_what_cannot_be_spelt_is_named():
    with pytest.raises(InputError, match=r"hotword 'xyz': .*'x'"):
        build_hotwords({"xyz": 1.0}, LETTERS)
    with pytest.raises(InputError, match="'three' is not in the lexicon"):
        build_hotwords({"three": 1.0}, PHONES, {"ONE": [("A",)]})
    with pytest.raises(InputError, match="cannot spell any pronunciation of 'four'"):
        build_hotwords({"four": 1.0}, PHONES, {"FOUR": [("F", "AO")], "ONE": [("A",)]})


def test_case_is_folded_to_that_of_the_alphabet():
    assert fold_case(" New  YORK É3", Alphabet((" ", *"neworkyé"))) == "new york é3"
    assert fold_case("Straße", Alphabet(tuple("STRAE"))) == "STRASSE"
    assert fold_case("aB", Alphabet(tuple("aAbB"))) == "aB"
    folded, plain = (build_hotwords({phrase: 8.0}, LETTERS) for phrase in ("AB  a", "ab a"))
    assert np.array_equal(folded.target, plain.target) and np.array_equal(folded.gain, plain.gain)


def test_the_words_of_phrases():
    assert find_words(["Ab a", "ab"], LETTERS) == ("ab", "a")
    assert find_words(["one TWO"], PHONES, {"ONE": [("A",)], "two": [("B",)]}) == ("ONE", "two") and find_words(["A B"], PHONES) == ()


def test_pronunciations_that_the_alphabet_lacks_do_not_count():
    spell = {"one": [("W", "A"), ("A", "B")]}
    assert build_hotwords({"one": 4.0}, PHONES, spell).score(PHONES.encode(["A", "B"])) == 4.0
