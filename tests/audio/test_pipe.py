"""Sound from a pipe: every kind of WAV as soundfile reads it, bare samples, headers that programs write before they know the length."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

import numpy as np
import pytest
import soundfile

from recognizer.audio.pipe import read_pipe
from recognizer.errors import InputError

SAMPLES = np.sin(np.arange(3001) / 7).astype(np.float32) * 0.5


class Slow(io.BytesIO):
    """A pipe that gives a few bytes at a time."""

    def read1(self, size: int | None = -1) -> bytes:
        return super().read1(min(size or 0, 37))


def collect(pipe: BinaryIO, rate: int = 16_000) -> tuple[int, np.ndarray]:
    found, blocks = read_pipe(pipe, "pipe", rate)
    return found, np.concatenate([np.empty(0, np.float32), *blocks])


def wav(samples: np.ndarray = SAMPLES, subtype: str = "PCM_16", rate: int = 22_050, format: str = "WAV") -> bytes:
    target = io.BytesIO()
    soundfile.write(target, samples, rate, subtype, format=format)
    return target.getvalue()


@pytest.mark.parametrize("format", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_wav_is_what_soundfile_reads(format: str, subtype: str) -> None:
    content = wav(subtype=subtype, format=format)
    rate, found = collect(Slow(content))
    assert rate == 22_050 and found.dtype == np.float32
    np.testing.assert_allclose(found, soundfile.read(io.BytesIO(content), dtype="float32")[0], atol=1e-6)


def test_channels_are_averaged() -> None:
    _, found = collect(Slow(wav(np.stack([SAMPLES, 0 * SAMPLES], axis=1), "FLOAT")))
    np.testing.assert_allclose(found, SAMPLES / 2, atol=1e-7)


def test_bare_samples_and_an_odd_byte_at_the_end() -> None:
    content = (SAMPLES * 32767).astype("<i2").tobytes()
    rate, found = collect(Slow(content + b"x"), 8000)
    assert rate == 8000
    np.testing.assert_allclose(found, SAMPLES, atol=1e-4)
    for few in (b"", b"a", b"abc"):
        assert len(collect(io.BytesIO(few))[1]) == len(few) // 2


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 2**31 - 36])
def test_a_size_that_was_not_known_is_until_the_end(size: int) -> None:
    content = wav()
    place = content.index(b"data") + 4
    assert len(collect(io.BytesIO(content[:place] + struct.pack("<I", size) + content[place + 4 :]))[1]) == 3001


def test_what_follows_the_samples_is_not_sound() -> None:
    assert len(collect(io.BytesIO(wav() + b"LIST" + struct.pack("<I", 4) + b"abcd"))[1]) == 3001


@pytest.mark.parametrize(("content", "message"), [
    (b"RIFF1234AVI ", "the WAV header is broken off or not one; write it anew"),
    (b"RIFF", "the WAV header is broken off or not one; write it anew"),
    (wav()[:30], "the WAV header is broken off or not one; write it anew"),
    (wav(subtype="ULAW"), r"WAV of format 7 with 8 bits; expected PCM or float"),
    (wav(rate=100), r"its header says a sample rate of 100 Hz; expected 4 to 768 kHz"),
    (b"OggS....", r"is neither WAV nor bare samples; convert it on its way"),
    (wav(np.full(9, np.nan, np.float32), "FLOAT"), r"the recording has NaN or infinite samples"),
])  # fmt: skip
def test_what_cannot_be_read_is_one_line(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=f"^pipe: {message}"):
        collect(io.BytesIO(content))
