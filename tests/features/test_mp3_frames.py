from __future__ import annotations

import numpy as np
import pytest
import soundfile

from recognizer.errors import InputError
from recognizer.features.audio_file import audio_seconds, load_audio
from recognizer.features.mp3_frames import count_samples

RATES = (8_000, 16_000, 24_000, 44_100)


def write_mp3(path, rate, mode, seconds=3.0):
    """A second of near silence, then noise: a varying bit rate then varies a lot."""
    signal = np.random.default_rng(0).normal(0, 0.2, round(seconds * rate)).astype(np.float32)
    signal[:rate] *= 1e-4
    soundfile.write(path, signal, rate, format="MP3", bitrate_mode=mode, compression_level=0.5)


def strip_length_tag(path):
    """Overwrite the frame that holds the Xing or Info tag with the bytes of no frame."""
    data = bytearray(path.read_bytes())
    place = max(data.find(b"Xing"), data.find(b"Info"))
    assert place > 0
    following = next(i for i in range(place, len(data)) if data[i] == 0xFF and data[i + 1] & 0xE0 == 0xE0)
    path.write_bytes(data[following:])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_count_agrees_with_the_encoder(tmp_path, rate, mode):
    path = tmp_path / "x.mp3"
    write_mp3(path, rate, mode)
    assert count_samples(path) == pytest.approx(3 * rate, abs=4 * 1152)  # encoder delay, padding and the tag's own frame


def test_id3_tag_is_stepped_over(tmp_path):
    path = tmp_path / "x.mp3"
    write_mp3(path, 16_000, "CONSTANT")
    bare = count_samples(path)
    body = b"\xff\xfb\x90\x00" * 50  # looks like frames, but lies within the tag
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00" + bytes([len(body) >> 7, len(body) & 0x7F]) + body + path.read_bytes())
    assert count_samples(path) == bare


def test_varying_bit_rate_without_a_length_is_refused_not_shortened(tmp_path):
    path = tmp_path / "x.mp3"
    write_mp3(path, 44_100, "VARIABLE")
    whole = len(load_audio(path, 44_100))
    strip_length_tag(path)
    try:
        read = len(load_audio(path, 44_100))
    except InputError as error:
        assert "varying bit rate" in str(error)
        with pytest.raises(InputError, match="varying bit rate"):
            audio_seconds(path)
    else:
        assert read >= 0.97 * whole
