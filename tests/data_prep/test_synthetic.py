from __future__ import annotations

import shutil

import pytest

from recognizer.data_prep import synthetic
from recognizer.data_prep.speechocean import PHONES
from recognizer.errors import ConfigError, InputError

FAKE = """
if [ "$1" = -lv ]; then echo "Voices available: kal awb kal16 rms slt"; exit; fi
while [ $# -gt 0 ]; do [ "$1" = -o ] && out="$2"; [ "$1" = -t ] && text="$2"; shift; done
case "$text" in *mute*) exit 1;; esac
cp "$TONE" "$out"; echo "pau dh ax k w pau ih k pau"
"""


@pytest.fixture
def flite(tmp_path, monkeypatch, program, sound):
    """A program of that name that says the same whatever it is asked to."""
    program("flite", FAKE)
    monkeypatch.setenv("TONE", str(sound(tmp_path / "tone.wav")))


@pytest.fixture
def read_synthetic(read, tmp_path, write):
    return lambda text, *words, seed=1: read("synthetic", write(tmp_path / "text.txt", text), *words, seed=seed)


TEXT = "It was, he said, the best of times; it was the worst of 1859 times. Don't you think -- so?"


def test_stretches_of_sentences_with_words_and_phones(flite, read_synthetic):
    items, dropped, _ = read_synthetic(TEXT, "--utterances", "12", "--words", "4")
    assert len(items) == 12 and not dropped
    allowed = ("IT WAS", "HE SAID", "THE BEST OF TIMES", "DON'T YOU THINK")
    for item in items:
        assert any(item.text in stretch for stretch in allowed) and 2 <= len(item.text.split()) <= 4
        assert item.units == ("DH", "AH", "K", "W", "IH", "K") and set(item.units) <= PHONES
        assert item.source.exists()
    assert [item.group for item in items[:4]] == ["flite_rms", "flite_awb", "flite_slt", "flite_kal16"]


def test_planned_in_rounds_or_at_once_it_is_the_same(flite, read_synthetic, monkeypatch):
    once = read_synthetic(TEXT, "--utterances", "10", "--voice", "rms", "--voice", "flite:slt", "--voice", "awb").items
    monkeypatch.setattr(synthetic, "ROUND", 4)
    assert read_synthetic(TEXT, "--utterances", "10", "--voice", "rms", "--voice", "flite:slt", "--voice", "awb").items == once
    assert [item.group for item in once] == [f"flite_{('rms', 'slt', 'awb')[number % 3]}" for number in range(10)]


def test_the_seed_decides_what_is_said(flite, read_synthetic):
    first, again, other = (read_synthetic(TEXT, "--utterances", "9", seed=seed).items for seed in (1, 1, 2))
    assert [i.text for i in first] == [i.text for i in again] != [i.text for i in other]


def test_what_cannot_be_spoken_costs_one_utterance(flite, read_synthetic):
    items, dropped, _ = read_synthetic("all mute here. quite loud there.", "--utterances", "20", "--words", "3")
    assert len(items) + len(dropped) == 20 and dropped and items
    assert all("could not speak" in line for line in dropped)


def test_errors_say_what_to_do(flite, read_synthetic, monkeypatch):
    with pytest.raises(ConfigError, match="--voice nobody: flite has awb, kal, kal16, rms, slt"):
        read_synthetic(TEXT, "--voice", "nobody")
    with pytest.raises(InputError, match="holds no sentences"):
        read_synthetic("1859.")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match="apt-get install flite"):
        read_synthetic(TEXT)
    with pytest.raises(ConfigError, match="--words 1: must be at least 2"):
        read_synthetic(TEXT, "--words", "1")
