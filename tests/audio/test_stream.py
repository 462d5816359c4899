"""Streams: blocks that joined are the whole recording, windows that hold what is said in it."""

from __future__ import annotations

import itertools
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recognizer.audio.io import load_audio
from recognizer.audio.speech import SpeechDetector
from recognizer.audio.stream import SpeechWindows, Window, find_cut, runs, stream_audio
from recognizer.errors import InputError


def recording(path: Path, rate: int, channels: int = 1, subtype: str | None = None) -> Path:
    time = np.arange(int(rate * 9.3))[:, None] / rate
    noise = np.random.default_rng(7).standard_normal((len(time), channels))
    wave = 0.3 * np.sin(2 * np.pi * (200 + 40 * time) * time) + 0.02 * noise
    soundfile.write(path, wave.astype(np.float32), rate, subtype=subtype)
    return path


@pytest.mark.parametrize(("name", "channels", "subtype"), [("a.wav", 1, None), ("a.wav", 2, "FLOAT"), ("a.flac", 1, "PCM_24"), ("a.au", 3, None)])
def test_blocks_are_the_recording_to_the_bit_at_its_own_rate(tmp_path: Path, name: str, channels: int, subtype: str | None) -> None:
    path = recording(tmp_path / name, 16_000, channels, subtype)
    blocks = list(stream_audio(path, 16_000))
    assert len(blocks) > 2 and all(block.dtype == np.float32 for block in blocks)
    assert np.array_equal(np.concatenate(blocks), load_audio(path, 16_000))


@pytest.mark.parametrize(("name", "rate", "wanted"), [
    ("a.wav", 44_100, 16_000), ("a.wav", 8_000, 16_000), ("a.wav", 11_025, 8_000), ("a.ogg", 16_000, 16_000), ("a.mp3", 16_000, 16_000),
])
def test_resampled_and_compressed_recordings_are_nearly_the_same(tmp_path: Path, name: str, rate: int, wanted: int) -> None:
    path = recording(tmp_path / name, rate)
    streamed, whole = np.concatenate(list(stream_audio(path, wanted))), load_audio(path, wanted)
    assert len(streamed) == len(whole)
    np.testing.assert_allclose(streamed, whole, atol=1e-4)


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        list(stream_audio(path, 16_000))
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


def test_faults_are_named_where_they_lie(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "none.wav")
    wave = np.zeros(100_000, dtype=np.float32)
    for value, word in ((np.nan, "NaN or infinite"), (-np.inf, "NaN or infinite"), (20_000.0, "samples reach 20000")):
        wave[90_000] = value
        soundfile.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
        assert word in refused(tmp_path / "a.wav")
        assert not next(stream_audio(tmp_path / "a.wav", 16_000)).any()  # what comes before the fault is given


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_recording_that_breaks_off_is_named(tmp_path: Path, suffix: str) -> None:
    path = recording(tmp_path / f"a{suffix}", 16_000)
    data = path.read_bytes()
    path.write_bytes(data[: int(0.7 * len(data))])
    assert "broken off" in refused(path)


RATE, STEP = 16_000, 480


class Marked(SpeechDetector):
    """Speech is where the samples are not zero."""

    def _score(self, frames: np.ndarray) -> np.ndarray:
        return (np.abs(frames).max(axis=1) > 0).astype(np.float32)


def windows_of(signal: np.ndarray, block: int = 4000, rate: int = RATE) -> list[Window]:
    cuts = [signal[begin : begin + block] for begin in range(0, len(signal), block)]
    windows = SpeechWindows(iter(cuts), rate, STEP, Marked(rate))
    found = list(windows)
    assert windows.length == len(signal)
    return found


def spoken(*parts: float) -> np.ndarray:
    """Seconds of silence and of speech by turns; sample n of speech is n + 1."""
    ends = np.round(np.cumsum(parts) * RATE).astype(int)
    signal = np.arange(1, ends[-1] + 1, dtype=np.float32)
    for begin, end in zip([0, *ends[1::2]], ends[::2], strict=False):
        signal[begin:end] = 0
    return signal


def test_silence_gives_no_windows() -> None:
    assert windows_of(np.zeros(100 * RATE, np.float32)) == [] == windows_of(np.zeros(0, np.float32))


def test_windows_are_the_stretches_of_speech_with_some_of_the_pause() -> None:
    signal = spoken(50, 4, 0.6, 5, 80, 1.5)
    first, second, third = windows_of(signal)
    for window, begin, end in ((first, 50, 54), (second, 54.6, 59.6), (third, 139.6, 141.1)):
        assert not window.continues and window.before == 0 and window.start % STEP == 0
        assert 0.1 <= begin - window.start / RATE <= 0.32 and 0 <= (window.start + window.inside) / RATE - end <= 0.32
        assert np.array_equal(window.samples, signal[window.start : window.start + window.inside])
    assert first.start + first.inside <= second.start and third.start + third.inside == len(signal)


def test_a_short_pause_ends_no_stretch_and_a_click_is_none() -> None:
    assert len(windows_of(spoken(1, 4, 0.3, 4, 0.3, 2, 2))) == 1
    assert len(windows_of(spoken(1, 1, 0.6, 1, 2))) == 1  # a short stretch goes on behind half a second
    assert windows_of(spoken(5, 0.03, 5)) == []


def test_a_long_stretch_is_cut_at_its_longest_pause() -> None:
    first, second = windows_of(spoken(1, 6, 0.3, 3, 0.45, 1, 0.3, 6))  # pauses after 6, 9.3 and 10.75 s
    assert (first.start + first.inside) / RATE == pytest.approx(10.3 + 0.225, abs=0.05) and second.inside / RATE > 7


def test_speech_without_a_pause_is_cut_with_context_on_both_sides() -> None:
    signal = spoken(2, 75, 5)
    windows = windows_of(signal)
    assert [window.continues for window in windows] == [True] * (len(windows) - 1) + [False] and 3 <= len(windows) <= 6
    for one, other in pairwise(windows):
        assert one.start + one.inside == other.start and other.before == 3 * RATE and one.inside % STEP == 0
    for window in windows:
        assert window.inside <= 30.5 * RATE
        begin = window.start - window.before
        behind = 3 * RATE if window.continues else 0
        assert np.array_equal(window.samples, signal[begin : window.start + window.inside + behind])


def test_not_even_a_stretch_without_end_is_held_whole() -> None:
    drawn = itertools.count()
    windows = iter(SpeechWindows((np.full(RATE, 0.1, np.float32) for _ in drawn), RATE, STEP, Marked(RATE)))
    found = [next(windows) for _ in range(25)]
    assert [n for n, window in enumerate(found) if not window.continues] == [9, 19]
    assert next(drawn) <= sum(window.inside for window in found) / RATE + 75


@given(parts=st.lists(st.floats(0.02, 40), min_size=1, max_size=9), block=st.integers(500, 90_000), rate=st.sampled_from([8000, RATE]))
@settings(max_examples=40, deadline=None)
@example(parts=[0.02, 30.02, 0.02], block=4000, rate=RATE)
@example(parts=[0.02, 31.0], block=4000, rate=RATE)
def test_all_speech_is_in_some_window_and_none_in_two(parts: list[float], block: int, rate: int) -> None:
    signal = spoken(*parts)
    windows = windows_of(signal, block, rate)
    covered = np.zeros(len(signal), int)
    for window in windows:
        assert window.inside > 0 and len(window.samples) >= window.before + window.inside
        covered[window.start : window.start + window.inside] += 1
        begin = window.start - window.before
        assert np.array_equal(window.samples, signal[begin : begin + len(window.samples)])
    assert covered.max(initial=0) <= 1
    lost = (signal != 0) & (covered == 0)
    begins, stops = runs(lost)
    assert (stops - begins).max(initial=0) < 0.15 * rate  # of clicks only


def test_the_cut_is_where_speech_is_least_likely_if_nothing_else_is() -> None:
    speech, probabilities = np.ones(1000, bool), np.full(1000, 0.9)
    probabilities[[100, 700]] = 0.4, 0.5
    assert find_cut(speech, probabilities) == (700, 700)
