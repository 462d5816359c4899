"""Recordings that corpora are made of: joined, brought to a level, written as 16-bit files."""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recognizer.errors import InputError
from recognizer.utils.files import write_bytes

if TYPE_CHECKING:
    from recognizer.audio.io import Channel

FORMATS = ("flac", "wav")
RATES = (8000, 16_000)  # Hz
FADE_SECONDS = (0.003, 0.015)  # over which recordings fade into each other or into the background
MAX_OVERSHOOT = 0.5  # seconds that a span may reach beyond the end of its recording, as in Kaldi; it is cut there
MAX_MARGIN = 0.5  # seconds of background before the first and after the last recording
SILENT_SHARE = 0.25  # of joined recordings whose background is zeros
FRAME = 128  # samples, of the pieces of a recording that are searched for its background noise


def add_format_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--rate`` and ``--format``."""
    parser.add_argument("--rate", type=int, choices=RATES, default=16_000, help="samples a second (default 16000)")
    parser.add_argument("--format", choices=FORMATS, default="flac", help="of the recordings (default flac)")


def write_sound(path: Path, samples: np.ndarray, sample_rate: int) -> None:
    """Write samples (N,) in the format of the file's ending, whole or not at all; what would leave [-1, 1] is scaled down.

    Raises:
        OutputError: it cannot be written.
    """
    import soundfile

    buffer = BytesIO()  # in memory: libsndfile does not tell of a disk that is full
    soundfile.write(buffer, fit_range(samples), sample_rate, subtype="PCM_16", format=path.suffix[1:].upper())
    write_bytes(path, buffer.getvalue())


def cut_sound(source: Path, start: float, seconds: float | None, path: Path, channel: Channel = "auto") -> None:
    """Write a span of a recording, in seconds (None: up to its end), at its own sample rate to a file as :func:`write_sound` does.

    Raises:
        InputError: the recording cannot be read, or the span begins after its end or reaches beyond it by more than half a second.
    """
    from recognizer.audio.io import load_audio, open_audio

    with open_audio(source) as parts:
        rate, length = parts[0].samplerate, sum(part.frames / part.samplerate for part in parts)
    if start >= length or start + (seconds or 0.0) > length + MAX_OVERSHOOT:
        span = f"{start:g} s to {'its end' if seconds is None else f'{start + seconds:g} s'}"
        raise InputError(f"{source}: has {length:.2f} s, not {span}")
    write_sound(path, load_audio(source, rate, start, seconds, channel), rate)


def name_file(id: str) -> str:
    """An id as part of a file's name: characters that some system does not allow there, and "%", become "%" and their code."""
    return re.sub(r'[%/\\:*?"<>|\x00-\x1f]', lambda match: f"%{ord(match[0]):02x}", id)


def fit_range(samples: np.ndarray) -> np.ndarray:
    """Scale samples (N,) down as a whole where they would leave [-1, 1]: clipping is a distortion of its own."""
    return samples / max(1.0, float(np.abs(samples).max(initial=0.0)))


def root_mean_square(samples: np.ndarray) -> float:
    """The level of samples (N,)."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def set_level(samples: np.ndarray, level_db: float) -> np.ndarray:
    """Scale samples (N,) to a level (RMS) in decibels of full scale; silence stays silence."""
    return (samples * (10 ** (level_db / 20) / max(root_mean_square(samples), 1e-9))).astype(np.float32)


@dataclass(frozen=True)
class Spacing:
    """How recordings are laid one after another: times in seconds; a pause of 0 lets two of them fade into each other."""

    pauses: Sequence[float]
    before: float
    after: float
    fade: float
    noise_seed: int | None = None  # of the noise between the recordings, which is like their own; None: zeros

    @staticmethod
    def draw(rng: random.Random, recordings: int, max_pause: float, joined_share: float) -> Spacing:
        """Random times for so many recordings; a ``joined_share`` of the pauses is 0."""
        pauses = [0.0 if rng.random() < joined_share else rng.uniform(0, max_pause) for _ in range(recordings - 1)]
        before, after, fade = rng.uniform(0, MAX_MARGIN), rng.uniform(0, MAX_MARGIN), rng.uniform(*FADE_SECONDS)
        return Spacing(pauses, before, after, fade, None if rng.random() < SILENT_SHARE else rng.getrandbits(32))


def join_sounds(sounds: Sequence[np.ndarray], sample_rate: int, spacing: Spacing) -> np.ndarray:
    """Lay recordings (N,) float32 one after another at the level that they have.

    Returns:
        A float32 array: ``before``, the recordings with their pauses, ``after``. Each recording is faded in and out; without a pause
        between them, neighbors overlap by the time of the fade, which then keeps the level.
    """
    start, placed = round(spacing.before * sample_rate), []
    for sound, pause in zip(sounds, [*spacing.pauses, spacing.after], strict=True):
        fade = min(round(spacing.fade * sample_rate), len(sound) // 2)
        placed.append((start, sound, _envelope(len(sound), fade)))
        start += len(sound) + (round(pause * sample_rate) if pause > 0 else -fade)
    length = max(start, *(start + len(sound) for start, sound, _ in placed))
    joined, envelope = np.zeros(length, dtype=np.float32), np.zeros(length, dtype=np.float32)
    for start, sound, shape in placed:
        joined[start : start + len(sound)] += sound * shape
        envelope[start : start + len(sound)] += shape
    if spacing.noise_seed is None:
        return joined
    background = _imitate_background(sounds, length, np.random.default_rng(spacing.noise_seed))
    joined += background * np.sqrt(1 - np.minimum(envelope, 1) ** 2)
    return joined


def _imitate_background(sounds: Sequence[np.ndarray], length: int, rng: np.random.Generator) -> np.ndarray:
    """Noise (length,) with the level and spectrum of the quietest tenth of the recordings' frames."""
    views = [np.lib.stride_tricks.sliding_window_view(sound, FRAME)[:: FRAME // 2] for sound in sounds if len(sound) >= FRAME]
    if not views:
        return np.zeros(length, dtype=np.float32)
    frames = np.concatenate(views)
    energy = np.mean(np.square(frames), axis=1)
    quiet = frames[np.argsort(energy, kind="stable")[: max(1, len(frames) // 10)]]
    power = np.mean(np.abs(np.fft.rfft(quiet * np.hanning(FRAME))) ** 2, axis=0) / np.sum(np.hanning(FRAME) ** 2)
    spectrum = np.fft.rfft(rng.standard_normal(length))
    shape = np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, len(power)), np.sqrt(power))
    return np.fft.irfft(spectrum * shape, length).astype(np.float32)


def _envelope(size: int, fade: int) -> np.ndarray:
    envelope = np.ones(size, dtype=np.float32)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / max(fade, 1))  # with its mirror image it adds up to one
    envelope[:fade], envelope[size - fade :] = ramp, ramp[::-1]
    return envelope
