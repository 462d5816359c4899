"""Text in: files, cleaning, and where running text is cut."""

from __future__ import annotations

import gzip
import io
import sys

import pytest

from recognizer.config import TextConfig
from recognizer.errors import InputError
from recognizer.lm import text as lm_text
from recognizer.lm.arpa import load_arpa
from recognizer.lm.text import cut_sentences, read_sentences


def test_a_line_is_a_sentence(tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbf One  line.\r\n\r\n \t\nAnother Cafe\xcc\x81!\n")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"Und die dritte"))
    files = [tmp_path / "a", tmp_path / "b.gz"]
    assert list(read_sentences(files)) == ["One line.", "Another Café!", "Und die dritte"]
    assert list(read_sentences(files, TextConfig(case="lower", drop="!", spaces="e"))) == ["on lin .", "anoth r café", "und di dritt"]


def test_punctuation_goes_but_not_within_words(tmp_path) -> None:
    (tmp_path / "a").write_text("«Don't» — she said -- well-known, 'tis it's… 50% l\u2019homme' (e.g. -x-)\n")
    assert list(read_sentences([tmp_path / "a"], punctuation=False)) == ["Don't she said well-known tis it's 50 l\u2019homme e g x"]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It rained. We left!  Why? So.", ["It rained.", "We left!", "Why?", "So."]),
        ('He said "Go." Then he went.', ['He said "Go."', "Then he went."]),
        ("Mr. Darcy met J. Smith at 3.15 p.m. on St. James St. Really. No", ["Mr. Darcy met J. Smith at 3.15 p.m. on St. James St. Really.", "No"]),
        ("Wait... what? yes", ["Wait... what? yes"]),
        ("C'est fini. « Où est-il ? » Élise rit.", ["C'est fini.", "« Où est-il ? »", "Élise rit."]),
        ("", []),
        ("   ", []),
    ],
)
def test_running_text_is_cut_at_the_end_of_sentences(text, sentences) -> None:
    assert cut_sentences(text) == sentences


def test_sentences_of_running_text_go_over_lines_not_paragraphs(tmp_path, monkeypatch) -> None:
    (tmp_path / "a").write_text("A sentence that\ngoes on. And\nanother\n\nA heading\n\nThe end.")
    assert list(read_sentences([tmp_path / "a"], running=True)) == ["A sentence that goes on.", "And another", "A heading", "The end."]
    (tmp_path / "b").write_text("One two three.\n" * 50 + "Word " * 50 + "\n" + "And so. On\n" * 30)
    whole = list(read_sentences([tmp_path / "b"], running=True))
    monkeypatch.setattr(lm_text, "MAX_HELD_CHARACTERS", 60)
    parts = list(read_sentences([tmp_path / "b"], running=True))
    assert parts[:50] == whole[:50] == ["One two three."] * 50
    assert " ".join(parts) == " ".join(whole)


def test_standard_input(monkeypatch) -> None:
    class Stream:
        buffer = io.BytesIO(gzip.compress(b"a b\nc\n"))

    monkeypatch.setattr(sys, "stdin", Stream)
    assert list(read_sentences(["-"])) == ["a b", "c"]


def test_files_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(InputError, match=r"none: cannot be read: No such file"):
        list(read_sentences([tmp_path / "none"]))
    (tmp_path / "a").write_bytes("eins\nzwei\nfünf\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"a:3: not UTF-8 text"):
        list(read_sentences([tmp_path / "a"]))
    (tmp_path / "b").write_bytes(gzip.compress(b"text " * 9999)[:-9])
    with pytest.raises(InputError, match=r"b: the gzip file is damaged or cut short"):
        list(read_sentences([tmp_path / "b"]))


def test_a_packed_file_that_blows_up_is_refused(tmp_path) -> None:
    """Text, ARPA files and models whose compact form unpacks to far more; memory stays small, as lines are not gathered."""
    for name, begin in (("text.gz", b"a b\n"), ("m.arpa.gz", b"\\data\\\nngram 1=9\n\n\\1-grams:\n")):
        (tmp_path / name).write_bytes(gzip.compress(begin + b"-1 a a\n" * (3 << 20)))
        with pytest.raises(InputError, match=rf"{name}: unpacks to more than 50 times its size"):
            list(read_sentences([tmp_path / name]))
    with pytest.raises(InputError, match=r"line\.gz: unpacks to more than 50 times its size"):
        (tmp_path / "line.gz").write_bytes(gzip.compress(bytes(20 << 20)))
        load_arpa(tmp_path / "line.gz")


def test_visual_order_for_line_images(tmp_path) -> None:
    (tmp_path / "text.txt").write_text("שלום (12)\nabc (d)\n", encoding="utf-8")
    assert list(read_sentences([tmp_path / "text.txt"], visual=True)) == ["(12) םולש", "abc (d)"]
    assert list(read_sentences([tmp_path / "text.txt"])) == ["שלום (12)", "abc (d)"]
