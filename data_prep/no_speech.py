"""Recordings in which nobody speaks, made of nothing: silence, noise, hum, clicks and simple music, each with an empty transcript.

Trained on beside speech (`corpus.extra`), they teach a recogniser to write nothing where nothing is said:
`recognizer prepare no-speech data/no_speech --items 500`. The items are marked `"empty": true`, so that the audit keeps them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recognizer.data.manifest import Item
from recognizer.data_prep.sound_writer import add_format_arguments, write_sound
from recognizer.errors import ConfigError

CORPUS = "no-speech"
NEEDS_SOURCE = False
LEVELS = (-60.0, -15.0)  # dB of full scale, RMS
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9))  # semitones: major, minor, pentatonic
OVERTONES = 8
VIBRATO_HZ = 5.5

Maker = Callable[[int, int, np.random.Generator], np.ndarray]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how many, how long and of which kinds."""
    parser.add_argument("--items", type=int, default=500, help="how many recordings to make (default 500)")
    parser.add_argument("--shortest", type=float, default=0.5, metavar="SECONDS", help="of the recordings (default 0.5)")
    parser.add_argument("--longest", type=float, default=8.0, metavar="SECONDS", help="of the recordings (default 8)")
    parser.add_argument("--kind", action="append", choices=tuple(KINDS), help="only this kind; repeatable (default: all in turn)")
    add_format_arguments(parser)


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Make recordings in ``options.made``, each kind in turn; what one sounds like depends on the seed and its number only.

    Raises:
        ConfigError: lengths that make no range.
    """
    if not 0.05 <= options.shortest <= options.longest:
        raise ConfigError(f"--shortest {options.shortest:g} --longest {options.longest:g}: must be a range from 0.05 seconds upwards")
    kinds = options.kind or list(KINDS)
    folder = options.made
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(options.items):
        generator = np.random.default_rng([options.seed, number])
        kind = kinds[number % len(kinds)]
        size = round(generator.uniform(options.shortest, options.longest) * options.rate)
        path = folder / f"{number:06d}.{options.format}"
        write_sound(path, KINDS[kind](size, options.rate, generator), options.rate)
        yield Item(f"{folder.name}_{number:06d}", path.absolute(), text="", units=(), meta={"empty": True, "kind": kind})


def be_silent(size: int, rate: int, generator: np.random.Generator) -> np.ndarray:
    """Zeros."""
    return np.zeros(size, dtype=np.float32)


def make_noise(size: int, rate: int, generator: np.random.Generator) -> np.ndarray:
    """Steady noise of any colour from blue to brown, fainter and louder by turns in half of the cases."""
    from recognizer.features.audio_augment import coloured_noise

    noise = coloured_noise(size, float(generator.uniform(-0.5, 2.0)), generator)
    if generator.random() < 0.5:
        waves = np.arange(size) / rate * generator.uniform(0.1, 2.0)  # of the swell, which is no faster than 2 Hz
        noise *= 1 + 0.8 * np.sin(2 * np.pi * (waves + generator.random()))
    return _level(noise, generator)


def hum(size: int, rate: int, generator: np.random.Generator) -> np.ndarray:
    """The mains at 50 or 60 Hz, or a motor at up to 200 Hz, with overtones and faint noise."""
    from recognizer.features.audio_augment import coloured_noise

    pitch = float(generator.choice([50.0, 60.0, generator.uniform(70, 200)]))
    times = np.arange(size) / rate
    decay = generator.uniform(0.3, 2.0)
    tones = [k**-decay * np.sin(2 * np.pi * (k * pitch * times + generator.random())) for k in range(1, OVERTONES + 1)]
    noise = coloured_noise(size, 1.0, generator)
    return _level(np.sum(tones, axis=0) + noise * generator.uniform(0, 0.3) / max(float(noise.std()), 1e-9), generator)


def click(size: int, rate: int, generator: np.random.Generator) -> np.ndarray:
    """Knocks, keys and crackling: bursts of 1 to 40 ms at random times over faint noise."""
    from recognizer.features.audio_augment import coloured_noise

    clicks = 10 ** generator.uniform(-4, -2) * coloured_noise(size, 1.0, generator)
    pitch, length = generator.uniform(200, 3000), generator.uniform(0.001, 0.04)  # Hz; seconds in which a burst falls to a thousandth
    steps = np.arange(min(size, max(2, round(length * rate))))
    for start in generator.integers(0, size, 1 + generator.poisson(generator.uniform(0.5, 8) * size / rate)):
        ringing = np.sin(2 * np.pi * pitch * generator.uniform(0.8, 1.25) * steps / rate)
        burst = (ringing + generator.standard_normal(len(steps))) * np.exp(-np.log(1000) * steps / len(steps))
        clicks[start : start + len(steps)] += (generator.uniform(0.2, 1) * burst)[: size - start]
    return _level(clicks, generator)


def play_music(size: int, rate: int, generator: np.random.Generator) -> np.ndarray:
    """Chords of a key, a melody above them and a drum, in a bar of 3 or 4 beats at 60 to 180 a minute; drum, and chords or melody, may rest."""
    beat, bar = 60 / generator.uniform(60, 180), int(generator.integers(3, 5))  # seconds; beats
    scale, key = SCALES[generator.integers(len(SCALES))], 110 * 2 ** generator.uniform(0, 1)  # Hz
    melody, drum = generator.random(2) < (0.7, 0.5)
    chords = not melody or generator.random() < 0.8
    music = np.zeros(size)
    beaten = generator.uniform(0.1, 0.6)  # how hard the drum is
    colours = [Timbre.draw(generator) for _ in range(2)]
    root, step = 0, int(generator.integers(len(scale)))
    for number in range(int(size / rate / beat) + 1):
        start = number * beat
        if number % bar == 0:
            root = int(generator.integers(len(scale)))
        if chords and (number % bar == 0 or generator.random() < 0.3):
            for third in (0, 2, 4):
                colours[0].add(music, rate, start, beat * bar, key * _interval(scale, root + third), generator)
        for half in (0.0, 0.5):
            if melody and generator.random() < 0.6:
                step += int(generator.integers(-2, 3))
                colours[1].add(music, rate, start + half * beat, beat, 2 * key * _interval(scale, step % (2 * len(scale))), generator)
            if drum and (half == 0 or generator.random() < 0.5):
                first, length = round((start + half * beat) * rate), round(0.05 * rate)
                burst = beaten * generator.standard_normal(length) * np.exp(-6 * np.arange(length) / length)
                music[first : first + length] += burst[: max(0, size - first)]
    return _level(music, generator)


@dataclass(frozen=True)
class Timbre:
    """How an instrument sounds."""

    weights: np.ndarray  # (K,), of the overtones
    attack: float  # seconds in which a note begins
    decay: float  # seconds in which it falls to 1 / e
    vibrato: float  # share of the pitch by which it trembles

    @staticmethod
    def draw(generator: np.random.Generator) -> Timbre:
        """An instrument of chance."""
        weights = np.arange(1, OVERTONES + 1) ** -generator.uniform(0.5, 2.5) * generator.uniform(0.2, 1, OVERTONES)
        return Timbre(weights, generator.uniform(0.002, 0.1), generator.uniform(0.1, 1.5), float(generator.choice([0.0, 0.004])))

    def add(self, music: np.ndarray, rate: int, start: float, seconds: float, pitch: float, generator: np.random.Generator) -> None:
        """Play a note of ``pitch`` Hz into ``music`` (N,), which may end before it."""
        first = round(start * rate)
        times = np.arange(max(0, min(len(music) - first, round(seconds * rate)))) / rate
        phase = pitch * (times + self.vibrato * np.sin(2 * np.pi * VIBRATO_HZ * times) / (2 * np.pi * VIBRATO_HZ))  # cycles
        shape = np.minimum(1, times / self.attack) * np.exp(-times / self.decay) * np.minimum(1, (seconds - times) / 0.01)
        heard = [k for k in range(1, len(self.weights) + 1) if k * pitch < rate / 2]
        tones = [self.weights[k - 1] * np.sin(2 * np.pi * k * phase) for k in heard]
        music[first : first + len(times)] += generator.uniform(0.5, 1) * np.sum(tones, axis=0) * shape


KINDS: dict[str, Maker] = {"silence": be_silent, "noise": make_noise, "hum": hum, "clicks": click, "music": play_music}


def _interval(scale: tuple[int, ...], step: int) -> float:
    """The ratio of a step of a scale, counted on into higher octaves, to its first."""
    return float(2 ** (step // len(scale) + scale[step % len(scale)] / 12))


def _level(samples: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return (samples * (10 ** (generator.uniform(*LEVELS) / 20) / max(rms, 1e-9))).astype(np.float32)
