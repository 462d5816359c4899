"""Random changes of a recording for training: speed, tempo, room, gain, noise, telephone."""

from __future__ import annotations

import numpy as np
import scipy.fft
import soxr

from recognizer.config import AudioAugment

SEGMENT_SECONDS = 0.040  # of a change of tempo: a few pitch periods
SEARCH_SECONDS = 0.010  # by which a segment may be moved either way: one period of a low voice
SEARCH_STEP = 4  # samples: the search compares every fourth (speech has most of its energy below 2 kHz)
EARLY_SECONDS = 0.030  # time in which single reflections arrive, ever denser, until they merge into the tail
NUM_REFLECTIONS = 8  # single ones in that time
LOG_60_DB = np.log(1000)  # amplitudes fall by a factor of 1000, 60 dB, in the reverberation time
TELEPHONE_RATE = 8000  # Hz
TELEPHONE_LOW_HZ, TELEPHONE_HIGH_HZ = (0.0, 300.0), (3400.0, 4000.0)  # band edges: from any recording of 8 kHz to a telephone line
FILTER_EDGE = 0.1  # share of a band edge over which the filter falls from one to nothing
MU = 255  # of the logarithmic code in North America and Japan (ITU-T G.711)


def augment_audio(samples: np.ndarray, sample_rate: int, config: AudioAugment, rng: np.random.Generator) -> np.ndarray:
    """Change a recording at random, each setting drawn uniformly from its range.

    In this order: speed, tempo, room, gain, noise, telephone. What would leave [-1, 1] is scaled down as a whole, never
    clipped. A setting that is off draws nothing.

    Args:
        samples: (N,) float32 in [-1, 1].
        sample_rate: Hz.
        config: ranges.
        rng: the same state gives the same result.

    Returns:
        A float32 array (N',), N' = N / (speed x tempo) up to rounding.
    """
    speed, tempo, gain_db = (float(rng.uniform(*bounds)) for bounds in (config.speed, config.tempo, config.gain_db))
    if speed != 1.0:
        samples = change_speed(samples, speed)
    if tempo != 1.0:
        samples = change_tempo(samples, sample_rate, tempo)
    if config.reverb > 0 and rng.random() < config.reverb:
        seconds, direct_db = (float(rng.uniform(*bounds)) for bounds in (config.reverb_seconds, config.reverb_direct_db))
        samples = add_reverb(samples, sample_rate, seconds, direct_db, rng)
    if gain_db != 0.0:
        samples = samples * np.float32(10 ** (gain_db / 20))
    if config.noise > 0 and rng.random() < config.noise:
        samples = add_noise(samples, float(rng.uniform(*config.noise_snr_db)), float(rng.uniform(*config.noise_color)), rng)
    if config.telephone > 0 and rng.random() < config.telephone:
        low, high = (float(rng.uniform(*bounds)) for bounds in (TELEPHONE_LOW_HZ, TELEPHONE_HIGH_HZ))
        samples = pass_telephone(samples, sample_rate, low, high, rng.random() < config.telephone_mu_law)
    peak = float(np.abs(samples).max(initial=0.0))
    return (samples / np.float32(peak) if peak > 1.0 else samples).astype(np.float32, copy=False)


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Play faster by ``factor``: the duration is divided and every frequency multiplied by it (Ko et al. 2015)."""
    return soxr.resample(samples, factor, 1.0, quality="LQ")


def change_tempo(samples: np.ndarray, sample_rate: int, factor: float) -> np.ndarray:
    """Speak faster by ``factor`` at the same pitch: overlap-add of segments that continue each other (WSOLA).

    Verhelst & Roelands (1993): each segment of the result is the one near its due place that is most similar to what
    followed the previous segment in the original; half-overlapping Hann windows join them. Recordings shorter than a
    segment come back as they are. Ours, as librosa's phase vocoder takes three times as long and makes slow speech 10 % fainter.
    """
    half = max(2 * SEARCH_STEP, round(SEGMENT_SECONDS * sample_rate / 2))  # samples by which segments of the result follow each other
    search = max(SEARCH_STEP, round(SEARCH_SECONDS * sample_rate))
    wanted = round(len(samples) / factor)
    if len(samples) < 2 * half or wanted < 1:
        return samples
    count = wanted // half + 2  # segments; the first begins half a segment before the result
    padded = np.pad(samples, (half + search, 3 * half + 2 * search + int(half * factor)))
    due = search + np.minimum(np.round(np.arange(count) * half * factor).astype(int), len(samples) + half)
    begins = _match_segments(padded, due, half, search)
    window = (0.5 - 0.5 * np.cos(np.pi * (np.arange(2 * half) + 0.5) / half)).astype(np.float32)
    pieces = padded[begins[:, None] + np.arange(2 * half)] * window  # (count, 2 half)
    result = np.zeros((count + 1, half), dtype=np.float32)
    result[:-1] += pieces[:, :half]
    result[1:] += pieces[:, half:]
    return result.reshape(-1)[half : half + wanted]


def _match_segments(samples: np.ndarray, due: np.ndarray, half: int, search: int) -> np.ndarray:
    """Where each segment begins: within ``search`` of ``due``, by normalized cross-correlation most like the continuation of the one before."""
    begins = np.empty_like(due)
    begins[0] = due[0]
    for i in range(1, len(due)):
        follow = begins[i - 1] + half
        if abs(follow - due[i]) <= search:  # the continuation itself is within reach
            begins[i] = follow
            continue
        template = samples[follow : follow + half : SEARCH_STEP]
        region = samples[due[i] - search : due[i] + search + half]
        places = np.lib.stride_tricks.sliding_window_view(region, half)[: 2 * search + 1, ::SEARCH_STEP]  # (2 search + 1, half / SEARCH_STEP)
        energy = np.einsum("ij,ij->i", places, places)
        begins[i] = due[i] - search + int(np.argmax(places @ template / np.sqrt(energy + 1e-9)))
    return begins


def add_reverb(samples: np.ndarray, sample_rate: int, seconds: float, direct_db: float, rng: np.random.Generator) -> np.ndarray:
    """Let a recording (N,) sound as if made in a random room; see :func:`room_response`.

    The direct sound stays where it was, the energy is that of the original, and echoes after the end are cut off.
    Silence comes back as it is.
    """
    energy = float(np.sum(np.square(samples, dtype=np.float64)))
    if energy == 0.0:
        return samples
    response = room_response(sample_rate, seconds, direct_db, rng)
    length = scipy.fft.next_fast_len(len(samples) + len(response) - 1, real=True)
    spectrum = scipy.fft.rfft(samples, length) * scipy.fft.rfft(response, length)
    echoing = scipy.fft.irfft(spectrum, length)[: len(samples)]
    return (echoing * np.sqrt(energy / np.sum(np.square(echoing, dtype=np.float64)))).astype(np.float32)


def room_response(sample_rate: int, seconds: float, direct_db: float, rng: np.random.Generator) -> np.ndarray:
    """Impulse response (K,) float32 of a random room: exponentially decaying noise (Polack 1988) behind single reflections.

    The direct sound is sample 0 and has the size 1. The response is as long as the reverberation time RT60 of ``seconds``,
    in which the sound falls by 60 dB; ``direct_db`` is the energy of the direct sound over that of all reflections.
    """
    size = max(2, round(seconds * sample_rate))
    early = min(size - 1, max(1, round(EARLY_SECONDS * sample_rate)))
    times = np.arange(size, dtype=np.float32)
    echoes = rng.standard_normal(size, dtype=np.float32) * np.minimum(times / early, 1)
    places = rng.integers(1, early + 1, NUM_REFLECTIONS)
    # together as strong as the tail would be in their place
    echoes[places] += rng.choice((-1.0, 1.0), NUM_REFLECTIONS) * np.sqrt(early / NUM_REFLECTIONS)
    echoes *= np.exp(-LOG_60_DB / (seconds * sample_rate) * times)
    echoes[0] = 0.0
    echoes *= np.sqrt(10 ** (-direct_db / 10) / np.sum(np.square(echoes, dtype=np.float64)))
    echoes[0] = 1.0
    return echoes.astype(np.float32)


def add_noise(samples: np.ndarray, snr_db: float, color: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise at a signal-to-noise ratio (decibels) over the whole recording (N,); silence comes back as it is."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    if power == 0.0:
        return samples
    noise = colored_noise(len(samples), color, rng)
    scale = np.sqrt(power / 10 ** (snr_db / 10) / np.mean(np.square(noise, dtype=np.float64)))
    return samples + noise * np.float32(scale)


def colored_noise(size: int, color: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise (size,) float32, of any level, with the power spectrum 1 / f ** color: 0 is white, 1 pink, 2 brown."""
    length = scipy.fft.next_fast_len(max(size, 2), real=True)
    bins = np.arange(length // 2 + 1, dtype=np.float32)
    bins[0] = 1.0  # the constant part takes the weight of the lowest frequency
    white = rng.standard_normal(length, dtype=np.float32)
    return scipy.fft.irfft(scipy.fft.rfft(white) * bins ** np.float32(-color / 2), n=length)[:size]


def pass_telephone(samples: np.ndarray, sample_rate: int, low_hz: float, high_hz: float, mu_law: bool) -> np.ndarray:
    """Send a recording, (N,) float32, over a telephone line of 8 kHz and bring it back to its own rate; nothing moves in time.

    The line lets a band of frequencies through and, with ``mu_law``, codes every sample in eight bits, quiet ones more
    finely (ITU-T G.711). A recording of a lower rate than the line's is filtered at its own.
    """
    rate = min(TELEPHONE_RATE, sample_rate)
    line = samples if rate == sample_rate else soxr.resample(samples, sample_rate, rate)
    line = _limit_band(line, rate, low_hz, min(high_hz, rate / 2))
    if mu_law:
        line = quantize_mu_law(line)
    if rate == sample_rate:
        return line
    back = soxr.resample(line, rate, sample_rate)[: len(samples)]
    return np.pad(back, (0, len(samples) - len(back))).astype(np.float32, copy=False)


def quantize_mu_law(samples: np.ndarray) -> np.ndarray:
    """Round (N,) samples to the values of the mu-law code; what leaves [-1, 1] is scaled down for coding, not clipped.

    Ours, as none of the 256 levels of torchaudio's ``mu_law_encoding`` is zero: it makes silence hum.
    """
    peak = max(1.0, float(np.abs(samples).max(initial=0.0)))
    levels = np.sign(samples) * np.log1p(MU * np.abs(samples) / peak) / np.log1p(MU)  # -1..1
    levels = np.round(levels * (MU // 2)) / (MU // 2)
    return (np.sign(levels) * np.expm1(np.abs(levels) * np.log1p(MU)) / MU * peak).astype(np.float32)


def _limit_band(samples: np.ndarray, rate: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Filter without delay; the edges, below ``low_hz`` and above ``high_hz``, have the shape of a half cosine."""
    padding = rate // 20  # so that what rings at one end does not come in at the other
    length = scipy.fft.next_fast_len(len(samples) + padding, real=True)
    hertz = scipy.fft.rfftfreq(length, 1 / rate)
    gain = np.ones(len(hertz), dtype=np.float32)
    for within, edge in ((hertz - low_hz, low_hz), (high_hz - hertz, high_hz)):
        if edge > 0:
            ramp = np.clip(within / (FILTER_EDGE * edge) + 1, 0, 1)
            gain *= (0.5 - 0.5 * np.cos(np.pi * ramp)).astype(np.float32)
    return scipy.fft.irfft(scipy.fft.rfft(samples, length) * gain, length)[: len(samples)].astype(np.float32)
