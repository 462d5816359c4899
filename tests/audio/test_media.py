"""Formats beyond libsndfile: read by PyAV where it is installed, else named together with the way out."""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from recognizer.audio.io import AUDIO_SUFFIXES, audio_seconds, load_audio
from recognizer.audio.media import identify, identify_codec
from recognizer.audio.stream import stream_audio
from recognizer.errors import InputError

RATE = 16_000
HEADS = {
    ".m4a": b"\0\0\0\x20ftypM4A \0\0\0\0", ".mp4": b"\0\0\0\x20ftypisom\0\0\0\0", ".webm": b"\x1a\x45\xdf\xa3\x9f", ".amr": b"#!AMR\n",
    ".aac": b"\xff\xf1\x60\x40\x20\x7f\xfc", ".ogg": b"OggS\0\2" + bytes(21) + b"\x33\x7fFLAC", ".wma": bytes.fromhex("3026b2758e66cf11"),
}
NAMES = {".m4a": "MP4", ".mp4": "MP4", ".webm": "WebM", ".amr": "AMR", ".aac": "AAC", ".ogg": "FLAC in Ogg", ".wma": "Windows Media"}


@pytest.mark.parametrize("suffix", HEADS)
def test_without_pyav_the_error_names_the_format_and_the_way_out(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recognizer.audio.media.media_available", lambda: False)
    monkeypatch.setattr("recognizer.audio.media.find_ffmpeg", lambda: None)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(HEADS[suffix].ljust(100, b"\0"))
    found = identify(path.read_bytes()) or identify_codec(path.read_bytes())
    assert suffix in AUDIO_SUFFIXES and found is not None and found.name.startswith(NAMES[suffix])
    if suffix != ".ogg":  # whose pages are checked first
        with pytest.raises(InputError, match=rf"a\{suffix}: {NAMES[suffix]}.* needs PyAV or ffmpeg.*ffmpeg -i a\{suffix} a\.wav"):
            load_audio(path, RATE)


def test_what_libsndfile_reads_is_left_to_it() -> None:
    heads = [b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0", b"fLaC", b"ID3\x03", b"\xff\xfb\x90\x00\0\0\0"]
    heads += [b"FORM\0\0\0\0AIFF", b"NIST_1A\n", b"OggSOpusHead"]
    assert not any(identify(head) or identify_codec(head) for head in heads)


@pytest.mark.parametrize(("name", "codec", "rate", "peak"), [
    ("a.m4a", "aac", RATE, 0.3), ("a.aac", "aac", RATE, 0.3), ("a.m4a", "alac", RATE, 0.3), ("a.mka", "flac", RATE, 0.3),
    ("a.ogg", "flac", RATE, 0.3), ("a.webm", "libopus", 48_000, 0.3), ("a.wav", "g726", 8_000, 0.3), ("a.mp4", "aac", 44_100, 0.3),
])
def test_pyav_reads_them(tmp_path: Path, name: str, codec: str, rate: int, peak: float) -> None:
    path = encode(tmp_path / name, codec, rate)
    read = load_audio(path, RATE)
    assert len(read) == pytest.approx(3 * RATE, abs=0.1 * RATE) and audio_seconds(path) == pytest.approx(3, abs=0.1)
    middle = read[8_000:40_000]
    assert np.abs(np.fft.rfft(middle)).argmax() * RATE / len(middle) == 440 and np.abs(middle).max() == pytest.approx(peak, abs=0.05)
    assert len(np.concatenate(list(stream_audio(path, RATE)))) == pytest.approx(len(read), abs=2)


def encode(path: Path, codec: str, rate: int) -> Path:
    """Three seconds of a tone, by PyAV."""
    av = pytest.importorskip("av", reason="the extra media")
    wave = (0.3 * np.sin(2 * np.pi * 440 * np.arange(3 * rate) / rate)).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "mono"
        stream.codec_context.open()
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        resampler = av.AudioResampler(stream.codec_context.format.name, "mono", rate, stream.codec_context.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(piece))
    return path


FFMPEG = """#!{python}
import sys
import struct
assert "-nostdin" in sys.argv and sys.argv[sys.argv.index("-f") + 1] == "mov" and sys.argv[-1] == "-", sys.argv
data = open(sys.argv[sys.argv.index("-i") + 1].removeprefix("file:"), "rb").read()
if b"video" in data:
    sys.exit("Stream map '0:a:0' matches no streams.")
if b"damaged" in data:
    sys.exit("moov atom not found")
sys.stdout.buffer.write(struct.pack(">4s5I", b".snd", 32, 0xFFFFFFFF, 6, 8000, 2) + bytes(8) + struct.pack(">2f", 0.5, 0.25) * 16000)
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for ffmpeg: two seconds of two channels at 8 kHz, whatever the file."""
    path = tmp_path / "ffmpeg"
    path.write_text(FFMPEG.format(python=sys.executable))
    path.chmod(0o755)
    monkeypatch.setattr("recognizer.audio.media.media_available", lambda: False)
    monkeypatch.setattr("recognizer.audio.media.find_ffmpeg", lambda: str(path))
    return path


@pytest.mark.skipif(os.name == "nt", reason="the program that stands for ffmpeg is a script")
def test_the_program_ffmpeg_is_the_second_choice(tmp_path: Path, program: Path) -> None:
    path = tmp_path / "-a b.m4a"
    path.write_bytes(HEADS[".m4a"].ljust(100, b"\0"))
    samples = load_audio(path, 8_000, channel="mix")
    assert len(samples) == 16_000 and np.allclose(samples, 0.375) and audio_seconds(path) == 2
    assert np.array_equal(np.concatenate(list(stream_audio(path, 8_000, "right"))), np.full(16_000, 0.25, np.float32))
    for content, message in ((b"video", "holds no sound"), (b"damaged", r"cannot be read, or broken off \(moov atom not found\)")):
        path.write_bytes(HEADS[".m4a"] + content)
        with pytest.raises(InputError, match=message):
            load_audio(path, RATE)


def test_a_video_without_sound_says_so(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="the extra media")
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match=r"a\.mp4: holds no sound$"):
        load_audio(path, RATE)


def test_a_playlist_under_such_a_name_leads_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    path.write_bytes(b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")
    with pytest.raises(InputError, match="not audio"):
        load_audio(path, RATE)
