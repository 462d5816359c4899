"""Recordings laid one after another, with pauses or without, and something behind them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

JOINED = 0.3  # share of the pauses that are none, unless told otherwise: one recording fades into the next
FADE = (0.003, 0.015)  # seconds over which recordings fade into each other, into silence or into noise
MARGIN = 0.5  # seconds of silence before and after, at most
Background = Literal["silence", "noise", "own"]  # zeros; noise under all of it; noise like the quietest parts of the recordings, between them
BACKGROUNDS: tuple[Background, ...] = ("own", "own", "noise", "silence")  # what fills the pauses, drawn evenly
FLOOR_DB = (-75.0, -45.0)  # dB of full scale, RMS, of "noise"
FRAME = 128  # samples, of the pieces of a recording that are searched for its own background


@dataclass(frozen=True)
class Setting:
    """How recordings are put together: times in seconds; a pause of 0 lets two of them fade into each other."""

    pauses: Sequence[float]
    before: float
    after: float
    fade: float
    background: Background = "silence"
    floor_db: float = -60.0  # dB of full scale, RMS, of "noise"
    colour: float = 0.0  # of "noise": its spectrum is 1 / f ** colour
    seed: int = 0  # of either noise

    @staticmethod
    def draw(chance: random.Random, recordings: int, pause: float, joined: float = JOINED) -> Setting:
        """A setting of chance for so many recordings, with pauses up to ``pause`` seconds; a share ``joined`` of them are none."""
        pauses = [0.0 if chance.random() < joined else chance.uniform(0, pause) for _ in range(recordings - 1)]
        before, after, fade = chance.uniform(0, MARGIN), chance.uniform(0, MARGIN), chance.uniform(*FADE)
        noise = chance.choice(BACKGROUNDS), chance.uniform(*FLOOR_DB), chance.uniform(0, 2), chance.getrandbits(32)
        return Setting(pauses, before, after, fade, *noise)


def join_sounds(sounds: Sequence[np.ndarray], sample_rate: int, setting: Setting) -> np.ndarray:
    """Lay recordings (N,) float32 one after another at the level that they have.

    Args:
        sounds: at ``sample_rate``, Hz.
        setting: pauses, margins, fades and what is behind all of it.

    Returns:
        A float32 array: ``before``, the recordings with their pauses, ``after``. Each recording is faded in and out; without a pause
        between them, neighbours overlap by the time of the fade, which then keeps the level.
    """
    place, placed = round(setting.before * sample_rate), []
    for sound, pause in zip(sounds, [*setting.pauses, setting.after], strict=True):
        fade = min(round(setting.fade * sample_rate), len(sound) // 2)
        placed.append((place, sound, _envelope(len(sound), fade)))
        place += len(sound) + (round(pause * sample_rate) if pause > 0 else -fade)
    length = max(place, *(start + len(sound) for start, sound, _ in placed))
    joined, envelope = np.zeros(length, dtype=np.float32), np.zeros(length, dtype=np.float32)
    for start, sound, shape in placed:
        joined[start : start + len(sound)] += sound * shape
        envelope[start : start + len(sound)] += shape
    generator = np.random.default_rng(setting.seed)
    if setting.background == "own":
        return joined + _imitate_background(sounds, length, generator) * np.sqrt(1 - np.minimum(envelope, 1) ** 2)
    return joined if setting.background == "silence" else joined + _make_noise(length, setting, generator)


def _make_noise(length: int, setting: Setting, generator: np.random.Generator) -> np.ndarray:
    from recognizer.features.audio_augment import coloured_noise

    noise = coloured_noise(length, setting.colour, generator)
    return noise * np.float32(10 ** (setting.floor_db / 20) / np.sqrt(np.mean(np.square(noise, dtype=np.float64))))


def _imitate_background(sounds: Sequence[np.ndarray], length: int, generator: np.random.Generator) -> np.ndarray:
    """Noise (length,) with the level and spectrum of the quietest tenth of the recordings' frames."""
    views = [np.lib.stride_tricks.sliding_window_view(sound, FRAME)[:: FRAME // 2] for sound in sounds if len(sound) >= FRAME]
    if not views:
        return np.zeros(length, dtype=np.float32)
    frames = np.concatenate(views)
    energy = np.mean(np.square(frames), axis=1)
    quiet = frames[np.argsort(energy, kind="stable")[: max(1, len(frames) // 10)]]
    power = np.mean(np.abs(np.fft.rfft(quiet * np.hanning(FRAME))) ** 2, axis=0) / np.sum(np.hanning(FRAME) ** 2)
    spectrum = np.fft.rfft(generator.standard_normal(length))
    shape = np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, len(power)), np.sqrt(power))
    return np.fft.irfft(spectrum * shape, length).astype(np.float32)


def _envelope(size: int, fade: int) -> np.ndarray:
    envelope = np.ones(size, dtype=np.float32)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / max(fade, 1))  # with its mirror image it adds up to one
    envelope[:fade], envelope[size - fade :] = ramp, ramp[::-1]
    return envelope
