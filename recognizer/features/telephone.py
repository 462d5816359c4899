"""What a telephone line leaves of a recording: 8 kHz, a narrow band and, if wanted, eight bits a sample."""

from __future__ import annotations

import numpy as np
import scipy.fft
import soxr

RATE = 8000  # Hz, of the line
EDGE = 0.1  # share of a band edge over which the filter falls from one to nothing
MU = 255  # of the logarithmic code in North America and Japan (ITU-T G.711)


def pass_telephone(samples: np.ndarray, sample_rate: int, low_hz: float, high_hz: float, mu_law: bool) -> np.ndarray:
    """Send a recording through a line of 8 kHz and bring it back to its own rate; nothing moves in time.

    Args:
        samples: (N,) float32.
        sample_rate: Hz; a recording of a lower rate than the line's is filtered at its own.
        low_hz, high_hz: the band that is let through.
        mu_law: code every sample in eight bits, quiet ones more finely (ITU-T G.711).

    Returns:
        A float32 array (N,).
    """
    rate = min(RATE, sample_rate)
    line = samples if rate == sample_rate else soxr.resample(samples, sample_rate, rate)
    line = _limit_band(line, rate, low_hz, min(high_hz, rate / 2))
    if mu_law:
        line = code_mu_law(line)
    if rate == sample_rate:
        return line
    back = soxr.resample(line, rate, sample_rate)[: len(samples)]
    return np.pad(back, (0, len(samples) - len(back))).astype(np.float32, copy=False)


def code_mu_law(samples: np.ndarray) -> np.ndarray:
    """Round (N,) samples to the 256 values of the mu-law code; what leaves [-1, 1] is coded smaller and brought back, not clipped."""
    peak = max(1.0, float(np.abs(samples).max(initial=0.0)))
    levels = np.sign(samples) * np.log1p(MU * np.abs(samples) / peak) / np.log1p(MU)  # -1..1
    levels = np.round(levels * (MU // 2)) / (MU // 2)
    return (np.sign(levels) * np.expm1(np.abs(levels) * np.log1p(MU)) / MU * peak).astype(np.float32)


def _limit_band(samples: np.ndarray, rate: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Filter without delay, with edges in the shape of a half cosine below ``low_hz`` and above ``high_hz``."""
    padding = rate // 20  # so that what rings at one end does not come in at the other
    length = scipy.fft.next_fast_len(len(samples) + padding, real=True)
    hertz = scipy.fft.rfftfreq(length, 1 / rate)
    gain = np.ones(len(hertz), dtype=np.float32)
    if low_hz > 0:
        gain *= _rise((hertz - low_hz) / (EDGE * low_hz) + 1)
    gain *= _rise((high_hz - hertz) / (EDGE * high_hz) + 1)
    return scipy.fft.irfft(scipy.fft.rfft(samples, length) * gain, length)[: len(samples)].astype(np.float32)


def _rise(places: np.ndarray) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(np.pi * np.clip(places, 0, 1))).astype(np.float32)
