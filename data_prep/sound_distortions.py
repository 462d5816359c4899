"""What happens to recordings in use: telephones, noise, other voices, distance, wrong levels, digital silence; and recordings in which nobody speaks.

Every change takes samples (N,) float32 at 16 kHz, a generator that decides everything, and recordings of other people, and gives samples with
their sample rate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

RATE = 16_000  # Hz, of what is read
TELEPHONE_BAND = (300.0, 3400.0)  # Hz, of a line by ITU-T G.120
BABBLE_VOICES = 6  # that speak at once
QUIET = -40.0  # dB of the gain
OVERDRIVE = 20.0  # dB above full scale at which the peaks are cut off
DECAY = 0.6  # seconds in which the echo of a room falls by 60 dB; a living room with bare walls
DIRECT = 0.0  # dB of the direct sound above the echo; a speaker two metres from the microphone
PADDING = 0.5  # seconds of digital silence on either side
FAINT_NOISE = -60.0  # dB of full scale, RMS; a quiet room
HUM, HUM_LEVEL, OVERTONES = 50.0, -30.0, 6  # Hz; dB of full scale, RMS; of the mains
MUSIC_LEVEL, BEAT, NOTES = -20.0, 0.4, 3  # dB of full scale, RMS; seconds a chord; notes in a chord
SCALE = (0, 2, 4, 5, 7, 9, 11)  # semitones above the key

Sound = tuple[np.ndarray, int]
Crowd = Sequence[np.ndarray]
Change = Callable[[np.ndarray, np.random.Generator, Crowd], Sound]


@dataclass(frozen=True)
class SoundKind:
    """One distortion: how it is made, whether it leaves any speech, and the format of its files."""

    change: Change
    blank: bool = False
    crowded: bool = False  # whether it needs recordings of other people
    suffix: str = ".flac"


def telephone(samples: np.ndarray, generator: np.random.Generator, crowd: Crowd) -> Sound:
    """Speak over a telephone: 300 to 3400 Hz, 8 kHz, 8 bits on the logarithmic scale of G.711."""
    import soxr

    from recognizer.features.telephone import RATE as LINE_RATE
    from recognizer.features.telephone import pass_telephone

    return pass_telephone(soxr.resample(samples, RATE, LINE_RATE), LINE_RATE, *TELEPHONE_BAND, mu_law=True), LINE_RATE


def add_noise(samples: np.ndarray, generator: np.random.Generator, crowd: Crowd, snr_db: float) -> Sound:
    """White noise, its power ``snr_db`` below that of the whole recording."""
    return _mix(samples, generator.standard_normal(len(samples)), snr_db), RATE


def add_babble(samples: np.ndarray, generator: np.random.Generator, crowd: Crowd, snr_db: float) -> Sound:
    """Other people who speak at once, each as loud as the next, their power together ``snr_db`` below that of the recording."""
    babble = np.zeros(len(samples))
    for number in generator.permutation(len(crowd))[:BABBLE_VOICES]:
        voice = np.asarray(crowd[number], float)
        babble += np.resize(np.roll(voice, int(generator.integers(len(voice)))), len(samples)) / max(_rms(voice), 1e-6)
    return _mix(samples, babble, snr_db), RATE


def hush(samples: np.ndarray, generator: np.random.Generator, crowd: Crowd) -> Sound:
    """Record at a hundredth of the level; what is left are the upper bits of 16."""
    return samples * 10 ** (QUIET / 20), RATE


def overdrive(samples: np.ndarray, generator: np.random.Generator, crowd: Crowd) -> Sound:
    """Record far too loud: the peaks are cut off."""
    return np.clip(samples / max(float(np.abs(samples).max()), 1e-6) * 10 ** (OVERDRIVE / 20), -1, 1), RATE


def reverberate(samples: np.ndarray, generator: np.random.Generator, crowd: Crowd) -> Sound:
    """Speak across a room with bare walls."""
    from recognizer.features.room import add_reverb

    return _fit(add_reverb(samples, RATE, DECAY, DIRECT, generator)), RATE


def keep(samples: np.ndarray, generator: np.random.Generator, crowd: Crowd) -> Sound:
    """Leave the samples to a lossy format."""
    return samples, RATE


def pad(samples: np.ndarray, generator: np.random.Generator, crowd: Crowd) -> Sound:
    """Digital silence before and behind, as coders and editors leave it."""
    return np.pad(samples, round(PADDING * RATE)), RATE


def silence(samples: np.ndarray, generator: np.random.Generator, crowd: Crowd) -> Sound:
    """Nothing at all, as long as the recording."""
    return np.zeros(len(samples)), RATE


def faint_noise(samples: np.ndarray, generator: np.random.Generator, crowd: Crowd) -> Sound:
    """An empty room: pink noise at the level that microphones and ventilation leave."""
    from recognizer.features.audio_augment import coloured_noise

    return _level(coloured_noise(len(samples), 1.0, generator), FAINT_NOISE), RATE


def hum(samples: np.ndarray, generator: np.random.Generator, crowd: Crowd) -> Sound:
    """The hum of the mains and its overtones."""
    times = np.arange(len(samples)) / RATE
    tones = [np.sin(2 * np.pi * (n * HUM * times + generator.uniform())) / n for n in range(1, OVERTONES + 1)]
    return _level(np.sum(tones, axis=0), HUM_LEVEL), RATE


def play_music(samples: np.ndarray, generator: np.random.Generator, crowd: Crowd) -> Sound:
    """Chords of a key, plucked on strings: each note has overtones and dies away."""
    key = 110 * 2 ** (generator.integers(12) / 12)  # Hz
    step = round(BEAT * RATE)
    music = np.zeros(len(samples) + 3 * step)
    times = np.arange(3 * step) / RATE
    for start in range(0, len(samples), step):
        for _ in range(NOTES):
            note = key * 2 ** (int(generator.integers(3)) + SCALE[generator.integers(len(SCALE))] / 12)
            overtones = [np.sin(2 * np.pi * n * note * times) * np.exp(-2 * n * times) / n for n in range(1, 6)]
            music[start : start + 3 * step] += np.sum(overtones, axis=0)
    return _level(music[: len(samples)], MUSIC_LEVEL), RATE


SOUND_KINDS: dict[str, SoundKind] = {
    "telephone": SoundKind(telephone, suffix=".wav"),
    **{f"noise-{snr}-db": SoundKind(partial(add_noise, snr_db=snr)) for snr in (20, 10, 5)},
    **{f"babble-{snr}-db": SoundKind(partial(add_babble, snr_db=snr), crowded=True) for snr in (20, 10, 5)},
    "quiet": SoundKind(hush),
    "clipped": SoundKind(overdrive),
    "room": SoundKind(reverberate),
    "mp3": SoundKind(keep, suffix=".mp3"),
    "padded": SoundKind(pad),
    "silence": SoundKind(silence, blank=True),
    "faint-noise": SoundKind(faint_noise, blank=True),
    "hum": SoundKind(hum, blank=True),
    "music": SoundKind(play_music, blank=True),
}


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _mix(samples: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    return _fit(samples + noise * (_rms(samples) * 10 ** (-snr_db / 20) / max(_rms(noise), 1e-9)))


def _level(samples: np.ndarray, level_db: float) -> np.ndarray:
    return _fit(samples * (10 ** (level_db / 20) / max(_rms(samples), 1e-9)))


def _fit(samples: np.ndarray) -> np.ndarray:
    """Scaled down as a whole where it would leave [-1, 1]: clipping is a distortion of its own."""
    return samples / max(1.0, float(np.abs(samples).max(initial=0.0)))
