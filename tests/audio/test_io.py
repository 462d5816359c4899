"""Recordings on disk: what is written is read, a span is a slice, damage is named in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from recognizer.audio.io import AUDIO_SUFFIXES, audio_seconds, load_audio
from recognizer.audio.mp3 import find_mp3_parts
from recognizer.audio.stream import stream_audio
from recognizer.errors import InputError, RecognizerWarning

FORMATS = [  # suffix, subtype, largest error of a sample
    (".wav", "PCM_U8", 1 / 127), (".wav", "PCM_16", 1 / 32_000), (".wav", "PCM_24", 1e-6), (".wav", "FLOAT", 0.0),
    (".flac", "PCM_16", 1 / 32_000), (".flac", "PCM_24", 1e-6), (".ogg", "VORBIS", 0.1), (".opus", "OPUS", 0.1),
    (".mp3", "MPEG_LAYER_III", 0.1), (".aiff", "PCM_16", 1 / 32_000), (".au", "PCM_16", 1 / 32_000),
]


def sine(rate: int, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)).astype(np.float32)


def noise(samples: int, level: float = 0.2) -> np.ndarray:
    return level * np.random.default_rng(0).standard_normal(samples)


def write(path: Path, samples: np.ndarray, rate: int, subtype: str | None = None) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype, format="OGG" if path.suffix == ".opus" else None)
    return path


def write_sphere(path: Path, samples: np.ndarray, rate: int, order: str) -> Path:
    count, channels = samples.shape
    fields = [("sample_count", "i", count), ("sample_rate", "i", rate), ("channel_count", "i", channels), ("sample_n_bytes", "i", 2),
        ("sample_byte_format", "s2", order), ("sample_sig_bits", "i", 16), ("sample_coding", "s3", "pcm")]
    header = "NIST_1A\n   1024\n" + "".join(f"{key} -{kind} {value}\n" for key, kind, value in fields) + "end_head\n"
    data = np.round(samples * 32767).astype("<i2" if order == "01" else ">i2").tobytes()
    path.write_bytes(header.encode().ljust(1024) + data)
    return path


def refused(path: Path, **options: float) -> str:
    with pytest.raises(InputError) as caught:
        load_audio(path, 16_000, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message[len(f"{path}: ") :]


@pytest.mark.parametrize(("suffix", "subtype", "error"), FORMATS)
def test_what_is_written_is_read(tmp_path: Path, suffix: str, subtype: str, error: float) -> None:
    wave = sine(16_000)
    path = write(tmp_path / f"a{suffix}", wave, 16_000, subtype)
    read = load_audio(path, 16_000)
    assert read.dtype == np.float32 and read.shape == wave.shape and suffix in AUDIO_SUFFIXES
    assert np.abs(read - wave)[2000:-2000].max() <= error
    assert audio_seconds(path) == pytest.approx(1.0)


@pytest.mark.filterwarnings("ignore::recognizer.errors.RecognizerWarning")
@pytest.mark.parametrize("name", ["a.sph", "A.WAV", "a.nist"])
@pytest.mark.parametrize("order", ["01", "10"])
def test_sphere_under_any_name_and_channels_averaged(tmp_path: Path, name: str, order: str) -> None:
    both = np.stack([sine(16_000), 0.2 * sine(16_000, hertz=1000.0)], axis=1)
    path = write_sphere(tmp_path / name, both, 16_000, order)
    np.testing.assert_allclose(load_audio(path, 16_000), both.mean(1), atol=1e-4)
    assert audio_seconds(path) == 1.0


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000])
def test_a_resampled_sine_is_the_sine_at_that_rate(tmp_path: Path, rate: int) -> None:
    read = load_audio(write(tmp_path / "a.wav", sine(rate), rate), 16_000)
    assert len(read) == 16_000 and np.abs(read - sine(16_000))[500:-500].max() < 1e-3


@pytest.mark.parametrize(("suffix", "subtype"), [(".wav", "PCM_16"), (".flac", "PCM_16"), (".mp3", None), (".ogg", "VORBIS"), (".opus", "OPUS")])
@pytest.mark.parametrize("target", [16_000, 24_000])
def test_a_span_is_a_slice(tmp_path: Path, suffix: str, subtype: str | None, target: int) -> None:
    path = write(tmp_path / f"a{suffix}", noise(3 * 24_000), 24_000, subtype)
    whole = load_audio(path, target)
    for start, seconds in ((0.0, 0.7), (0.5, 0.31), (1.2345, 1.0), (2.5, 9.0), (2.0, None)):
        first = round(start * target)
        last = None if seconds is None else first + round(seconds * target)
        span = load_audio(path, target, start, seconds)
        assert len(span) == len(whole[first:last])
        assert np.abs(span - whole[first:last])[:-50].max() < (0.02 if suffix == ".opus" else 1e-5)


def test_only_the_span_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.wav", np.zeros(60 * 8_000), 8_000)
    read, counts = soundfile.SoundFile.read, []
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda self, frames=-1, *a, **k: counts.append(frames) or read(self, frames, *a, **k))
    load_audio(path, 16_000, start=30.0, seconds=1.0)
    assert sum(counts) <= 8_000 * 3


def test_broken_files_are_named(tmp_path: Path) -> None:
    text, empty, headerless = tmp_path / "a.wav", tmp_path / "b.wav", tmp_path / "c.raw"
    text.write_text("this is no recording\n" * 100)
    empty.touch()
    headerless.write_bytes(bytes(1000))
    faults = {tmp_path / "none.wav": "no such file", tmp_path: "folder", empty: "empty", text: "not audio", headerless: "headerless"}
    for path, word in faults.items():
        assert word in refused(path)
    assert "no samples" in refused(write(tmp_path / "d.wav", np.zeros(0), 16_000))
    assert "no samples from 2 s" in refused(write(tmp_path / "e.wav", np.zeros(16_000), 16_000), start=2.0)
    with pytest.raises(InputError, match="no such file"):
        audio_seconds(tmp_path / "none.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 32767.0])
def test_impossible_samples_are_refused(tmp_path: Path, value: float) -> None:
    wave = sine(16_000)
    wave[5000] = value
    assert "samples" in refused(write(tmp_path / "a.wav", wave, 16_000, "FLOAT"))


def test_overshoot_is_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", 3 * sine(16_000), 16_000, "FLOAT")
    assert np.abs(load_audio(path, 16_000)).max() == np.abs(load_audio(path, 8_000)).max() == 1.0


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg", ".opus", ".sph", ".aiff", ".au"])
@pytest.mark.parametrize("share", [0.3, 0.97])
def test_a_broken_off_recording_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".sph":
        write_sphere(path, noise(32_000)[:, None], 16_000, "01")
    else:
        write(path, noise(32_000), 16_000, "OPUS" if suffix == ".opus" else None)
    assert len(load_audio(path, 16_000)) == 32_000
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert "broken off" in refused(path)


def test_a_wave_file_written_to_a_pipe_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", sine(16_000), 16_000)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert len(load_audio(path, 16_000)) == 16_000


def write_mp3(path: Path, rate: int, mode: str) -> Path:
    """A second of near silence, then noise: a varying bit rate then varies a lot."""
    signal = noise(3 * rate)
    signal[:rate] *= 1e-4
    soundfile.write(path, signal, rate, format="MP3", bitrate_mode=mode, compression_level=0.5)
    return path


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_the_count_of_mp3_samples_agrees_with_the_encoder_and_ignores_tags(tmp_path: Path, rate: int, mode: str) -> None:
    path = write_mp3(tmp_path / "a.mp3", rate, mode)
    (part,) = find_mp3_parts(path, path).parts
    count = part.samples
    assert count == pytest.approx(3 * rate, abs=4 * 1152)  # encoder delay, padding and the length tag's own frame
    body = b"\xff\xfb\x90\x00" * 50  # looks like frames, but lies within the ID3 tag
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00" + bytes([len(body) >> 7, len(body) & 0x7F]) + body + path.read_bytes())
    (part,) = find_mp3_parts(path, path).parts
    assert part.samples == count


def test_varying_bit_rate_without_a_length_is_refused_not_shortened(tmp_path: Path) -> None:
    path = write_mp3(tmp_path / "a.mp3", 44_100, "VARIABLE")
    whole = len(load_audio(path, 44_100))
    data = path.read_bytes()
    tag = max(data.find(b"Xing"), data.find(b"Info"))
    assert tag > 0
    path.write_bytes(data[next(i for i in range(tag, len(data)) if data[i] == 0xFF and data[i + 1] & 0xE0 == 0xE0) :])
    try:
        assert len(load_audio(path, 44_100)) >= 0.97 * whole
    except InputError:
        with pytest.raises(InputError, match="varying bit rate"):
            audio_seconds(path)


def stereo(path: Path, left: np.ndarray, right: np.ndarray) -> Path:
    soundfile.write(path, np.stack([left, right], axis=1), 16_000, subtype="FLOAT")
    return path


def test_ordinary_stereo_is_averaged_and_each_channel_can_be_had(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    left = noise(16_000).astype(np.float32)
    right = (0.7 * left + 0.1 * sine(16_000)).astype(np.float32)
    path = stereo(tmp_path / "a.wav", left, right)
    mixed = np.stack([left, right], axis=1).mean(axis=1)
    wanted = {"auto": mixed, "mix": mixed, "left": left, "right": right}
    for channel, expected in wanted.items():
        assert np.array_equal(load_audio(path, 16_000, channel=channel), expected.clip(-1, 1))
        assert np.array_equal(np.concatenate(list(stream_audio(path, 16_000, channel))), expected.clip(-1, 1))
    assert not recwarn.list


@pytest.mark.filterwarnings("ignore::recognizer.errors.RecognizerWarning")
def test_channels_that_cancel_or_are_silent_are_not_averaged(tmp_path: Path) -> None:
    wave = sine(16_000)
    cases = [(0.9 * wave, -wave, "cancel each other.*right", wave), (wave, -1.001 * wave, "cancel each other.*left", wave),
        (0 * wave, wave, "only one.*right", wave),
        (wave, 0.05 + 0 * wave, "only one.*left", wave),
        (wave, sine(16_000, 1000.0), "different sounds", (wave + sine(16_000, 1000.0)) / 2)]
    for left, right, word, expected in cases:
        path = stereo(tmp_path / "a.wav", left, right)
        with pytest.warns(RecognizerWarning, match=word):
            read = load_audio(path, 16_000)
        np.testing.assert_allclose(np.abs(read), np.abs(expected), atol=1e-6)
        assert np.array_equal(np.concatenate(list(stream_audio(path, 16_000))), read)
