"""Recordings in which nobody speaks, made of nothing: silence, noise, hum, clicks and simple music, each with an empty transcript.

Trained on beside speech (`corpus.extra`), they teach a recognizer to write nothing where nothing is said:
`recognizer prepare no-speech data/no_speech --items 500`. The items are marked `"empty": true`, so that the audit keeps them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from recognizer.data.manifest import Item
from recognizer.data_prep.sound import add_format_arguments, set_level, write_sound
from recognizer.errors import ConfigError

CORPUS = "no-speech"
NEEDS_SOURCE = False
LEVELS_DB = (-60.0, -15.0)  # dB of full scale, RMS
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9))  # semitones: major, minor, pentatonic
OVERTONES = np.arange(1, 9)

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
        rng = np.random.default_rng([options.seed, number])
        kind = kinds[number % len(kinds)]
        size = round(rng.uniform(options.shortest, options.longest) * options.rate)
        path = folder / f"{number:06d}.{options.format}"
        write_sound(path, KINDS[kind](size, options.rate, rng), options.rate)
        yield Item(f"{folder.name}_{number:06d}", path.absolute(), text="", units=(), meta={"empty": True, "kind": kind})


def make_silence(size: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Zeros (size,)."""
    return np.zeros(size, dtype=np.float32)


def make_noise(size: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Steady noise (size,) of any color from blue to brown, swelling and fading in half of the cases."""
    from recognizer.audio.augment import colored_noise

    noise = colored_noise(size, float(rng.uniform(-0.5, 2.0)), rng)
    if rng.random() < 0.5:
        waves = np.arange(size) / rate * rng.uniform(0.1, 2.0)  # no faster than 2 Hz
        noise *= 1 + 0.8 * np.sin(2 * np.pi * (waves + rng.random()))
    return set_level(noise, rng.uniform(*LEVELS_DB))


def make_hum(size: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """The mains at 50 or 60 Hz, or a motor at up to 200 Hz, with overtones and faint noise, (size,)."""
    from recognizer.audio.augment import colored_noise

    pitch = float(rng.choice([50.0, 60.0, rng.uniform(70, 200)]))
    times = np.arange(size) / rate
    decay = rng.uniform(0.3, 2.0)
    tones = [k**-decay * np.sin(2 * np.pi * (k * pitch * times + rng.random())) for k in OVERTONES.astype(float)]
    noise = colored_noise(size, 1.0, rng)
    return set_level(np.sum(tones, axis=0) + noise * rng.uniform(0, 0.3) / max(float(noise.std()), 1e-9), rng.uniform(*LEVELS_DB))


def make_clicks(size: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Knocks, keys and crackling: bursts of 1 to 40 ms at random times over faint noise, (size,)."""
    from recognizer.audio.augment import colored_noise

    clicks = 10 ** rng.uniform(-4, -2) * colored_noise(size, 1.0, rng)
    pitch, length = rng.uniform(200, 3000), rng.uniform(0.001, 0.04)  # Hz; seconds in which a burst falls to a thousandth
    steps = np.arange(min(size, max(2, round(length * rate))))
    for start in rng.integers(0, size, 1 + rng.poisson(rng.uniform(0.5, 8) * size / rate)):
        ringing = np.sin(2 * np.pi * pitch * rng.uniform(0.8, 1.25) * steps / rate)
        burst = (ringing + rng.standard_normal(len(steps))) * np.exp(-np.log(1000) * steps / len(steps))
        clicks[start : start + len(steps)] += (rng.uniform(0.2, 1) * burst)[: size - start]
    return set_level(clicks, rng.uniform(*LEVELS_DB))


def make_music(size: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Chords of a key and a melody above them at 60 to 180 beats a minute, with a drum in half of the cases, (size,)."""
    beat, bar = 60 / rng.uniform(60, 180), int(rng.integers(3, 5))  # seconds; beats
    scale, key = SCALES[rng.integers(len(SCALES))], 110 * 2 ** rng.uniform(0, 1)  # Hz
    drum = rng.uniform(0.1, 0.6) * (rng.random() < 0.5)
    weights = OVERTONES ** -rng.uniform(0.5, 2.5, (2, 1)) * rng.uniform(0.2, 1, (2, len(OVERTONES)))  # of the two instruments
    attack, decay = rng.uniform(0.002, 0.1, 2), rng.uniform(0.1, 1.5, 2)  # seconds in which a note begins, and falls to 1 / e
    music, step = np.zeros(size), int(rng.integers(len(scale)))

    def play(instrument: int, start: float, seconds: float, step: int) -> None:
        pitch = key * (1 + instrument) * 2 ** (step // len(scale) + scale[step % len(scale)] / 12)
        first = round(start * rate)
        times = np.arange(max(0, min(size - first, round(seconds * rate)))) / rate
        shape = np.minimum(1, times / attack[instrument]) * np.exp(-times / decay[instrument]) * np.minimum(1, (seconds - times) / 0.01)
        audible = OVERTONES[OVERTONES * pitch < rate / 2]
        tones = weights[instrument, : len(audible)] @ np.sin(2 * np.pi * pitch * audible[:, None] * times)
        music[first : first + len(times)] += rng.uniform(0.5, 1) * tones * shape

    for number in range(int(size / rate / beat) + 1):
        start = number * beat
        if number % bar == 0:
            root = int(rng.integers(len(scale)))
            for third in (0, 2, 4):
                play(0, start, bar * beat, root + third)
        step += int(rng.integers(-2, 3))
        play(1, start, beat, step % (2 * len(scale)))
        length = min(round(0.05 * rate), max(0, size - round(start * rate)))
        music[round(start * rate) :][:length] += drum * rng.standard_normal(length) * np.exp(-6 * np.arange(length) / max(1, length))
    return set_level(music, rng.uniform(*LEVELS_DB))


KINDS: dict[str, Maker] = {"silence": make_silence, "noise": make_noise, "hum": make_hum, "clicks": make_clicks, "music": make_music}
