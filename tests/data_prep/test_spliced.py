"""Spliced sentences: what is heard is what is written, in one voice, of phrases that somebody said, each as often as the next."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recognizer.data.manifest import Item, load_manifest, save_manifest
from recognizer.data.preparation import prepare
from recognizer.data_prep.splice_sound import SoundSplicer
from recognizer.data_prep.spliced import Phrase, deal, divide
from recognizer.decoding.timing import Token, split_words
from recognizer.errors import ConfigError, InputError

RATE = 8000
LETTER, GAP = 0.12, 0.06  # seconds of a tone, and of the silence between two words
TEXTS = {"anna": ["ab ba c", "d ab", "ca"], "bo": ["b d a c", "dd ca b"]}
LOUDNESS = {"anna": 0.15, "bo": 0.6}


def pitch(letter: str) -> float:
    return 500.0 * (1 + "abcd".index(letter))


def speak(text: str, loudness: float) -> tuple[np.ndarray, list[dict[str, object]]]:
    """Samples, and the spikes that a recogniser would find: one in the middle of each tone."""
    parts, tokens, now = [np.zeros(round(0.2 * RATE))], [], 0.2
    for letter in text:
        seconds = GAP if letter == " " else LETTER
        times = np.arange(round(seconds * RATE)) / RATE
        tone = np.zeros(len(times)) if letter == " " else loudness * np.sin(2 * np.pi * pitch(letter) * times)
        parts.append(tone)
        tokens.append({"symbol": letter, "start": now + seconds / 2 - 0.01, "end": now + seconds / 2 + 0.01, "confidence": 0.9})
        now += seconds
    return np.concatenate([*parts, np.zeros(round(0.4 * RATE))]), tokens


def hear(samples: np.ndarray, loudness: float) -> str:
    """The letters of the tones, told by their pitch in each 10 ms; the same letter twice in a row by how long it lasts."""
    frames = samples[: len(samples) // 80 * 80].reshape(-1, 80)
    pitches = np.abs(np.fft.rfft(frames, 640)).argmax(1) * RATE / 640
    told = ["abcd"[round(each / 500) - 1] if np.abs(frame).max() > loudness / 3 else " " for each, frame in zip(pitches, frames, strict=True)]
    runs = [(letter, len(list(run))) for letter, run in groupby(told)]
    return "".join(letter * round(length / (100 * LETTER)) for letter, length in runs if letter != " ")


@pytest.fixture
def said(tmp_path: Path) -> Path:
    """A manifest of two speakers, and beside it what aligning it gives."""
    items, records = [], []
    for speaker, texts in TEXTS.items():
        for number, text in enumerate(texts):
            samples, tokens = speak(text, LOUDNESS[speaker])
            path = tmp_path / f"{speaker}{number}.wav"
            soundfile.write(path, samples, RATE)
            items.append(Item(path.stem, path, text=text, group=speaker))
            records.append(json.dumps({"id": path.stem, "tokens": tokens}))
    save_manifest(items, tmp_path / "train.jsonl")
    (tmp_path / "aligned.jsonl").write_text("\n".join(records))
    return tmp_path / "train.jsonl"


def splice(said: Path, out: str = "out", **options: object) -> tuple[list[Item], list[str], list[str]]:
    dropped, notes = [], []
    options = {"aligned": said.with_name("aligned.jsonl"), "rate": RATE, "name": "spliced"} | options
    prepare("spliced", said, said.parent / out, drop=lambda error: dropped.append(str(error)), note=notes.append, **options)  # type: ignore[arg-type]
    return load_manifest(said.parent / out / "spliced.jsonl"), dropped, notes


def test_what_is_heard_is_what_is_written_in_the_voice_of_one(said: Path) -> None:
    items, dropped, notes = splice(said, sentences=12)
    assert not dropped and len(notes) == 1 and notes[0].endswith("phrases by 2 speakers")
    assert Counter(item.group for item in items) == {"anna": 12, "bo": 12}
    for item in items:
        samples, rate = soundfile.read(item.source)
        assert rate == RATE and hear(samples, LOUDNESS[item.group]) == item.text.replace(" ", "")
        assert np.percentile(np.abs(samples), 99) == pytest.approx(LOUDNESS[item.group], rel=0.1)  # levels are kept
        assert {*item.text.split()} <= {word for text in TEXTS[item.group] for word in text.split()}
    assert len({item.text for item in items}) > 18 and not {item.text for item in items} & {text for texts in TEXTS.values() for text in texts}
    assert not list(said.parent.rglob("*.partial"))


def test_the_seed_decides_and_no_other_speaker(said: Path) -> None:
    texts = [[item.text for item in splice(said, f"out{number}", sentences=5, seed=seed)[0]] for number, seed in enumerate((1, 1, 2))]
    assert texts[0] == texts[1] != texts[2]
    alone = said.with_name("bo.jsonl")
    save_manifest([item for item in load_manifest(said) if item.group == "bo"], alone)
    assert [item.text for item in splice(alone, "alone", sentences=5)[0]] == texts[0][5:]


def test_phones_come_from_the_lexicon_and_a_speaker_may_be_named(said: Path) -> None:
    lexicon = said.with_name("lexicon.txt")
    lexicon.write_text("AB  EY B\nBA  B AA\nC  S IY\nD  D IY\nCA  K AA\nB  B IY\nA  AH\nDD  D D\n")
    items, _, notes = splice(said, lexicon=lexicon, speaker="both", sentences=30)
    assert {item.group for item in items} == {"both"} and notes[0].endswith("phrases by 1 speakers")
    assert any({"dd", "ba"} <= {*item.text.split()} for item in items)  # words of one and of the other
    ways = {word.lower(): phones for word, *phones in (line.split() for line in lexicon.read_text().splitlines())}
    assert all(list(item.units) == [phone for word in item.text.split() for phone in ways[word]] for item in items)


def cut(path: Path, tokens: list[Token], spans: list[tuple[int, int]]) -> list[np.ndarray | None]:
    words = [tokens[first:last] for first, last in split_words([token.symbol for token in tokens])]
    return SoundSplicer(RATE, ".wav").cut(path, words, spans)


def test_a_cut_falls_where_the_sound_is_weakest_and_phrases_cover_all_between(tmp_path: Path) -> None:
    text = "a b c d a b c d"
    samples, records = speak(text, 0.5)
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    tokens = [Token(**record) for record in records]
    for spans in ([(0, 8)], [(0, 1), (1, 4), (4, 6), (6, 8)], [(number, number + 1) for number in range(8)]):
        pieces = cut(tmp_path / "a.wav", tokens, spans)
        assert [hear(piece, 0.5) for piece in pieces] == ["".join(text.split()[first:last]) for first, last in spans]
        # from 0.15 s before the first spike to 0.25 s behind the last, which stand in the middle of their tones
        assert sum(map(len, pieces)) == pytest.approx((0.15 + 7 * (LETTER + GAP) + 0.02 + 0.25) * RATE, abs=2)


def test_of_a_sound_too_short_for_its_words_no_phrase_is_cut(tmp_path: Path) -> None:
    tokens = [Token("a", 0.0, 0.03), Token(" ", 0.03, 0.06), Token("b", 0.06, 0.09)]
    for samples in (1, 80):
        soundfile.write(tmp_path / "a.wav", np.ones(samples), RATE)
        assert cut(tmp_path / "a.wav", tokens, [(0, 1), (1, 2)]) == [None, None]


def test_phrases_of_one_to_three_words_cover_all_in_order() -> None:
    lengths = Counter()
    for seed in range(50):
        spans = divide(9, random.Random(seed))
        assert [word for span in spans for word in range(*span)] == list(range(9))
        lengths.update(last - first for first, last in spans[:-1])
    assert {*lengths} == {1, 2, 3} and lengths[1] > lengths[3] and divide(0, random.Random(1)) == []


def test_every_phrase_as_often_as_the_next() -> None:
    phrases = [Phrase(np.zeros(1, np.float32), (str(number),)) for number in range(7)]
    sentences = list(deal(phrases, 50, random.Random(3)))
    used = Counter(phrase.words[0] for sentence in sentences for phrase in sentence)
    assert len(sentences) == 50 and {len(sentence) for sentence in sentences} == {2, 3, 4, 5, 6}
    assert len(used) == 7 and max(used.values()) - min(used.values()) <= 1


def test_what_cannot_be_used_is_named(said: Path) -> None:
    (said.parent / "bo1.wav").write_bytes(b"no sound")
    items, dropped, _ = splice(said)
    assert len(items) == 32 and len(dropped) == 1 and "bo1.wav" in dropped[0]
    with pytest.raises(ConfigError, match=r"^--sentences 0: must be at least 1"):
        splice(said, sentences=0)
    said.with_name("aligned.jsonl").write_text('{"id": "other", "tokens": []}')
    with pytest.raises(InputError, match=r"train.jsonl: not one phrase could be cut out of its items"):
        splice(said)
    said.with_name("aligned.jsonl").write_text('{"id": "anna0"}')
    with pytest.raises(InputError, match=r"aligned.jsonl:1: not a line of `recognizer align -f jsonl`"):
        splice(said)
    with pytest.raises(ConfigError, match=r"^--bundle handwriting-fr: reads no characters from recordings; take one that does"):
        splice(said, aligned=None, bundle="handwriting-fr")


def test_without_a_file_the_recogniser_finds_the_words(said: Path) -> None:
    items, _, notes = splice(said, aligned=None, sentences=2)
    assert len(items) == 4 and {*" ".join(item.text for item in items).split()} <= {"ab", "ba", "c", "d", "ca", "b", "a", "dd"}
    assert int(notes[0].split()[2]) >= 5
