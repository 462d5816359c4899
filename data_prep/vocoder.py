"""Sound of mel cepstra as CMU Sphinx makes them: pulses and noise, filtered by what the cepstra say of each frame's spectrum."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from recognizer.config import AudioFeatures
from recognizer.data_prep.sphinx_model import COEFFICIENTS, MelScale
from recognizer.features.spectral import cosine_transform, hertz_to_mel, mel_edges

RATE = 16_000  # samples a second
HOP = 160  # samples a frame
WINDOW = 410  # samples that cepstra are made of
SIZE = 512  # samples of a spectrum
EMPHASIS = 0.97  # by which cepstra are made of what changes from sample to sample
FULL = 32768.0
RUMBLE = 100.0  # Hz; below there is next to nothing
BREATH = (2500.0, 6000.0)  # Hz; between them voices turn from pulses to noise
_HERTZ = np.arange(SIZE // 2 + 1) * RATE / SIZE


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
    mels = mel_edges(AudioFeatures(sample_rate=RATE, bins=scale.filters, low_hz=scale.lowest, high_hz=scale.highest))
    filters = cepstra @ np.linalg.pinv(cosine_transform(scale.filters, COEFFICIENTS).numpy())
    envelopes = np.stack([np.interp(hertz_to_mel(_HERTZ), mels[1:-1], frame) for frame in filters])
    envelopes[:, _HERTZ < RUMBLE] -= 3.0
    return envelopes + np.log(RATE / SIZE)  # the filters have an area of one over Hz, and power comes in bins
