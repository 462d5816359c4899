"""Random changes of a recording: speed, tempo, room, loudness, noise, telephone."""

from __future__ import annotations

import numpy as np
import scipy.fft
import soxr

from recognizer.config import AudioAugment
from recognizer.features.room import add_reverb
from recognizer.features.telephone import pass_telephone

SEGMENT = 0.040  # seconds; a few pitch periods
SEARCH = 0.010  # seconds; a segment may be moved so far either way, one period of a low voice
COARSE = 4  # the search compares every fourth sample (speech has most of its energy below 2 kHz)
BAND_LOW, BAND_HIGH = (0.0, 300.0), (3400.0, 4000.0)  # Hz, of the edges: from any recording of 8 kHz to a telephone line


def augment_audio(samples: np.ndarray, sample_rate: int, config: AudioAugment, generator: np.random.Generator) -> np.ndarray:
    """Change a recording at random, each setting drawn uniformly from its range.

    In this order: speed (resampling: pitch and duration change, Ko et al. 2015), tempo (duration only), room, gain, noise,
    telephone. What would leave [-1, 1] is scaled down as a whole, never clipped. Settings that allow no change cost nothing.

    Args:
        samples: (N,) float32 in [-1, 1].
        sample_rate: Hz.
        config: ranges.
        generator: source of chance; the same generator state gives the same result.

    Returns:
        A float32 array (N',), N' = N / (speed x tempo) up to rounding.
    """
    speed, tempo, gain_db = (float(generator.uniform(*bounds)) for bounds in (config.speed, config.tempo, config.gain_db))
    if speed != 1.0:
        samples = change_speed(samples, speed)
    if tempo != 1.0:
        samples = change_tempo(samples, sample_rate, tempo)
    if config.reverb > 0 and generator.random() < config.reverb:
        seconds, direct_db = (float(generator.uniform(*bounds)) for bounds in (config.reverb_seconds, config.reverb_direct_db))
        samples = add_reverb(samples, sample_rate, seconds, direct_db, generator)
    if gain_db != 0.0:
        samples = samples * np.float32(10 ** (gain_db / 20))
    if config.noise > 0 and generator.random() < config.noise:
        samples = add_noise(samples, float(generator.uniform(*config.noise_snr_db)), float(generator.uniform(*config.noise_colour)), generator)
    if config.telephone > 0 and generator.random() < config.telephone:
        low, high = (float(generator.uniform(*bounds)) for bounds in (BAND_LOW, BAND_HIGH))
        samples = pass_telephone(samples, sample_rate, low, high, generator.random() < config.telephone_mu_law)
    peak = float(np.abs(samples).max(initial=0.0))
    return (samples / np.float32(peak) if peak > 1.0 else samples).astype(np.float32, copy=False)


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Play faster by ``factor``: the duration is divided and every frequency multiplied by it (0 < factor)."""
    return soxr.resample(samples, factor, 1.0, quality="LQ")


def change_tempo(samples: np.ndarray, sample_rate: int, factor: float) -> np.ndarray:
    """Speak faster by ``factor`` at the same pitch: overlap-add of segments that go on alike (WSOLA).

    Verhelst & Roelands (1993): each segment of the result is the one near its due place that is most similar to what
    followed the previous segment in the original; half-overlapping Hann windows join them. Similarity is normalised
    cross-correlation. Recordings shorter than a segment come back as they are.
    """
    half = max(2 * COARSE, round(SEGMENT * sample_rate / 2))  # samples by which segments of the result follow each other
    search = max(COARSE, round(SEARCH * sample_rate))
    wanted = round(len(samples) / factor)
    if len(samples) < 2 * half or wanted < 1:
        return samples
    count = wanted // half + 2  # segments; the first begins half a segment before the result
    padded = np.pad(samples, (half + search, 3 * half + 2 * search + int(half * factor)))
    due = search + np.minimum(np.round(np.arange(count) * half * factor).astype(int), len(samples) + half)
    begins = _align(padded, due, half, search)
    window = (0.5 - 0.5 * np.cos(np.pi * (np.arange(2 * half) + 0.5) / half)).astype(np.float32)
    pieces = padded[begins[:, None] + np.arange(2 * half)] * window  # (count, 2 half)
    result = np.zeros((count + 1, half), dtype=np.float32)
    result[:-1] += pieces[:, :half]
    result[1:] += pieces[:, half:]
    return result.reshape(-1)[half : half + wanted]


def add_noise(samples: np.ndarray, snr_db: float, colour: float, generator: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise at a signal-to-noise ratio over the whole recording.

    Args:
        samples: (N,); silence comes back as it is, as no ratio is defined.
        snr_db: power of the recording over power of the noise, decibels.
        colour: exponent of the power spectrum 1 / f ** colour: 0 is white, 1 pink, 2 brown.
        generator: source of chance.
    """
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    if power == 0.0:
        return samples
    noise = coloured_noise(len(samples), colour, generator)
    scale = np.sqrt(power / 10 ** (snr_db / 10) / np.mean(np.square(noise, dtype=np.float64)))
    return samples + noise * np.float32(scale)


def coloured_noise(size: int, colour: float, generator: np.random.Generator) -> np.ndarray:
    """Gaussian noise (size,) float32 with the power spectrum 1 / f ** colour, its level of no meaning."""
    length = scipy.fft.next_fast_len(max(size, 2), real=True)
    bins = np.arange(length // 2 + 1, dtype=np.float32)
    bins[0] = 1.0  # the constant part takes the weight of the lowest frequency
    white = generator.standard_normal(length, dtype=np.float32)
    return scipy.fft.irfft(scipy.fft.rfft(white) * bins ** np.float32(-colour / 2), n=length)[:size]


def _align(samples: np.ndarray, due: np.ndarray, half: int, search: int) -> np.ndarray:
    """Where each segment begins: within ``search`` of ``due``, most like the continuation of the one before."""
    begins = np.empty_like(due)
    begins[0] = due[0]
    for i in range(1, len(due)):
        follow = begins[i - 1] + half
        if abs(follow - due[i]) <= search:  # the continuation itself is within reach
            begins[i] = follow
            continue
        template = samples[follow : follow + half : COARSE]
        region = samples[due[i] - search : due[i] + search + half]
        places = np.lib.stride_tricks.sliding_window_view(region, half)[: 2 * search + 1, ::COARSE]  # (2 search + 1, half / COARSE)
        energy = np.einsum("ij,ij->i", places, places)
        begins[i] = due[i] - search + int(np.argmax(places @ template / np.sqrt(energy + 1e-9)))
    return begins
