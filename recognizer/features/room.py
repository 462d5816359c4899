"""What a room does to a recording: the direct sound, early reflections and a tail that dies away."""

from __future__ import annotations

import numpy as np
import scipy.fft

EARLY = 0.030  # seconds in which single reflections arrive, ever denser, until they merge into the tail
REFLECTIONS = 8  # single ones in that time
DECAY = np.log(1000)  # amplitudes fall by a factor of 1000, 60 dB, in the reverberation time


def add_reverb(samples: np.ndarray, sample_rate: int, seconds: float, direct_db: float, generator: np.random.Generator) -> np.ndarray:
    """Record again in a room of chance (:func:`room_response`).

    The direct sound stays where it was and the energy is that of the original; what would sound on after the end is cut off.

    Args:
        samples: (N,); silence comes back as it is.
        sample_rate: Hz.
        seconds, direct_db, generator: see :func:`room_response`.

    Returns:
        A float32 array (N,).
    """
    energy = float(np.sum(np.square(samples, dtype=np.float64)))
    if energy == 0.0:
        return samples
    response = room_response(sample_rate, seconds, direct_db, generator)
    length = scipy.fft.next_fast_len(len(samples) + len(response) - 1, real=True)
    spectrum = scipy.fft.rfft(samples, length) * scipy.fft.rfft(response, length)
    heard = scipy.fft.irfft(spectrum, length)[: len(samples)]
    return (heard * np.sqrt(energy / np.sum(np.square(heard, dtype=np.float64)))).astype(np.float32)


def room_response(sample_rate: int, seconds: float, direct_db: float, generator: np.random.Generator) -> np.ndarray:
    """The response of a room of chance to a single impulse: exponentially decaying noise (Polack 1988) behind single reflections.

    Args:
        sample_rate: Hz.
        seconds: reverberation time RT60, in which the sound falls by 60 dB; the response is as long.
        direct_db: energy of the direct sound over that of all reflections, decibels.
        generator: source of chance.

    Returns:
        (K,) float32: the direct sound is sample 0 and has the size 1.
    """
    size = max(2, round(seconds * sample_rate))
    early = min(size - 1, max(1, round(EARLY * sample_rate)))
    times = np.arange(size, dtype=np.float32)
    echoes = generator.standard_normal(size, dtype=np.float32) * np.minimum(times / early, 1)
    places = generator.integers(1, early + 1, REFLECTIONS)
    # together as strong as the tail would be in their place
    echoes[places] += generator.choice((-1.0, 1.0), REFLECTIONS) * np.sqrt(early / REFLECTIONS)
    echoes *= np.exp(-DECAY / (seconds * sample_rate) * times)
    echoes[0] = 0.0
    echoes *= np.sqrt(10 ** (-direct_db / 10) / np.sum(np.square(echoes, dtype=np.float64)))
    echoes[0] = 1.0
    return echoes.astype(np.float32)
