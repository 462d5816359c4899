"""Sound of mel cepstra: pulses and noise, filtered by what the cepstra say of each frame's spectrum."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from recognizer.data_prep.sphinx_model import COEFFICIENTS, MelScale

RATE = 16_000  # samples a second
HOP = 160  # samples a frame
WINDOW = 410  # samples that cepstra are made of
SIZE = 512  # samples of a spectrum
EMPHASIS = 0.97  # by which cepstra are made of what changes from sample to sample
FULL = 32768.0
RUMBLE = 100.0  # Hz; below there is next to nothing
BREATH = (2500.0, 6000.0)  # Hz; between them voices turn from pulses to noise
_HERTZ = np.arange(SIZE // 2 + 1) * RATE / SIZE


def find_cepstra(samples: np.ndarray, scale: MelScale) -> np.ndarray:
    """Cepstra (frames, COEFFICIENTS) of samples in [-1, 1] at 16 kHz, as CMU Sphinx makes them, noise left in."""
    sharp = lfilter([1, -EMPHASIS], [1], samples * FULL)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(sharp, (0, max(0, WINDOW - len(sharp)))), WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(windows * np.hamming(WINDOW), SIZE)) ** 2
    edges = _edges(scale)
    low, middle, high = (edges[start : start + scale.filters, None] for start in range(3))
    filters = np.minimum((_HERTZ - low) / (middle - low), (high - _HERTZ) / (high - middle)).clip(0) * 2 / (high - low)
    return np.log(power @ filters.T + 1e-4) @ _cosines(scale).T * _lifter(scale)


def render(cepstra: np.ndarray, noise: np.ndarray, pitch: np.ndarray, scale: MelScale, chance: np.random.Generator) -> np.ndarray:
    """Samples at 16 kHz whose cepstra are about those given.

    Args:
        cepstra: (frames, COEFFICIENTS), the mean over the recording in them.
        noise: share of noise in each frame's excitation, (frames,): 1 where nothing is voiced; the higher the frequency, the more is added.
        pitch: Hz, (frames,).
        scale: what the cepstra are of.
        chance: draws the noise.
    """
    frames = len(cepstra)
    size = frames * HOP + SIZE
    hertz = np.interp(np.arange(size) / HOP, np.arange(frames), pitch)
    beats = np.flatnonzero(np.diff(np.floor(np.cumsum(hertz / RATE)))) + 1
    pulses = np.zeros(size)
    pulses[beats] = np.sqrt(RATE / hertz[beats])  # as strong as noise of variance one
    hiss = chance.standard_normal(size)
    gain = np.exp(_envelopes(cepstra, scale) / 2)
    above = np.clip((_HERTZ - BREATH[0]) / (BREATH[1] - BREATH[0]), 0, 0.6)
    rough = np.clip(above + noise[:, None], 0, 1)
    window = np.hanning(SIZE)
    samples = np.zeros(size)
    for frame, start in enumerate(range(0, frames * HOP, HOP)):
        voiced, unvoiced = (np.fft.rfft(source[start : start + SIZE] * window) for source in (pulses, hiss))
        mixed = voiced * np.sqrt(1 - rough[frame]) + unvoiced * np.sqrt(rough[frame])
        samples[start : start + SIZE] += np.fft.irfft(mixed * gain[frame], SIZE)
    # overlapping windows add up to SIZE / HOP / 2; a window of noise of variance one has the power of a Hamming window's sum of squares
    level = SIZE / HOP / 2 * np.sqrt(np.sum(np.hamming(WINDOW) ** 2))
    return lfilter([1], [1, -EMPHASIS], samples)[: frames * HOP] / (FULL * level)


def _envelopes(cepstra: np.ndarray, scale: MelScale) -> np.ndarray:
    """Logarithms of power by frequency, (frames, SIZE // 2 + 1)."""
    filters = cepstra / _lifter(scale) @ _cosines(scale)
    centres, places = _mel(_edges(scale)[1:-1]), _mel(_HERTZ)
    envelopes = np.stack([np.interp(places, centres, frame) for frame in filters])
    envelopes[:, _HERTZ < RUMBLE] -= 3.0
    return envelopes + np.log(RATE / SIZE)  # the filters have an area of one over Hz, and power comes in bins


def _edges(scale: MelScale) -> np.ndarray:
    """Where filters begin, culminate and end, in Hz, (filters + 2,): each ends where the next but one begins."""
    lowest, highest = _mel(np.array([scale.lowest, scale.highest]))
    mels = np.linspace(lowest, highest, scale.filters + 2)
    return 700 * (10 ** (mels / 2595) - 1)


def _mel(hertz: np.ndarray) -> np.ndarray:
    return 2595 * np.log10(1 + hertz / 700)


def _cosines(scale: MelScale) -> np.ndarray:
    """The orthonormal discrete cosine transform (COEFFICIENTS, filters)."""
    rows = np.cos(np.pi * np.arange(COEFFICIENTS)[:, None] * (np.arange(scale.filters) + 0.5) / scale.filters)
    rows[0] /= np.sqrt(2)
    return rows * np.sqrt(2 / scale.filters)


def _lifter(scale: MelScale) -> np.ndarray:
    return 1 + scale.lifter / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / scale.lifter)
