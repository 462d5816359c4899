"""Files whose headers do not say what is in them, and files that hold several recordings: all is read, and said."""

from __future__ import annotations

import io
import os
import struct
import threading
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recognizer.audio.io import audio_seconds, load_audio
from recognizer.audio.stream import stream_audio
from recognizer.errors import InputError, RecognizerWarning

RATE = 16_000
WAVE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE) + 0.05 * np.random.default_rng(0).standard_normal(3 * RATE)).astype(np.float32)
KINDS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS"), ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III")}


def encode(kind: str, subtype: str, samples: np.ndarray = WAVE, rate: int = RATE, **options: object) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, subtype=subtype, **options)
    return stream.getvalue()


def read_noted(path: Path, word: str | None) -> np.ndarray:
    """The samples, the same whole and streamed; one note says ``word``."""
    if word is None:
        whole = load_audio(path, RATE)
    else:
        with pytest.warns(RecognizerWarning, match=word) as notes:
            whole = load_audio(path, RATE)
        assert all(str(n.message).startswith(f"{path}: ") and "\n" not in str(n.message) for n in notes)
    streamed = np.concatenate(list(stream_audio(path, RATE)))
    assert len(streamed) == len(whole) and audio_seconds(path) == pytest.approx(len(whole) / RATE, abs=0.01)
    np.testing.assert_allclose(streamed, whole, atol=1e-4)
    return whole


def cover(size: int) -> bytes:
    """An ID3v2.3 tag with a picture of so many random bytes."""
    picture = np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8).tobytes()
    total = size + 10
    return b"ID3\x03\0\0" + bytes(total >> shift & 127 for shift in (21, 14, 7, 0)) + b"APIC" + struct.pack(">I", size) + b"\0\0" + picture


def set_size(wave: bytes, size: int) -> bytes:
    place = wave.index(b"data") + 4
    return wave[:place] + struct.pack("<I", size) + wave[place + 4 :]


def drop_length_tag(mp3: bytes) -> bytes:
    """An MP3 stream without its first frame, which holds the tag and has a bit rate of its own."""
    return mp3[next(i for i in range(60, len(mp3)) if mp3[i] == 0xFF and mp3[i + 1 : i + 2] == mp3[1:2] and mp3[i + 3] == mp3[3]) :]


@pytest.mark.filterwarnings("ignore::recognizer.errors.RecognizerWarning")
@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("rate", [RATE, 8_000])
def test_recordings_behind_each_other_are_all_read(tmp_path: Path, suffix: str, rate: int) -> None:
    pieces = [encode(*KINDS[suffix]), encode(*KINDS[suffix], WAVE[:RATE], rate), encode(*KINDS[suffix])]
    for number, piece in enumerate(pieces):
        (tmp_path / f"{number}{suffix}").write_bytes(piece)
    path = tmp_path / f"all{suffix}"
    path.write_bytes(b"".join(pieces))
    whole = read_noted(path, "3 recordings follow each other")
    expected = np.concatenate([load_audio(tmp_path / f"{number}{suffix}", RATE) for number in range(3)])
    np.testing.assert_allclose(whole, expected, atol=1e-4)
    assert np.array_equal(load_audio(path, RATE, start=2.5, seconds=1.0), whole[40_000:56_000])


@pytest.mark.filterwarnings("ignore::recognizer.errors.RecognizerWarning")
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "GSM610", "IMA_ADPCM"])
@pytest.mark.parametrize("share", [0.5, 0.0])
def test_a_wave_file_whose_size_says_too_little_is_read_whole(tmp_path: Path, subtype: str, share: float) -> None:
    data = encode("WAV", subtype)
    size = struct.unpack("<I", data[data.index(b"data") + 4 :][:4])[0]
    align = struct.unpack("<H", data[32:34])[0]
    (tmp_path / "a.wav").write_bytes(data)
    path = tmp_path / "b.wav"
    path.write_bytes(set_size(data, int(size * share) // align * align))
    whole = read_noted(path, r"its header says \d\.\d s; 3\.\d s are there and read")
    assert np.array_equal(whole, load_audio(tmp_path / "a.wav", RATE))


@pytest.mark.parametrize("tail", [b"LIST" + struct.pack("<I", 12) + b"INFOabcdefgh", bytes(3000), b"id3 " + struct.pack("<I", 3) + b"abc\0"])
def test_chunks_and_padding_behind_the_sound_are_not_sound(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encode("WAV", "PCM_16") + tail)
    assert len(read_noted(path, None)) == len(WAVE)


@pytest.mark.filterwarnings("ignore::recognizer.errors.RecognizerWarning")
def test_sizes_that_wrapped_at_4_gib_are_told_from_the_file(tmp_path: Path) -> None:
    path, size = tmp_path / "a.wav", 5 << 30
    with path.open("wb") as file:
        file.write(set_size(encode("WAV", "PCM_16"), size % 2**32)[:44])
        file.truncate(44 + size)  # sparse
        file.seek(44 + size // 2)
        file.write(b"\1" * 8)
        file.seek(44 + size % 2**32)
        file.write(b"\xff" * 8)
    assert audio_seconds(path) == size / 2 / RATE


@pytest.mark.filterwarnings("ignore::recognizer.errors.RecognizerWarning")
@pytest.mark.parametrize("kind", ["AIFF", "AU", "NIST"])
def test_other_headers_that_say_half(tmp_path: Path, kind: str) -> None:
    data, count = bytearray(encode(kind, "PCM_16")), len(WAVE)
    if kind == "AIFF":
        place = data.index(b"SSND") + 4
        data[place : place + 4] = struct.pack(">I", 8 + count)
    elif kind == "AU":
        data[8:12] = struct.pack(">I", count)
    else:
        data = bytearray(bytes(data).replace(b"sample_count -i %d" % count, b"sample_count -i %d" % (count // 2)))
    path = tmp_path / "a"
    path.write_bytes(data)
    np.testing.assert_allclose(read_noted(path, "its header says"), WAVE, atol=1e-4)


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_an_mp3_with_a_cover(tmp_path: Path, mode: str) -> None:
    plain, path = tmp_path / "a.mp3", tmp_path / "b.mp3"
    data = encode("MP3", "MPEG_LAYER_III", bitrate_mode=mode, compression_level=0.5)
    plain.write_bytes(data)
    path.write_bytes(cover(20_000) + data)
    assert np.array_equal(read_noted(path, None), load_audio(plain, RATE))
    path.write_bytes((cover(20_000) + data)[: 20_020 + len(data) // 2])
    with pytest.raises(InputError, match="broken off"):
        load_audio(path, RATE)


@pytest.mark.filterwarnings("ignore::recognizer.errors.RecognizerWarning")
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_mp3_without_length_tag_is_read_whole_and_a_cut_one_is_noted(tmp_path: Path, mode: str) -> None:
    data = drop_length_tag(encode("MP3", "MPEG_LAYER_III", bitrate_mode=mode, compression_level=0.5))
    path = tmp_path / "a.mp3"
    path.write_bytes(data)
    assert len(read_noted(path, None)) == pytest.approx(len(WAVE), abs=4 * 1152)
    path.write_bytes(data[: len(data) // 2 + 7])
    with pytest.warns(RecognizerWarning, match="last frame is incomplete"):
        assert 0.2 * len(WAVE) < len(load_audio(path, RATE)) < 0.8 * len(WAVE)


@pytest.mark.filterwarnings("ignore::recognizer.errors.RecognizerWarning")
def test_an_mp3_whose_tag_says_too_little_is_read_whole(tmp_path: Path) -> None:
    data = encode("MP3", "MPEG_LAYER_III")
    path = tmp_path / "a.mp3"
    path.write_bytes(data + drop_length_tag(data))
    assert len(read_noted(path, "its header says 3.1 s")) == pytest.approx(2 * len(WAVE), abs=6 * 1152)


def test_mp3_in_wave(tmp_path: Path) -> None:
    data = encode("MP3", "MPEG_LAYER_III")
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE, 8000, 1, 0, 12, 1, 2, 576, 1, 1393)
    path, plain = tmp_path / "a.wav", tmp_path / "a.mp3"
    head = b"RIFF" + struct.pack("<I", 50 + len(data)) + b"WAVEfmt " + struct.pack("<I", 30) + form
    path.write_bytes(head + b"data" + struct.pack("<I", len(data)) + data)
    plain.write_bytes(data)
    assert np.array_equal(read_noted(path, None), load_audio(plain, RATE))


def ogg_checksum(page: bytes) -> int:
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def claim(suffix: str, seconds: int) -> bytes:
    """Three seconds of sound whose header says more."""
    data = bytearray(encode(*KINDS[suffix]))
    if suffix == ".wav":
        return set_size(bytes(data), min(seconds * RATE * 2, 2**31 - 2**17))
    if suffix == ".flac":
        first = struct.unpack(">Q", data[18:26])[0]
        data[18:26] = struct.pack(">Q", first >> 36 << 36 | seconds * RATE)
    elif suffix == ".mp3":
        place = max(data.find(b"Xing"), data.find(b"Info")) + 8
        data[place : place + 4] = struct.pack(">I", seconds * RATE // 576)
    else:
        page = data.rfind(b"OggS")
        data[page + 6 : page + 14] = struct.pack("<Q", seconds * (48_000 if suffix == ".opus" else RATE))
        data[page + 22 : page + 26] = bytes(4)
        data[page + 22 : page + 26] = struct.pack("<I", ogg_checksum(data[page:]))
    return bytes(data)


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("seconds", [20, 360_000])
def test_a_header_that_claims_hours_costs_no_memory(tmp_path: Path, suffix: str, seconds: int) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(claim(suffix, seconds))
    tracemalloc.start()
    for read in (lambda: load_audio(path, RATE), lambda: list(stream_audio(path, RATE))):
        with pytest.raises(InputError, match="broken off"):
            read()
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    with suppress(InputError):
        assert audio_seconds(path) < 3600  # what the size of the file makes possible


@pytest.mark.filterwarnings("ignore::recognizer.errors.RecognizerWarning")
@pytest.mark.parametrize("stated", [0, RATE])
def test_flac_that_states_no_length_or_too_little_is_read_whole(tmp_path: Path, stated: int) -> None:
    data = bytearray(encode("FLAC", "PCM_16"))
    data[18:26] = struct.pack(">Q", struct.unpack(">Q", data[18:26])[0] >> 36 << 36 | stated)
    path = tmp_path / "a.flac"
    path.write_bytes(data)
    np.testing.assert_allclose(read_noted(path, "its header says 1.0 s" if stated else None), WAVE, atol=1e-4)


def test_bytes_that_look_like_the_last_frame_of_flac_are_none(tmp_path: Path) -> None:
    data, path = encode("FLAC", "PCM_16"), tmp_path / "a.flac"
    for code in range(1, 16):  # how its header says the number of its samples
        path.write_bytes(data[:-20] + b"\xff\xf8" + bytes([code << 4 | 9, 8, 5, 1, 2, 3]) + data[-12:])
        with pytest.raises(InputError, match="damaged"):
            load_audio(path, RATE)


@pytest.mark.parametrize(("rate", "fine"), [(1, False), (3_999, False), (4_000, True), (768_000, True), (768_001, False)])
def test_sample_rates_that_cannot_be(tmp_path: Path, rate: int, fine: bool) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, WAVE[:8000], rate)
    if fine:
        assert len(load_audio(path, RATE)) == pytest.approx(8000 * RATE / rate, abs=1)
    else:
        with pytest.raises(InputError, match=f"sample rate of {rate} Hz"):
            audio_seconds(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(encode("WAV", "FLOAT")))
    writer.start()
    assert np.array_equal(load_audio(path, RATE), WAVE)
    writer.join()
    with pytest.raises(InputError, match="is a pipe"):
        audio_seconds(path)
    with pytest.raises(InputError, match="device"):
        load_audio("/dev/zero", RATE)


@pytest.mark.parametrize("suffix", list(KINDS))
def test_a_recording_without_samples_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encode(*KINDS[suffix], np.empty(0, dtype=np.float32)))
    with pytest.raises(InputError, match=r"a\.\w+: (the file is empty|the recording has no samples|not audio that can be read)"):
        load_audio(path, RATE)


def test_the_header_of_flac_alone_is_refused(tmp_path: Path) -> None:
    data = encode("FLAC", "PCM_16")
    (tmp_path / "a.flac").write_bytes(b"fLaC\x80" + data[5:42])  # its only block of metadata, and no frame
    with pytest.raises(InputError, match=r"a\.flac: "):
        load_audio(tmp_path / "a.flac", RATE)


@pytest.mark.parametrize("kept", [2, 6, 10, 40])
@pytest.mark.filterwarnings("ignore::recognizer.errors.RecognizerWarning")
def test_an_mp3_cut_within_its_length_tag_is_refused(tmp_path: Path, kept: int) -> None:
    data = encode("MP3", "MPEG_LAYER_III")
    (tmp_path / "a.mp3").write_bytes(data[: max(data.find(b"Xing"), data.find(b"Info")) + kept])
    with pytest.raises(InputError, match=r"a\.mp3: (no samples|not audio|the recording)"):
        load_audio(tmp_path / "a.mp3", RATE)
