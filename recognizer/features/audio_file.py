"""Recordings on disk: any format that libsndfile reads, and G.722, as one channel at the wanted sample rate."""

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
from recognizer.features import g722
from recognizer.features.mp3_frames import count_samples

# Lower case; the content decides how a file is read (but for G.722), the suffix only whether a folder's file is taken for a recording.
AUDIO_SUFFIXES: frozenset[str] = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".sph", ".nist", ".aif", ".aiff", ".au", ".snd", ".caf", ".w64", ".rf64", g722.SUFFIX}
)

_MARGIN = 0.05  # seconds decoded on either side of a span, so that the resampling filter sees what is beyond its ends
_BLOCK = 65_536  # frames decoded at a time where frames have to be skipped
_LOUDEST = 8.0  # a float file beyond this holds integers, not samples in [-1, 1]
_OGG_PAGE = 65_307  # largest size of an Ogg page in bytes (RFC 3533, section 6)


def load_audio(path: str | Path, sample_rate: int, start: float = 0.0, seconds: float | None = None) -> np.ndarray:
    """Read a recording, or a span of it, as float32 samples (N,) in [-1, 1]; channels are averaged.

    Only the span is decoded (MP3: all before it as well, but not kept), so memory is bounded by the span. A span equals
    the same slice of the whole: bit for bit in PCM formats at their own rate, closely where samples are resampled or
    decoded from Opus. What reaches beyond the end of the recording is left out.

    Args:
        path: WAV, FLAC, Ogg (Opus, Vorbis), MP3, NIST SPHERE (under any name), AIFF, AU, CAF, W64; 8 to 32 bits or float. G.722 by
            its suffix (needs the extra ``telephony``; decoded whole).
        sample_rate: of the result, Hz; other rates are resampled by soxr (HQ).
        start: seconds into the recording.
        seconds: length of the span; None: up to the end.

    Raises:
        InputError: no such file, not audio, broken off, without samples (in the span), or with NaN or infinite samples.
    """
    with opened_audio(path) as sound:
        first = round(start * sample_rate)
        last = None if seconds is None else first + round(seconds * sample_rate)
        samples = _read_span(sound, sample_rate, first, last, path)
        if len(samples) == 0:
            raise InputError(f"{path}: no samples from {start:g} s on (it lasts {sound.frames / sound.samplerate:.3f} s)")
    return np.clip(samples, -1.0, 1.0)


def audio_seconds(path: str | Path) -> float:
    """Duration of a recording in seconds by its header; raises :class:`InputError` as :func:`load_audio` does."""
    with opened_audio(path) as sound:
        return sound.frames / sound.samplerate


@contextmanager
def opened_audio(path: str | Path) -> Iterator[soundfile.SoundFile]:
    """Open a recording and check that it is whole; raises :class:`InputError` as :func:`load_audio` does."""
    file = Path(path)
    _check_readable(file)
    try:
        # soundfile refuses names that are not UTF-8
        with g722.open_g722(file) if file.suffix.lower() == g722.SUFFIX else soundfile.SoundFile(os.fsencode(file)) as sound:
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
        with file.open("rb") as stream:
            count = re.search(rb"^sample_count -i (\d+)", stream.read(1024), re.MULTILINE)
        complete = count is None or sound.frames >= int(count[1])
    elif sound.format == "OGG":
        complete = _ends_with_whole_page(file)
    elif sound.format == "MP3":
        _check_mp3_length(file, sound)
    else:
        # libsndfile's log; sizes of 0 and near 2**31 or 2**32 are placeholders of programs that wrote to a pipe.
        short = re.search(r"(?:data|SSND|Data Size|Riff size|riff)\s*: (\d+) \(should be (\d+)\)", sound.extra_info)
        complete = short is None or not int(short[2]) < int(short[1]) < 2**31 - 2**16
    if not complete:
        raise _broken_off(file)


def _check_mp3_length(file: Path, sound: soundfile.SoundFile) -> None:
    """Refuse a file of varying bit rate without a length tag, of which libsndfile would read only the beginning."""
    if _states_length(file):
        return
    real = count_samples(file)
    if sound.frames < 0.98 * real:
        seconds, read = real / sound.samplerate, sound.frames / sound.samplerate
        found = f"{read:.1f} of {seconds:.1f} s would be read"
        raise InputError(f"{file}: MP3 of varying bit rate without a length tag ({found}); convert it to WAV or FLAC")


def _ends_with_whole_page(file: Path) -> bool:
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _OGG_PAGE))
        tail = stream.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    return len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])


def _states_length(path: str | Path) -> bool:
    """Whether an MP3 file says how many frames it has; else libsndfile's number is an estimate from the size."""
    with Path(path).open("rb") as stream:
        head = stream.read(4096)
    return b"Xing" in head or b"Info" in head


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
        # Seeks in MP3 miss their place and lose the bits that frames share, and soundfile seeks after every read.
        sound.seekable = lambda: False  # type: ignore[method-assign]
        for skipped in range(0, first, _BLOCK):
            sound.read(min(_BLOCK, first - skipped), dtype="float32")
    else:
        sound.seek(first)
    channels = sound.read(last - first, dtype="float32", always_2d=True)  # (N, C)
    if len(channels) < last - first and (sound.format != "MP3" or _states_length(path)):
        raise _broken_off(path)
    samples = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)
    check_samples(samples, path)
    return samples


def check_samples(samples: np.ndarray, name: str | Path) -> None:
    """Raise :class:`InputError` if float samples are NaN, infinite or far beyond [-1, 1]; the message begins with ``name``."""
    peak = float(np.abs(samples).max(initial=0.0))
    if not math.isfinite(peak):
        raise InputError(f"{name}: the recording has NaN or infinite samples")
    if peak > _LOUDEST:
        raise InputError(f"{name}: samples reach {peak:g}; expected -1 to 1")
