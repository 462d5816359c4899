"""Alphabets: symbols of texts and units, labels and back, and the file they are kept in."""

from __future__ import annotations

import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.errors import BundleError, InputError
from recognizer.text.alphabet import BLANK, SPACE, Alphabet, split

trials = settings(max_examples=60)

texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\n"), min_size=1, max_size=20)
unit_names = st.text(st.characters(exclude_categories=("Cs", "Z", "Cc")), min_size=1, max_size=5).filter(lambda u: u not in (BLANK, SPACE))


@trials
@given(st.lists(texts, min_size=1, max_size=5))
def test_text_comes_back_in_nfc_through_labels_and_file(transcripts: list[str]) -> None:
    alphabet = Alphabet.of(transcripts)
    with tempfile.TemporaryDirectory() as folder:
        alphabet.save(Path(folder) / "alphabet.txt")
        loaded = Alphabet.load(Path(folder) / "alphabet.txt", "characters")
    assert loaded == alphabet
    assert list(alphabet.symbols) == sorted(set(alphabet.symbols)) and len(alphabet) == len(alphabet.symbols) + 1
    for text in transcripts:
        labels = loaded.encode(text)
        assert min(labels) >= 1 and max(labels) < len(loaded)
        assert loaded.decode(labels) == unicodedata.normalize("NFC", text)


@trials
@given(st.lists(st.lists(unit_names, min_size=1, max_size=6), min_size=1, max_size=5))
def test_units_come_back_through_labels_and_file(transcripts: list[list[str]]) -> None:
    alphabet = Alphabet.of(transcripts, "units")
    with tempfile.TemporaryDirectory() as folder:
        alphabet.save(Path(folder) / "alphabet.txt")
        assert Alphabet.load(Path(folder) / "alphabet.txt", "units") == alphabet
    for units in transcripts:
        assert alphabet.spell(alphabet.encode(units)) == units
        assert alphabet.encode(" ".join(units)) == alphabet.encode(units)
        assert alphabet.decode(alphabet.encode(units)) == " ".join(units)


def test_composed_and_decomposed_letters_are_the_same_symbol() -> None:
    alphabet = Alphabet.of(["e\u0301", "\u00e9"])
    assert alphabet.symbols == ("\u00e9",)
    assert alphabet.encode("\u00e9e\u0301") == [1, 1]
    assert split("e\u0301", "characters") == ["\u00e9"] and split(("e\u0301",), "units") == ["e\u0301"]


def test_the_file_has_a_symbol_a_line_and_shows_the_space(tmp_path: Path) -> None:
    symbols = (" ", "#", "<", "a", "\r", "\u0301", "\u2028", "\u00a0")
    Alphabet(symbols).save(tmp_path / "a.txt")
    lines = (tmp_path / "a.txt").read_bytes().decode().split("\n")
    assert lines == [BLANK, SPACE, *symbols[1:], ""]
    loaded = Alphabet.load(tmp_path / "a.txt", "characters")
    assert loaded.symbols == symbols
    assert lines[loaded.encode("a")[0]] == "a"


def test_levels_cut_transcripts_differently() -> None:
    assert split("a b", "characters") == ["a", " ", "b"]
    assert split(" AH  B\n", "units") == ["AH", "B"]
    with pytest.raises(TypeError, match="is a string"):
        split(["a"], "characters")


def test_unknown_symbols_are_named_once_in_order() -> None:
    alphabet = Alphabet(("a", "b"))
    assert alphabet.unknown("xaybx") == ["x", "y"] and alphabet.unknown("abba") == []
    with pytest.raises(InputError, match=r"^not in the alphabet: 'x', 'y'$"):
        alphabet.encode("xaybx")
    with pytest.raises(InputError, match=r"'AHH'; did you mean 'AH'\?$"):
        Alphabet(("AH", "B"), "units").encode(["AHH"])


@pytest.mark.parametrize("label", [0, -1, 3])
def test_labels_outside_the_alphabet_are_refused(label: int) -> None:
    with pytest.raises(IndexError, match=r"outside 1\.\.2"):
        Alphabet(("a", "b")).decode([1, label])


@pytest.mark.parametrize(("symbols", "message"), [
    ((), "at least one"), (("a", "b", "a"), "'a' twice"), (("a", ""), "'' cannot"), ((BLANK,), "cannot be a symbol"),
    ((SPACE,), "cannot be a symbol"), (("\n",), "cannot be a symbol"),
])
def test_impossible_alphabets(symbols: tuple[str, ...], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Alphabet(symbols, "units")


@pytest.mark.parametrize(("content", "message"), [
    (b"a\nb\n", r"bad\.txt:1: the first line .* found 'a'"),
    (b"", r"bad\.txt:1: .* found ''"),
    (b"<blank>\n", r"bad\.txt: .*at least one symbol"),
    (b"<blank>\na\na\n", r"bad\.txt: .*'a' twice"),
    (b"<blank>\na\n\nb\n", r"bad\.txt: '' cannot"),
    (b"<blank>\na\n<blank>\n", r"bad\.txt: '<blank>' cannot"),
    (b"<blank>\n\xff\n", r"bad\.txt: cannot read"),
])
def test_malformed_files(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(BundleError, match=message):
        Alphabet.load(tmp_path / "bad.txt", "characters")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"none\.txt: cannot read the alphabet"):
        Alphabet.load(tmp_path / "none.txt", "units")
