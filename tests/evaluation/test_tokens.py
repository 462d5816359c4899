"""What counts as a token."""

from __future__ import annotations

from recognizer.evaluation.tokens import characters, units, words


def test_a_letter_and_its_combining_accent_are_one_character():
    assert characters("e\u0301te\u0301") == characters("\u00e9t\u00e9") == ["\u00e9", "t", "\u00e9"]


def test_spaces_are_characters():
    assert characters("a b ") == ["a", " ", "b", " "]


def test_words_are_what_white_space_separates_however_it_is_composed():
    assert words("  l'e\u0301te\u0301,\tfini .\n") == ["l'\u00e9t\u00e9,", "fini", "."]


def test_units_of_a_string_and_of_a_sequence():
    assert units(" sil  k ae\n") == units(("sil", "k", "ae")) == ["sil", "k", "ae"]


def test_nothing_has_no_tokens():
    assert characters("") == words(" ") == units("") == []
