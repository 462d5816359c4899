from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.alphabet import Alphabet
from recognizer.decoding.hotwords import build_hotwords, parse_hotword
from recognizer.errors import ConfigError, InputError

LETTERS = Alphabet((" ", "a", "b"))
PHONES = Alphabet(("A", "B", "C"), "units")


def walk(automaton, labels):
    """What is gained after each label, and at the end."""
    state, gained, way = 0, 0.0, []
    for label in labels:
        gained += automaton.gain[state, label]
        state = automaton.target[state, label]
        way.append(gained)
    return way, gained + automaton.end[state]


def test_a_phrase_is_earned_label_by_label_and_lost_with_the_match():
    automaton = build_hotwords({"ab a": 8.0}, LETTERS)
    way, total = walk(automaton, LETTERS.encode("ab a"))
    assert way == [2.0, 4.0, 6.0, 8.0] and total == 8.0
    way, total = walk(automaton, LETTERS.encode("ab b"))
    assert way == [2.0, 4.0, 6.0, 0.0] and total == 0.0


def test_only_whole_words_count():
    automaton = build_hotwords({"ab": 4.0}, LETTERS)
    for said, count in (("ab", 1), ("ab ab", 2), ("abb", 0), ("bab", 0), ("b ab b", 1), ("a", 0), ("", 0)):
        assert walk(automaton, LETTERS.encode(said))[1] == 4.0 * count


PHRASES = st.dictionaries(st.sampled_from(["a", "ab", "a b", "ba ab", "b b", "a b a"]), st.sampled_from([-2.0, 0.5, 3.0]), min_size=1)


@given(st.text("ab ", max_size=14), PHRASES)
def test_every_phrase_counts_wherever_it_stands(said, phrases):
    padded = f" {said} "
    expected = sum(w * sum(padded[i:].startswith(f" {p} ") for i in range(len(padded))) for p, w in phrases.items())
    assert walk(build_hotwords(phrases, LETTERS), LETTERS.encode(said))[1] == pytest.approx(expected)


def test_pronunciations_spell_phrases_of_units():
    automaton = build_hotwords({"one two": 6.0}, PHONES, {"ONE": [("A",), ("B", "A")], "TWO": [("C",)]})
    for spoken in (["A", "C"], ["B", "A", "C"]):
        assert walk(automaton, PHONES.encode(spoken))[1] >= 6.0
    assert walk(automaton, PHONES.encode(["C", "A"]))[1] == 0.0


def test_blanks_change_nothing_and_most_bounds_every_gain():
    automaton = build_hotwords({"ab": 4.0, "b a": -1.0}, LETTERS)
    assert np.array_equal(automaton.target[:, 0], np.arange(len(automaton.target))) and not automaton.gain[:, 0].any()
    assert automaton.most == automaton.gain.max() == 2.0


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
