"""Connected digits, made by joining recordings of the Free Spoken Digit Dataset: recordings/{digit}_{speaker}_{n}.wav.

Every string is of one speaker, and every recording is used equally often: shuffled packs of a speaker's recordings are laid end to
end and cut into strings. `recognizer prepare connected-digits FREE_SPOKEN_DIGIT data/strings --dev-speaker nicolas`.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from recognizer.data.manifest import Item
from recognizer.data_prep import fsdd
from recognizer.data_prep.sound_writer import add_format_arguments, write_sound
from recognizer.errors import ConfigError, InputError

CORPUS = "connected-digits"
JOINED = 0.3  # share of the pauses that are none: one digit fades into the next
FADE = (0.003, 0.015)  # seconds over which digits fade into each other, into silence or into noise
MARGIN = 0.5  # seconds of silence before and after, at most
Background = Literal["silence", "noise", "own"]  # zeros; noise under all of it; noise like the quietest parts of the recordings, between them
RATE = 8000  # Hz, of the corpus; strings of another rate are made of these
BACKGROUNDS: tuple[Background, ...] = ("own", "own", "noise", "silence")  # what fills the pauses, drawn evenly
FLOOR_DB = (-75.0, -45.0)  # dB of full scale, RMS, of "noise"
FRAME = 128  # samples, of the pieces of a recording that are searched for its own background


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``fsdd``, how long strings and pauses are, and how often a recording is used."""
    fsdd.add_arguments(parser)
    parser.add_argument("--digits", type=int, default=7, metavar="N", help="most digits in a string (default 7)")
    parser.add_argument("--uses", type=int, default=4, metavar="N", help="how often every recording is used (default 4)")
    parser.add_argument("--pause", type=float, default=0.4, metavar="SECONDS", help="longest pause between digits (default 0.4)")
    parser.add_argument("--case", choices=("lower", "upper"), default="lower", help="of the transcript (default lower)")
    add_format_arguments(parser)


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Join the recordings at ``source`` into ``OUT/strings``, one speaker after another.

    Raises:
        ConfigError: a speaker to hold out is not in the corpus or held out twice; a number below its least.
    """
    import soxr

    from recognizer.features.audio_file import load_audio

    for name, least in (("digits", 1), ("uses", 1), ("pause", 0)):
        if getattr(options, name) < least:
            raise ConfigError(f"--{name} {getattr(options, name)}: must be at least {least}")
    speakers: dict[str, list[fsdd.Clip]] = defaultdict(list)
    for clip in fsdd.find_clips(source, options):
        speakers[clip.speaker].append(clip)
    folder = options.out / "strings"
    folder.mkdir(parents=True, exist_ok=True)
    for speaker in sorted(speakers):
        sounds: dict[Path, np.ndarray] = {}
        for clip in speakers[speaker]:
            try:
                sounds[clip.path] = load_audio(clip.path, RATE)
            except InputError as error:
                options.drop(error)
        chance = random.Random(f"{options.seed} {speaker}")  # others who join or leave the corpus change nothing for this speaker
        strings = _deal([clip for clip in speakers[speaker] if clip.path in sounds], options.uses, options.digits, chance)
        for number, clips in enumerate(strings):
            setting = Setting.draw(chance, len(clips), options.pause)
            path = folder / f"{speaker}_{number:05d}.{options.format}"
            joined = join_sounds([sounds[clip.path] for clip in clips], RATE, setting)
            write_sound(path, joined if options.rate == RATE else soxr.resample(joined, RATE, options.rate), options.rate)
            text = " ".join(fsdd.DIGITS[clip.digit] for clip in clips)
            meta = clips[0].meta | {"clips": [clip.path.stem for clip in clips]}
            text = text.upper() if options.case == "upper" else text
            units = tuple(phone for clip in clips for phone in fsdd.PHONES[clip.digit])
            yield Item(f"connected_{path.stem}", path.absolute(), text=text, units=units, group=speaker, meta=meta)


@dataclass(frozen=True)
class Setting:
    """How a string is put together: times in seconds; a pause of 0 lets two digits fade into each other."""

    pauses: Sequence[float]
    before: float
    after: float
    fade: float
    background: Background = "silence"
    floor_db: float = -60.0  # dB of full scale, RMS, of "noise"
    colour: float = 0.0  # of "noise": its spectrum is 1 / f ** colour
    seed: int = 0  # of either noise

    @staticmethod
    def draw(chance: random.Random, digits: int, pause: float) -> Setting:
        """A setting of chance for so many digits."""
        pauses = [0.0 if chance.random() < JOINED else chance.uniform(0, pause) for _ in range(digits - 1)]
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


def _deal(clips: Sequence[fsdd.Clip], uses: int, most: int, chance: random.Random) -> Iterator[list[fsdd.Clip]]:
    """Strings of one to ``most`` digits in which every recording stands ``uses`` times."""
    pack = [clip for _ in range(uses) for clip in chance.sample(clips, len(clips))]
    while pack:
        length = chance.randint(1, most)
        yield pack[:length]
        del pack[:length]


def _envelope(size: int, fade: int) -> np.ndarray:
    envelope = np.ones(size, dtype=np.float32)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / max(fade, 1))  # with its mirror image it adds up to one
    envelope[:fade], envelope[size - fade :] = ramp, ramp[::-1]
    return envelope
