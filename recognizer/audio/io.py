"""Recordings on disk: any format that libsndfile reads, as one channel at the wanted sample rate."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr

from recognizer.errors import InputError

# Lower case; the content decides how a file is read, the suffix only whether a folder's file is taken for a recording.
AUDIO_SUFFIXES: frozenset[str] = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".sph", ".nist", ".aif", ".aiff", ".au", ".snd", ".caf", ".w64", ".rf64"}
)

BLOCK = 65_536  # frames decoded at a time where not all are kept
_MARGIN = 0.05  # seconds decoded on either side of a span, so that the resampling filter sees what is beyond its ends
_MAX_SAMPLE = 8.0  # a float file beyond this holds integers, not samples in [-1, 1]
_MAX_OGG_PAGE = 65_307  # bytes (RFC 3533, section 6)
# MPEG layer III: bit rates, kbit/s, by index 1..14 of MPEG-1 (True) and MPEG-2 with 2.5; sample rates, Hz, by version bits
_BIT_RATES = {
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def load_audio(path: str | Path, sample_rate: int, start: float = 0.0, seconds: float | None = None) -> np.ndarray:
    """Read a recording, or a span of it, as float32 samples (N,) in [-1, 1]; channels are averaged.

    Only the span is decoded (MP3: all before it as well, but not kept), so memory is bounded by the span. A span equals
    the same slice of the whole: bit for bit in PCM formats at their own rate, closely where samples are resampled or
    decoded from Opus. What reaches beyond the end of the recording is left out.

    Args:
        path: WAV, FLAC, Ogg (Opus, Vorbis), MP3, NIST SPHERE (under any name), AIFF, AU, CAF, W64; 8 to 32 bits or float.
        sample_rate: of the result, Hz; other rates are resampled by soxr (HQ).
        start: seconds into the recording.
        seconds: length of the span; None: up to the end.

    Raises:
        InputError: no such file, not audio, broken off, without samples (in the span), or with NaN or infinite samples.
    """
    with open_audio(path) as sound:
        first = round(start * sample_rate)
        last = None if seconds is None else first + round(seconds * sample_rate)
        samples = _read_span(sound, sample_rate, first, last, path)
        if len(samples) == 0:
            raise InputError(f"{path}: no samples from {start:g} s on (it lasts {sound.frames / sound.samplerate:.3f} s)")
    return np.clip(samples, -1.0, 1.0)


def audio_seconds(path: str | Path) -> float:
    """Duration of a recording in seconds by its header; raises :class:`InputError` as :func:`load_audio` does."""
    with open_audio(path) as sound:
        return sound.frames / sound.samplerate


@contextmanager
def open_audio(path: str | Path) -> Iterator[soundfile.SoundFile]:
    """Open a recording and check that it is whole; raises :class:`InputError` as :func:`load_audio` does."""
    file = Path(path)
    _check_readable(file)
    try:
        # Bytes, as soundfile refuses names that are not UTF-8; on Windows it wants text.
        with soundfile.SoundFile(str(file) if os.name == "nt" else os.fsencode(file)) as sound:
            _check_complete(file, sound)
            if sound.frames == 0:
                raise InputError(f"{path}: the recording has no samples")
            yield sound
    except TypeError:  # soundfile's answer to a file named .raw
        raise InputError(f"{path}: headerless audio; give it a header (`sox -r RATE -e signed -b 16 -c 1 IN OUT.wav`)") from None
    except soundfile.LibsndfileError as error:
        reason = error.error_string.strip().rstrip(".")
        if "does not exist" in reason:  # what libsndfile says of MPEG audio without a single frame
            reason = "no MPEG frame found"
        raise InputError(f"{path}: not audio that can be read, or broken off ({reason})") from None


def disable_seeking(sound: soundfile.SoundFile) -> None:
    """Read a file front to back: soundfile seeks after every read, and seeks in MP3 miss their place and lose the bits that frames share."""
    sound.seekable = lambda: False


def check_samples(samples: np.ndarray, name: str | Path) -> None:
    """Raise :class:`InputError` if float samples are NaN, infinite or far beyond [-1, 1]; the message begins with ``name``."""
    peak = float(np.abs(samples).max(initial=0.0))
    if not math.isfinite(peak):
        raise InputError(f"{name}: the recording has NaN or infinite samples")
    if peak > _MAX_SAMPLE:
        raise InputError(f"{name}: samples reach {peak:g}; expected -1 to 1")


def count_mp3_samples(path: Path) -> int:
    """Samples per channel in all Layer III frames of a file; what is not a frame (tags, garbage) is stepped over.

    Ours, as libsndfile estimates the length of a file without a length tag from its size and reads no further.
    """
    data = path.read_bytes()
    place, samples = 0, 0
    if data[:3] == b"ID3" and len(data) >= 10:
        for byte in data[6:10]:  # size of the tag, seven bits a byte
            place = place << 7 | byte & 0x7F
        place += 10
    while 0 <= place <= len(data) - 4:
        frame = _parse_mp3_header(data[place : place + 4])
        if frame is None:
            place = data.find(b"\xff", place + 1)
        else:
            samples += frame[1]
            place += frame[0]
    return samples


def _parse_mp3_header(header: bytes) -> tuple[int, int] | None:
    """Bytes and samples of the frame that begins with four bytes; None if none begins there."""
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bit_rate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0 or version == 1 or layer != 1 or bit_rate in (0, 15) or rate == 3:
        return None
    samples = 1152 if version == 3 else 576
    size = samples // 8 * _BIT_RATES[version == 3][bit_rate - 1] * 1000 // _SAMPLE_RATES[version][rate] + padding
    return size, samples


def _check_readable(file: Path) -> None:
    try:
        if file.is_dir():
            raise InputError(f"{file}: is a folder, not a recording")
        with file.open("rb") as stream:
            head = stream.read(1024)
    except FileNotFoundError:
        raise InputError(f"{file}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not head:
        raise InputError(f"{file}: the file is empty")
    if head.startswith(b"NIST_1A") and b"shorten" in head:
        raise InputError(f"{file}: shorten-compressed NIST SPHERE; decompress it with `sph2pipe -p`")


def _check_complete(file: Path, sound: soundfile.SoundFile) -> None:
    """Compare what the header promises with what is there, where libsndfile only shortens the recording in silence."""
    complete = True
    if sound.format == "NIST":
        count = re.search(rb"^sample_count -i (\d+)", _read_head(file), re.MULTILINE)
        complete = count is None or sound.frames >= int(count[1])
    elif sound.format == "OGG":
        complete = _ends_with_whole_page(file)
    elif sound.format == "MP3":
        if not _states_length(file) and sound.frames < 0.98 * (samples := count_mp3_samples(file)):
            found = f"{sound.frames / sound.samplerate:.1f} of {samples / sound.samplerate:.1f} s would be read"
            raise InputError(f"{file}: MP3 of varying bit rate without a length tag ({found}); convert it to WAV or FLAC")
    else:
        # libsndfile's log; sizes of 0 and near 2**31 or 2**32 are placeholders of programs that wrote to a pipe.
        short = re.search(r"(?:data|SSND|Data Size|Riff size|riff)\s*: (\d+) \(should be (\d+)\)", sound.extra_info)
        complete = short is None or not int(short[2]) < int(short[1]) < 2**31 - 2**16
    if not complete:
        raise _broken_off(file)


def _read_head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(4096)


def _states_length(path: str | Path) -> bool:
    """Whether an MP3 file says how many frames it has; else libsndfile's number is an estimate from the size."""
    head = _read_head(Path(path))
    return b"Xing" in head or b"Info" in head


def _ends_with_whole_page(file: Path) -> bool:
    with file.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, 2) - _MAX_OGG_PAGE))
        tail = stream.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    return len(page) >= 27 and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])


def _broken_off(path: str | Path) -> InputError:
    return InputError(f"{path}: the recording is broken off (shorter than its header says); copy it again")


def _read_span(sound: soundfile.SoundFile, sample_rate: int, first: int, last: int | None, path: str | Path) -> np.ndarray:
    """Samples ``first`` to ``last`` of the recording as it is at ``sample_rate``."""
    source_rate = sound.samplerate
    if source_rate == sample_rate:
        return _decode(sound, first, last, path)
    # Decoding starts where a sample of the source and one of the result coincide, so a span is not shifted in phase.
    common = math.gcd(source_rate, sample_rate)
    source_step, step = source_rate // common, sample_rate // common
    steps = max(0, math.floor((first - _MARGIN * sample_rate) / step))
    source_last = None if last is None else math.ceil((last / sample_rate + _MARGIN) * source_rate)
    source = _decode(sound, steps * source_step, source_last, path)
    if len(source) == 0:
        return source
    offset = first - steps * step
    return soxr.resample(source, source_rate, sample_rate, quality="HQ")[offset : None if last is None else offset + last - first]


def _decode(sound: soundfile.SoundFile, first: int, last: int | None, path: str | Path) -> np.ndarray:
    """Frames ``first`` to ``last`` (or the end), channels averaged, checked."""
    first = min(max(0, first), sound.frames)
    last = sound.frames if last is None else min(max(first, last), sound.frames)
    if sound.format == "MP3":
        disable_seeking(sound)
        for skipped in range(0, first, BLOCK):
            sound.read(min(BLOCK, first - skipped), dtype="float32")
    else:
        sound.seek(first)
    channels = sound.read(last - first, dtype="float32", always_2d=True)  # (N, C)
    if len(channels) < last - first and (sound.format != "MP3" or _states_length(path)):
        raise _broken_off(path)
    samples = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)
    check_samples(samples, path)
    return samples
