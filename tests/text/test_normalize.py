"""Normalization: what cleaning does to a transcript, which one is taken, and the contractions of IAM's lines.txt."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.config import TextConfig
from recognizer.data.manifest import Item, target
from recognizer.text.normalize import clean, join_contractions

trials = settings(max_examples=150)

letters = st.text(st.sampled_from("abE\u00e9\u0301\u0323\u00df\u0130 \t\n\u00a0.-") | st.characters(exclude_categories=("Cs",)), max_size=12)
cases = st.sampled_from(["keep", "lower", "upper"])


@trials
@given(letters, cases, letters)
def test_cleaned_text_is_composed_and_single_spaced_however_it_is_encoded(text: str, case: str, drop: str) -> None:
    config = TextConfig(case=case, drop=drop)  # type: ignore[arg-type]
    cleaned = clean(text, config)
    assert unicodedata.is_normalized("NFC", cleaned)
    assert cleaned == " ".join(cleaned.split())
    assert clean(unicodedata.normalize("NFD", text), config) == cleaned


@trials
@given(letters, cases)
def test_cleaning_twice_is_cleaning_once_and_drops_what_it_should(text: str, case: str) -> None:
    config = TextConfig(case=case, drop=".-")  # type: ignore[arg-type]
    cleaned = clean(text, config)
    assert clean(cleaned, config) == cleaned and not set(cleaned) & set(".-")


@pytest.mark.parametrize(("text", "settings", "expected"), [
    ("  A\tb \n c\u00a0d ", {}, "A b c d"),
    ("e\u0301", {}, "\u00e9"),
    ("Stra\u00dfe \u00c9", {"case": "lower"}, "stra\u00dfe \u00e9"),
    ("Stra\u00dfe \u00e9", {"case": "upper"}, "STRASSE \u00c9"),
    ("a - b, c.", {"drop": ",.-"}, "a b c"),
    ("\u00e9e", {"drop": "e\u0301"}, "e"),  # the accented letter, however it is written, and not the bare one
    ("e-\u0301", {"drop": "-"}, "\u00e9"),
    ("a b", {"drop": " "}, "ab"),
    ("a-b", {"spaces": "-"}, "a b"),
    ("...", {"drop": "."}, ""),
])
def test_cleaning(text: str, settings: dict[str, str], expected: str) -> None:
    assert clean(text, TextConfig(**settings)) == expected  # type: ignore[arg-type]


def test_the_level_decides_which_transcript_is_taken() -> None:
    item = Item("a", Path("/a"), text=" Ab ", units=("AH", "b"))
    assert target(item, TextConfig()) == "Ab"
    assert target(item, TextConfig(level="units")) == ("AH", "b")
    assert target(item, TextConfig(level="units", case="lower")) == ("ah", "b")
    assert target(Item("a", Path("/a"), units=("x",)), TextConfig()) is None
    assert target(Item("a", Path("/a"), text="x"), TextConfig(level="units")) is None
    assert target(Item("a", Path("/a"), text=" "), TextConfig()) == ""


@pytest.mark.parametrize(("tokenized", "joined"), [
    ("I 'll , he 'd 've", "I'll , he'd've"),
    ("IT 'S JOHN 'S .", "IT'S JOHN'S ."),
    ("' said he ' 'so 'tis", "' said he ' 'so 'tis"),
    ("don 't 's", "don't's"),
    ("'s", "'s"),
])
def test_only_the_listed_endings_are_joined(tokenized: str, joined: str) -> None:
    assert join_contractions(tokenized) == joined
    assert join_contractions(joined) == joined
