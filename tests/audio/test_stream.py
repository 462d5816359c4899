"""Streams: blocks that joined are the whole recording, windows that partition it."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from recognizer.audio.io import load_audio
from recognizer.audio.stream import cut_windows, stream_audio
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


@given(blocks=st.lists(st.integers(0, 40), max_size=12), inside=st.integers(1, 30), context=st.integers(0, 25))
@example(blocks=[], inside=5, context=2)
@example(blocks=[0, 0], inside=5, context=2)
@example(blocks=[10], inside=5, context=5)
@example(blocks=[7, 7, 7], inside=7, context=0)
def test_windows_partition_the_signal(blocks: list[int], inside: int, context: int) -> None:
    signal = np.arange(sum(blocks), dtype=np.float32)
    cuts = np.cumsum(blocks)[:-1] if blocks else []
    windows = list(cut_windows(iter(np.split(signal, cuts)), inside, context))
    place = 0
    for number, window in enumerate(windows):
        last = number == len(windows) - 1
        assert window.last == last and window.before == min(context, place)
        assert 0 < window.inside <= inside + context if last else window.inside == inside
        expected = signal[place - window.before : place + window.inside + (0 if last else context)]
        assert np.array_equal(window.samples, expected)
        place += window.inside
    assert place == len(signal)


def test_windows_are_given_before_the_stream_has_ended() -> None:
    drawn = itertools.count()
    windows = cut_windows((np.zeros(10, dtype=np.float32) for _ in drawn), 50, 20)
    assert [next(windows).before for _ in range(4)] == [0, 20, 20, 20]
    assert next(drawn) <= 23
