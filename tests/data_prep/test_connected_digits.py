"""Connected digits: every recording as often as the next, one speaker a string, and what is heard is what is written."""

from __future__ import annotations

import argparse
from collections import Counter
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recognizer.data_prep import connected_digits
from recognizer.data_prep.connected_digits import CORPUS
from recognizer.data_prep.fsdd import DIGITS, PHONES
from recognizer.data_prep.sound_joints import Setting, join_sounds
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
def join(source, tmp_path):
    def call(*words, seed=1):
        parser = argparse.ArgumentParser()
        connected_digits.add_arguments(parser)
        dropped = []
        options = parser.parse_args(words)
        options.made, options.seed, options.drop = tmp_path / f"out{seed}", seed, lambda error: dropped.append(str(error))
        return list(connected_digits.read(source, options)), dropped

    return call


def hear(samples: np.ndarray, rate: int) -> list[str]:
    """The digits of the tones, told by their pitch in each 10 ms."""
    steps = len(samples) // (rate // 100)
    frames = samples[: steps * (rate // 100)].reshape(steps, -1)
    pitches = np.abs(np.fft.rfft(frames, 8 * frames.shape[1])).argmax(1) * rate / (8 * frames.shape[1])
    told = [round((pitch - 300) / 300) if np.abs(frame).max() > 0.05 else -1 for pitch, frame in zip(pitches, frames, strict=True)]
    return [DIGITS[value] for value, run in groupby(told) if value >= 0 and len(list(run)) > 4]


def test_every_recording_as_often_as_the_next_and_one_speaker_a_string(join):
    items, dropped = join("--uses", "5", "--digits", "4")
    assert not dropped and CORPUS == "connected-digits"
    used = Counter(clip for item in items for clip in item.meta["clips"])
    assert len(used) == 18 and set(used.values()) == {5}
    for item in items:
        assert {clip.split("_")[1] for clip in item.meta["clips"]} == {item.group}
        assert item.text.split() == [DIGITS[int(clip[0])] for clip in item.meta["clips"]] and 1 <= len(item.text.split()) <= 4
        assert item.units == tuple(phone for clip in item.meta["clips"] for phone in PHONES[int(clip[0])])
    assert {len(item.text.split()) for item in items} == {1, 2, 3, 4}
    assert len({item.id for item in items}) == len(items)


@pytest.mark.parametrize("words", [("--rate", "8000"), ("--rate", "16000", "--format", "wav")])
def test_what_is_written_is_what_is_heard(join, words):
    for item in join("--uses", "2", "--digits", "3", *words)[0]:
        samples, rate = soundfile.read(item.source)
        assert rate == int(words[1]) and item.source.suffix == (".wav" if len(words) > 2 else ".flac")
        assert hear(samples, rate) == item.text.split()
        assert np.percentile(np.abs(samples), 99) == pytest.approx({"anna": 0.1, "bo": 0.3, "cy": 0.6}[item.group], rel=0.1)  # levels are kept
        assert not list(item.source.parent.glob("*.partial"))


def test_speakers_held_out_whole_and_capitals(join):
    items, _ = join("--dev-speaker", "bo", "--test-speaker", "cy", "--case", "upper", "--uses", "1")
    assert {item.group: item.meta["split"] for item in items} == {"anna": "train", "bo": "dev", "cy": "test"}
    assert all(item.text == item.text.upper() for item in items)
    with pytest.raises(ConfigError, match="nobody: not a speaker of this corpus"):
        join("--dev-speaker", "nobody")


def test_ends_that_are_quiet_are_cut_off_at_one_depth_a_string(join, source, monkeypatch):
    for path in source.rglob("*.wav"):
        tone, _ = soundfile.read(path)
        tone[200:840] *= 0.1  # 20 dB down
        soundfile.write(path, tone, RATE)
    joined = []
    monkeypatch.setattr(connected_digits, "join_sounds", lambda sounds, *rest: joined.append(sounds) or join_sounds(sounds, *rest))
    items, _ = join("--speaker", "cy", "--digits", "3", "--uses", "20", "--cut-ends", "10", "30")
    assert {item.group for item in items} == {"cy"} and len(items) == len(joined) > 30
    quiet = [{bool(np.abs(sound[:160]).max() < 0.1) for sound in sounds} for sounds in joined]  # whether what is 20 dB down is still there
    assert all(len(kinds) == 1 for kinds in quiet) and 0.2 < np.mean([kinds == {True} for kinds in quiet]) < 0.8
    assert all(len(sound) <= 1440 for sounds in joined for sound in sounds)  # the silence is gone


def test_the_seed_decides_and_other_speakers_do_not(join, source):
    first, other = join("--uses", "1")[0], join("--uses", "1", seed=2)[0]
    sounds = {item.id: item.source.read_bytes() for item in first}
    assert [item.text for item in first] != [item.text for item in other]
    for path in source.rglob("*_anna_*.wav"):
        path.unlink()
    again = join("--uses", "1")[0]
    assert {item.group for item in again} == {"bo", "cy"}
    assert [item for item in first if item.group != "anna"] == again
    assert all(item.source.read_bytes() == sounds[item.id] for item in again)


def test_a_recording_that_cannot_be_read_costs_itself(join, source):
    (source / "recordings" / "7_bo_0.wav").write_bytes(b"RIFF")
    items, dropped = join("--uses", "2")
    assert len(dropped) == 1 and "7_bo_0.wav" in dropped[0]
    assert set(Counter(clip for item in items for clip in item.meta["clips"]).values()) == {2} and len(items) > 3


@pytest.mark.parametrize(("words", "message"), [
    (("--digits", "0"), "--digits 0: must be at least 1"), (("--uses", "0"), "--uses 0"), (("--pause", "-0.1"), "--pause -0.1"),
    (("--cut-ends", "30", "10"), "--cut-ends 30 10: must be two numbers"), (("--cut-ends", "0", "10"), "--cut-ends 0 10")])
def test_numbers_that_make_no_sense(join, words, message):
    with pytest.raises(ConfigError, match=message):
        join(*words)


def test_pauses_and_margins_are_where_they_should_be():
    sound = np.ones(100, dtype=np.float32)
    joined = join_sounds([sound, sound, sound], 1000, Setting([0.05, 0.0], 0.03, 0.02, 0.01))
    assert len(joined) == 30 + 100 + 50 + 100 - 10 + 100 + 20
    assert not joined[:30].any() and not joined[130:180].any() and not joined[-20:].any()
    np.testing.assert_allclose(joined[40:120], 1)
    np.testing.assert_allclose(joined[190:360], 1, atol=1e-6)  # the fades of two neighbours add up to one
    assert 0 < joined[30] < joined[35] < 1 and np.array_equal(sound, np.ones(100))


def test_pauses_sound_like_the_recordings_between_them():
    generator = np.random.default_rng(1)
    hiss = [0.01 * generator.standard_normal(2400).astype(np.float32) for _ in range(3)]
    for sound in hiss:
        sound[800:1600] += np.sin(np.arange(800)).astype(np.float32)
    joined = join_sounds(hiss, 8000, Setting([0.3, 0.3], 0.3, 0.3, 0.01, background="own", seed=1))
    for start in (0, 4800, 9600, 14_400):
        assert np.std(joined[start : start + 2400]) == pytest.approx(0.009, rel=0.15)  # the quietest tenth is quieter than the average
    assert np.array_equal(joined[2480:4720], hiss[0][80:-80])  # a recording itself is left alone
    assert not join_sounds([np.zeros(50, dtype=np.float32)], 8000, Setting([], 0.1, 0.1, 0.01, background="own")).any()


def test_noise_behind_all_of_it_has_its_level():
    quiet = np.zeros(4000, dtype=np.float32)
    joined = join_sounds([quiet], 8000, Setting([], 0.1, 0.1, 0.01, "noise", -50.0, 1.0, 3))
    assert 20 * np.log10(np.sqrt(np.mean(joined.astype(float) ** 2))) == pytest.approx(-50, abs=0.01)
    assert not join_sounds([quiet], 8000, Setting([], 0.1, 0.1, 0.01)).any()
