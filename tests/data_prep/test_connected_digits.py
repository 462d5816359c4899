"""Connected digits: every recording as often as the next, one speaker a string, and the digits of the recording are those of the transcript."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recognizer.data_prep.fsdd import DIGITS, PHONES
from recognizer.errors import ConfigError

RATE = 8000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three speakers; a digit is a tone of its own with silence at both ends, as loud as its speaker speaks."""
    folder = tmp_path / "f" / "recordings"
    folder.mkdir(parents=True)
    for loudness, speaker in ((0.1, "anna"), (0.3, "bo"), (0.6, "cy")):
        for digit in (0, 3, 7):
            for take in range(2):
                times = np.arange(1600 + 80 * take) / RATE
                tone = loudness * np.sin(2 * np.pi * (300 + 300 * digit) * times)
                tone[:200] = tone[-200:] = 0
                soundfile.write(folder / f"{digit}_{speaker}_{take}.wav", tone, RATE)
    return folder.parent


@pytest.fixture
def join(source, read):
    return lambda *words, seed=1: read("connected_digits", source, *words, seed=seed, out=f"out{seed}")


def find_digits(samples: np.ndarray, rate: int) -> list[str]:
    """The digits of the tones, told by their pitch in each 10 ms."""
    steps = len(samples) // (rate // 100)
    frames = samples[: steps * (rate // 100)].reshape(steps, -1)
    pitches = np.abs(np.fft.rfft(frames, 8 * frames.shape[1])).argmax(1) * rate / (8 * frames.shape[1])
    told = [round((pitch - 300) / 300) if np.abs(frame).max() > 0.05 else -1 for pitch, frame in zip(pitches, frames, strict=True)]
    return [DIGITS[value] for value, run in groupby(told) if value >= 0 and len(list(run)) > 4]


def test_every_recording_as_often_as_the_next_and_one_speaker_a_string(join):
    items, dropped, _ = join("--uses", "5", "--digits", "4")
    used = Counter(clip for item in items for clip in item.meta["clips"])
    assert not dropped and len(used) == 18 and set(used.values()) == {5}
    for item in items:
        assert {clip.split("_")[1] for clip in item.meta["clips"]} == {item.group}
        assert item.text.split() == [DIGITS[int(clip[0])] for clip in item.meta["clips"]]
        assert item.units == tuple(phone for clip in item.meta["clips"] for phone in PHONES[int(clip[0])])
    assert {len(item.text.split()) for item in items} == {1, 2, 3, 4} and len({item.id for item in items}) == len(items)


@pytest.mark.parametrize("words", [("--rate", "8000"), ("--rate", "16000", "--format", "wav")])
def test_recordings_hold_the_digits_of_the_transcript(join, words):
    for item in join("--uses", "2", "--digits", "3", *words).items:
        samples, rate = soundfile.read(item.source)
        assert rate == int(words[1]) and item.source.suffix == (".wav" if len(words) > 2 else ".flac")
        assert find_digits(samples, rate) == item.text.split()
        assert np.percentile(np.abs(samples), 99) == pytest.approx({"anna": 0.1, "bo": 0.3, "cy": 0.6}[item.group], rel=0.1)  # levels are kept


def test_speakers_held_out_whole_and_capitals(join):
    items = join("--dev-speaker", "bo", "--test-speaker", "cy", "--case", "upper", "--uses", "1").items
    assert {item.group: item.meta["split"] for item in items} == {"anna": "train", "bo": "dev", "cy": "test"}
    assert all(item.text == item.text.upper() for item in items)


def test_the_seed_decides_and_other_speakers_do_not(join, source):
    first, other = join("--uses", "1").items, join("--uses", "1", seed=2).items
    sounds = {item.id: item.source.read_bytes() for item in first}
    assert [item.text for item in first] != [item.text for item in other]
    for path in source.rglob("*_anna_*.wav"):
        path.unlink()
    again = join("--uses", "1").items
    assert [item for item in first if item.group != "anna"] == again and {item.group for item in again} == {"bo", "cy"}
    assert all(item.source.read_bytes() == sounds[item.id] for item in again)


def test_a_recording_that_cannot_be_read_costs_itself(join, source):
    (source / "recordings" / "7_bo_0.wav").write_bytes(b"RIFF")
    items, dropped, _ = join("--uses", "2")
    assert len(dropped) == 1 and "7_bo_0.wav" in dropped[0]
    assert set(Counter(clip for item in items for clip in item.meta["clips"]).values()) == {2} and len(items) > 3


@pytest.mark.parametrize(("words", "message"), [
    (("--digits", "0"), "--digits 0: must be at least 1"), (("--uses", "0"), "--uses 0"), (("--pause", "-0.1"), "--pause -0.1")])
def test_numbers_that_make_no_sense(join, words, message):
    with pytest.raises(ConfigError, match=message):
        join(*words)
