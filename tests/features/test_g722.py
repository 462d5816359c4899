"""G.722: bytes without a header, decoded by a library that is installed on demand."""

from __future__ import annotations

import sys
from array import array
from pathlib import Path

import numpy as np
import pytest

from recognizer.errors import InputError
from recognizer.features.audio_file import audio_seconds, load_audio
from recognizer.features.audio_stream import stream_audio


@pytest.fixture
def tone(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A tone of 5 kHz, above what narrowband telephones carry."""
    codec = pytest.importorskip("G722")
    wave = (0.3 * np.sin(2 * np.pi * 5000 * np.arange(16_000) / 16_000)).astype(np.float32)
    coded = codec.G722(16_000, 64_000, use_numpy=False).encode(array("h", (wave * 32767).astype(np.int16).tobytes()))
    path = tmp_path / "tone.G722"
    path.write_bytes(bytes(coded))
    return path, wave


def test_what_is_coded_is_read(tone: tuple[Path, np.ndarray]) -> None:
    path, wave = tone
    read = load_audio(path, 16_000)
    assert read.shape == wave.shape and audio_seconds(path) == 1.0
    spectrum = np.abs(np.fft.rfft(read * np.hanning(len(read))))
    assert spectrum.argmax() == 5000
    assert np.sqrt((read**2).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


def test_a_span_is_a_slice_of_the_whole(tone: tuple[Path, np.ndarray]) -> None:
    path, _ = tone
    whole = load_audio(path, 16_000)
    np.testing.assert_array_equal(load_audio(path, 16_000, 0.25, 0.5), whole[4000:12_000])
    np.testing.assert_array_equal(np.concatenate(list(stream_audio(path, 16_000))), whole)
    assert len(load_audio(path, 8000)) == 8000


def test_without_the_decoder_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "G722", None)
    path = tmp_path / "a.g722"
    path.write_bytes(bytes(100))
    with pytest.raises(InputError, match=r"a\.g722: .*recognizer\[telephony\]"):
        load_audio(path, 16_000)
    (tmp_path / "b.g722").write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        load_audio(tmp_path / "b.g722", 16_000)
