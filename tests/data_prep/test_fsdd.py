"""Free Spoken Digit Dataset."""

from __future__ import annotations

import pytest

from recognizer.bundle.registry import find_bundle
from recognizer.data_prep.fsdd import DIGITS, PHONES
from recognizer.errors import ConfigError
from recognizer.text.lexicon import load_lexicon


@pytest.fixture
def digits(tmp_path, sound):
    for name in ("0_anna_0", "7_anna_12", "9_bo_x_1", "3_cy_2"):
        sound(tmp_path / "f" / "recordings" / f"{name}.wav")
    return tmp_path / "f"


def test_words_and_speakers(digits, read):
    items = read("fsdd", digits).items
    assert [(i.id, i.text, i.group, i.meta) for i in items] == [
        ("0_anna_0", "zero", "anna", {}), ("3_cy_2", "three", "cy", {}), ("7_anna_12", "seven", "anna", {}), ("9_bo_x_1", "nine", "bo_x", {})]
    assert read("fsdd", digits / "recordings").items == items


def test_speakers_held_out(digits, read):
    items = read("fsdd", digits, "--hold-out", "anna", "--dev-speaker", "cy").items
    assert {i.group: i.meta["split"] for i in items} == {"anna": "test", "cy": "dev", "bo_x": "train"}


def test_some_speakers_only(digits, read):
    items = read("fsdd", digits, "--speaker", "anna", "--speaker", "cy", "--dev-speaker", "cy").items
    assert [(i.id, i.meta["split"]) for i in items] == [("0_anna_0", "train"), ("3_cy_2", "dev"), ("7_anna_12", "train")]
    for words in (("--speaker", "ana"), ("--speaker", "anna", "--dev-speaker", "cy")):
        with pytest.raises(ConfigError, match="not a speaker of this corpus"):
            read("fsdd", digits, *words)


def test_an_odd_name_is_dropped(digits, read, sound):
    path = sound(digits / "recordings" / "ten_anna_1.wav")
    reading = read("fsdd", digits)
    assert len(reading.items) == 4 and reading.dropped == [f"{path}: the name is not of the form digit_speaker_number.wav"]


def test_speakers_that_cannot_be_held_out(digits, read):
    with pytest.raises(ConfigError, match="ana: not a speaker of this corpus; did you mean 'anna'"):
        read("fsdd", digits, "--test-speaker", "ana")
    with pytest.raises(ConfigError, match="already held out for test"):
        read("fsdd", digits, "--test-speaker", "cy", "--dev-speaker", "cy")


def test_phones_are_those_of_the_dictionary_in_the_box(digits, read):
    lexicon = load_lexicon(find_bundle("phones-en") / "lexicon.txt.gz")
    for word, phones in zip(DIGITS, PHONES, strict=True):
        assert phones == tuple(lexicon[word][0])
    assert [i.units for i in read("fsdd", digits).items][1] == ("TH", "R", "IY")
