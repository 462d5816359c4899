"""What users get: results that say themselves in every format."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from recognizer.errors import ConfigError, InputError
from recognizer.formats.base import find_writers
from recognizer.types import Line, Token, Transcript, Word

WORDS = (Word("guten", 0.5, 1.0, 0.8), Word("Tag", 1.1, 1.5, 0.6))
TIMED = Transcript("a.wav", "guten Tag", tuple("guten Tag"), -2.0, -2.0, seconds=2.0, words=WORDS)


def test_formats_are_methods() -> None:
    assert TIMED.to_srt() == "1\n00:00:00,500 --> 00:00:01,500\nguten Tag" == TIMED.to("srt")
    assert TIMED.to_vtt().startswith("WEBVTT\n") and TIMED.to("txt") == "guten Tag"
    assert json.loads(TIMED.to_json()) == TIMED.to_dict() and "\n" in TIMED.to_json()
    assert TIMED.to_dict()["words"][1] == {"text": "Tag", "start": 1.1, "end": 1.5, "confidence": 0.6}
    for name in find_writers():
        if find_writers()[name].modality in (None, "audio") and not isinstance(find_writers()[name].render(TIMED), bytes):
            assert TIMED.to(name) == find_writers()[name].render(TIMED)


def test_formats_that_cannot_be_are_named() -> None:
    with pytest.raises(ConfigError, match=r"^format: 'str' is not one of .*; did you mean 'srt'\?$"):
        TIMED.to("str")
    with pytest.raises(InputError, match=r"^a\.wav: srt needs the times of words"):
        Transcript("a.wav", "guten Tag", seconds=2.0).to_srt()
    with pytest.raises(InputError, match=r"^a\.png: vtt is for recordings"):
        Transcript("a.png", "guten Tag", width=200).to_vtt()


def test_confidence_is_that_of_the_words() -> None:
    assert TIMED.confidence == pytest.approx(0.7)
    assert Transcript("a", "xy", tokens=(Token("x", 0, 1, 0.5), Token("y", 1, 2, 1.0))).confidence == 0.75
    page = Transcript("a", "x\ny", lines=(Line("1", (), words=WORDS[:1]), Line("2", (), words=WORDS[1:])))
    assert page.confidence == pytest.approx(0.7)
    assert Transcript("a", "x").confidence is None and Transcript("a", "x", words=(Word("x", 0, 1),)).confidence is None


def test_results_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        TIMED.text = "x"
    assert hash(TIMED) == hash(replace(TIMED, given="what was given does not count"))
