"""Recordings on disk: any format that libsndfile or, where it is installed, PyAV reads, as one channel at the wanted sample rate."""

from __future__ import annotations

import math
import os
import re
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr

from recognizer.audio.containers import find_parts
from recognizer.audio.media import MediaPart, identify, identify_codec
from recognizer.audio.mp3 import correct_mp3_length, find_mp3_parts
from recognizer.audio.parts import Part, RangeFile, broken_off
from recognizer.errors import InputError, RecognizerWarning
from recognizer.utils.archives import as_file

Channel = Literal["auto", "mix", "left", "right"]

# Lower case; the content decides how a file is read, the suffix only whether a folder's file is taken for a recording.
AUDIO_SUFFIXES: frozenset[str] = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".sph", ".nist", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64", ".mp2"}
    # through PyAV; without it each file gets an error that says so
    | {".m4a", ".m4b", ".mp4", ".mov", ".3gp", ".aac", ".amr", ".webm", ".mka", ".mkv", ".wma", ".spx", ".ac3", ".ape", ".wv"}
)

BLOCK = 65_536  # frames decoded at a time
MIN_RATE, MAX_RATE = 4_000, 768_000  # Hz
_MANY_CHANNELS = 8  # from here on blocks are shorter
_MARGIN = 0.05  # seconds decoded on either side of a span, so that the resampling filter sees what is beyond its ends
_MAX_SAMPLE = 8.0  # a float file beyond this holds integers, not samples in [-1, 1]
_SILENT_CHANNEL = 0.01  # share of the loudest channel's energy, -20 dB, below which the others are left out
_CANCELLING = 0.5  # share of the energy that unrelated channels have when mixed, below which they cancel each other
_SAME_LOUDNESS = 0.01  # share of the energy by which rounding may set equal channels apart: the left one is read, not the inverted copy
_UNRELATED = 0.1  # correlation of two channels below which they are said to hold different sounds


def load_audio(
    path: str | Path, sample_rate: int, start: float = 0.0, seconds: float | None = None, channel: Channel = "auto"
) -> np.ndarray:
    """Read a recording, or a span of it, as one channel of float32 samples (N,) in [-1, 1].

    Only the span is decoded (MP3: all before it as well, but not kept), block by block, so memory is bounded by the span and by what
    is really there. A span equals the same slice of the whole: bit for bit in PCM formats at their own rate, closely where samples are
    resampled or decoded from Opus. What reaches beyond the end of the recording is left out. Of recordings that follow each other in
    one file all are read.

    What a user should know (a header that says too little, channels that cancel each other) is a :class:`RecognizerWarning`.

    Args:
        path: WAV, FLAC, Ogg (Opus, Vorbis), MP3, NIST SPHERE (under any name), AIFF, AU, CAF, W64; 8 to 32 bits or float; with PyAV
            also MP4, WebM, AAC, AMR and others. A pipe is read to its end.
        sample_rate: of the result, Hz; other rates are resampled by soxr (HQ).
        start: seconds into the recording.
        seconds: length of the span; None: up to the end.
        channel: "mix" averages all channels, "left" and "right" are the first and second. "auto" averages unless the channels cancel
            each other or all but one are silent in what is read; then it takes the loudest, and says so.

    Raises:
        InputError: no such file, not audio, broken off, without samples (in the span), with NaN or infinite samples, or of a sample rate
            outside 4 to 768 kHz.
    """
    first = round(start * sample_rate)
    last = None if seconds is None else first + round(seconds * sample_rate)
    with open_audio(path) as parts:
        if len(parts) == 1:
            samples = _read_span(parts[0], sample_rate, first, last, path, channel)
        else:
            pieces, done = [np.empty(0, np.float32)], 0  # a file may hold not one part
            for part in parts:
                if last is None or done < last:
                    pieces.append(_read_span(part, sample_rate, 0, None, path, channel))
                    done += len(pieces[-1])
            samples = np.concatenate(pieces)[max(0, first) : last]
        if len(samples) == 0:
            whole = sum(part.frames / part.samplerate for part in parts)
            raise InputError(f"{path}: no samples from {start:g} s on (it lasts {whole:.3f} s)")
    return np.clip(samples, -1.0, 1.0)


def audio_seconds(path: str | Path) -> float:
    """Duration of a recording in seconds by its header, as far as the size of the file allows; of a pipe it cannot be told.

    Raises:
        InputError: as :func:`load_audio`.
    """
    if is_pipe(path):
        raise InputError(f"{path}: is a pipe, whose length cannot be told before it is read; write it to a file first")
    with open_audio(path) as parts:
        return sum(part.frames / part.samplerate for part in parts)


class SoundPart:
    """One recording of a file, decoded by libsndfile.

    Attributes:
        samplerate: Hz.
        channels: how many.
        frames: samples of each channel, by the header.
        format: libsndfile's name of the container.
    """

    def __init__(self, path: str | Path, file: Path, part: Part) -> None:
        """Opens the part of a file that messages call ``path`` and compares its header with what is there."""
        self.path, self.file, self.part = path, file, part
        sound = self._open()
        self._sound: soundfile.SoundFile | None = sound
        self.samplerate, self.channels, self.frames, self.format = sound.samplerate, sound.channels, sound.frames, sound.format
        self.exact = part.states_length or self.format not in ("MP3", "FLAC")
        most = part.most_samples if part.most_seconds is None else math.ceil(part.most_seconds * self.samplerate)
        if (most is not None and self.frames > most) or not (part.prefix or _is_complete(file, sound)):
            self.close()
            raise broken_off(path)
        if not self.exact and self.format == "FLAC":  # counted; of MP3 libsndfile makes an estimate
            self.frames = 1 << 62
            self.frames = sum(len(block) for block in self.blocks())

    def _open(self) -> soundfile.SoundFile:
        if self.part.prefix or self.part.start or self.part.stop < self.file.stat().st_size:
            return soundfile.SoundFile(RangeFile(self.file, self.part))
        # the name as bytes, as soundfile refuses names that are not UTF-8; on Windows it wants text
        return soundfile.SoundFile(str(self.file) if os.name == "nt" else os.fsencode(self.file))

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._sound is not None:
            self._sound.close()
            self._sound = None

    def blocks(self, first: int = 0, last: int | None = None) -> Iterator[np.ndarray]:
        """Blocks (N, C) float32 from one sample to another; may be called again.

        Raises:
            InputError: the recording is broken off.
        """
        first = min(max(0, first), self.frames)
        last = self.frames if last is None else min(max(first, last), self.frames)
        sound, self._sound = self._sound or self._open(), None
        size = BLOCK if self.channels <= _MANY_CHANNELS else max(1, BLOCK * _MANY_CHANNELS // self.channels)
        with sound:
            if self.format != "MP3" and first > 0:
                sound.seek(first)
            # Front to back: soundfile seeks after every read, and seeks in MP3 miss their place and lose the bits that frames share.
            sound.seekable = lambda: False
            place = 0 if self.format == "MP3" else first
            while place < last:
                stop = min(first if place < first else last, place + size)
                try:
                    block = sound.read(stop - place, dtype="float32", always_2d=True)
                except soundfile.LibsndfileError as error:
                    reason = f"damaged, or broken off, after {place / self.samplerate:.1f} s ({error.error_string.strip().rstrip('.')})"
                    raise InputError(f"{self.path}: the recording is {reason}; copy it again") from None
                place += len(block)
                if len(block) and place > first:
                    yield block
                if place < stop:
                    if self.exact:
                        raise broken_off(self.path)
                    return


AudioPart = SoundPart | MediaPart


@contextmanager
def open_audio(path: str | Path) -> Iterator[list[AudioPart]]:
    """Open a recording and check that it is whole: the parts that follow each other in it, nearly always one.

    Raises:
        InputError: as :func:`load_audio`.
    """
    with _regular_file(path) as file:
        parts, notes = _open_parts(path, file)
        try:
            for part in parts:
                if part.frames == 0:
                    raise InputError(f"{path}: the recording has no samples")
                if not MIN_RATE <= part.samplerate <= MAX_RATE:
                    limits = f"expected {MIN_RATE // 1000} to {MAX_RATE // 1000} kHz"
                    raise InputError(f"{path}: its header says a sample rate of {part.samplerate} Hz; {limits}")
            for text in notes:
                note(path, text)
            yield parts
        finally:
            for part in parts:
                part.close()


def _open_parts(path: str | Path, file: Path) -> tuple[list[AudioPart], list[str]]:
    """The parts of a regular file and what is to be said about them."""
    head = _check_readable(path, file)
    kind = identify(head)
    if kind is not None:
        media = MediaPart(path, file, kind)
        return [media], media.notes
    if file.suffix.lower() == ".raw":  # soundfile asks for all that a header would say
        raise InputError(f"{path}: headerless audio; give it a header (`sox -r RATE -e signed -b 16 -c 1 IN OUT.wav`)")
    layout = find_parts(path, file)
    parts: list[AudioPart] = []
    try:
        if layout is None:
            whole = SoundPart(path, file, Part(0, file.stat().st_size))
            layout = find_mp3_parts(path, file) if whole.format == "MP3" else None
            if layout is None:
                return [whole], []
            whole.close()
        for part in layout.parts:
            opened = SoundPart(path, file, part)
            if not opened.exact and opened.frames < part.samples - 2 * 1152:  # estimated from the size, but the bit rate varies
                opened.close()
                opened = SoundPart(path, file, correct_mp3_length(file, part))
            parts.append(opened)
            if len(layout.parts) > 1:
                opened.close()  # many parts are not open at once
        return parts, layout.notes
    except soundfile.LibsndfileError as error:
        kind = identify_codec(head)
        if kind is not None:
            media = MediaPart(path, file, kind)
            return [media], media.notes
        reason = error.error_string.strip().rstrip(".")
        if "does not exist" in reason:  # what libsndfile says of MPEG audio without a single frame
            reason = "no MPEG frame found"
        raise InputError(f"{path}: not audio that can be read, or broken off ({reason})") from None


def is_pipe(path: str | Path) -> bool:
    """Whether a path is a pipe or socket, which can be read only once."""
    try:
        kind = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)


@contextmanager
def _regular_file(path: str | Path) -> Iterator[Path]:
    """The file itself, or a temporary copy of what a pipe gives or an archive holds."""
    if not is_pipe(path):
        with as_file(path) as file:
            yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "pipe"
        try:
            with open(path, "rb") as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except OSError as error:
            raise InputError(f"{path}: the pipe cannot be read ({error.strerror or error})") from None
        yield copy


def note(path: str | Path, text: str) -> None:
    """Warn of something about a recording that is read all the same."""
    warnings.warn(f"{path}: {text}", RecognizerWarning, stacklevel=2)


def check_samples(samples: np.ndarray, name: str | Path) -> None:
    """Raise :class:`InputError` if float samples are NaN, infinite or far beyond [-1, 1]; the message begins with ``name``."""
    peak = float(np.abs(samples).max(initial=0.0))
    if not math.isfinite(peak):
        raise InputError(f"{name}: the recording has NaN or infinite samples")
    if peak > _MAX_SAMPLE:
        raise InputError(f"{name}: samples reach {peak:g}; expected -1 to 1")


def choose_channel(blocks: Iterable[np.ndarray], channel: Channel, path: str | Path) -> int | None:
    """Which channel of a recording to take; None: the average of all.

    Args:
        blocks: all of it, (N, C) each; read only for "auto".
        channel: what the user wants.
        path: named where the choice has to be explained.
    """
    if channel != "auto":
        return {"mix": None, "left": 0, "right": 1}[channel]
    size, sums, squares, mixed = 0, np.zeros(1), np.zeros(1), np.zeros(2)
    for block in blocks:
        wide = block.astype(np.float64)
        mean = wide.mean(axis=1)
        size += len(block)
        sums = sums + wide.sum(axis=0)
        squares = squares + np.square(wide).sum(axis=0)
        mixed += (mean.sum(), np.square(mean).sum())
    if size == 0 or len(sums) < 2:
        return None
    energy = np.maximum(0.0, squares / size - np.square(sums / size))  # of each channel, without its offset
    loudest = int(np.argmax(energy >= (1 - _SAME_LOUDNESS) * energy.max()))  # the first of those that rounding alone may set apart
    others = np.delete(energy, loudest)
    unrelated = energy.sum() / len(energy) ** 2  # the energy of the average if the channels had nothing in common
    average = max(0.0, mixed[1] / size - (mixed[0] / size) ** 2)
    if energy[loudest] < 1e-12 or not np.isfinite(energy).all():
        return None
    name = {0: "left", 1: "right"}.get(loudest, f"number {loudest + 1}") if len(energy) == 2 else f"number {loudest + 1}"
    if others.max() < _SILENT_CHANNEL * energy[loudest]:
        note(path, f"only one of its {len(energy)} channels holds sound; that channel ({name}) is read")
        return loudest
    if average < _CANCELLING * unrelated:
        note(path, f"its {len(energy)} channels cancel each other when mixed; the loudest ({name}) is read")
        return loudest
    if average < (1 + _UNRELATED) * unrelated:
        note(path, f"its {len(energy)} channels hold different sounds; they are mixed (channel left or right reads one)")
    return None


def take_channel(block: np.ndarray, chosen: int | None) -> np.ndarray:
    """One channel (N,) of a block (N, C): the chosen one, or the average for None; a mono recording has but one."""
    if block.shape[1] == 1:
        return block[:, 0]
    return block.mean(axis=1) if chosen is None else block[:, min(chosen, block.shape[1] - 1)]


def _check_readable(path: str | Path, file: Path) -> bytes:
    """The first bytes of a file, if it can be one that holds sound."""
    try:
        if file.is_dir():
            raise InputError(f"{path}: is a folder, not a recording")
        if file.exists() and not file.is_file():
            raise InputError(f"{path}: is a device, not a recording")
        with file.open("rb") as stream:
            head = stream.read(4096)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not head:
        raise InputError(f"{path}: the file is empty")
    if head.startswith(b"NIST_1A") and b"shorten" in head[:1024]:
        raise InputError(f"{path}: shorten-compressed NIST SPHERE; decompress it with `sph2pipe -p`")
    return head


def _is_complete(file: Path, sound: soundfile.SoundFile) -> bool:
    """Compare what the header promises with what is there, where libsndfile only shortens the recording in silence."""
    if sound.format == "NIST":
        with file.open("rb") as stream:
            count = re.search(rb"^sample_count -i (\d+)", stream.read(4096), re.MULTILINE)
        return count is None or sound.frames >= int(count[1])
    # libsndfile's log; sizes of 0 and near 2**31 or 2**32 are placeholders of programs that wrote to a pipe.
    short = re.search(r"(?:data|SSND|Data Size|Riff size|riff)\s*: (\d+) \(should be (\d+)\)", sound.extra_info)
    return short is None or not int(short[2]) < int(short[1]) < 2**31 - 2**16


def _read_span(part: AudioPart, sample_rate: int, first: int, last: int | None, path: str | Path, channel: Channel) -> np.ndarray:
    """Samples ``first`` to ``last`` of one part as it is at ``sample_rate``."""
    source_rate = part.samplerate
    if source_rate == sample_rate:
        return _decode(part, first, last, path, channel)
    # Decoding starts where a sample of the source and one of the result coincide, so a span is not shifted in phase.
    common = math.gcd(source_rate, sample_rate)
    source_step, step = source_rate // common, sample_rate // common
    steps = max(0, math.floor((first - _MARGIN * sample_rate) / step))
    source_last = None if last is None else math.ceil((last / sample_rate + _MARGIN) * source_rate)
    source = _decode(part, steps * source_step, source_last, path, channel)
    if len(source) == 0:
        return source
    offset = first - steps * step
    return soxr.resample(source, source_rate, sample_rate, quality="HQ")[offset : None if last is None else offset + last - first]


def _decode(part: AudioPart, first: int, last: int | None, path: str | Path, channel: Channel) -> np.ndarray:
    """Frames ``first`` to ``last`` (or the end) as one channel, checked."""
    blocks = list(part.blocks(first, last))
    chosen = choose_channel(blocks, channel, path)
    pieces = [take_channel(block, chosen) for block in blocks]
    samples = pieces[0] if len(pieces) == 1 else np.concatenate(pieces) if pieces else np.empty(0, np.float32)
    check_samples(samples, path)
    return samples
