"""Connected digits, made by joining recordings of the Free Spoken Digit Dataset: recordings/{digit}_{speaker}_{n}.wav.

Every string is of one speaker, and every recording is used equally often: shuffled packs of a speaker's recordings are laid end to
end and cut into strings. `recognizer prepare connected-digits FREE_SPOKEN_DIGIT data/strings --dev-speaker nicolas`.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from recognizer.data.manifest import Item
from recognizer.data_prep import fsdd
from recognizer.data_prep.sound import Spacing, add_format_arguments, join_sounds, write_sound
from recognizer.errors import ConfigError, InputError

CORPUS = "connected-digits"
RATE = 8000  # Hz, of the corpus; strings of another rate are made of these
JOINED_SHARE = 0.3  # of the pauses that are none


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``fsdd``, how long strings and pauses are, and how often a recording is used."""
    fsdd.add_arguments(parser)
    parser.add_argument("--digits", type=int, default=7, metavar="N", help="most digits in a string (default 7)")
    parser.add_argument("--uses", type=int, default=4, metavar="N", help="how often every recording is used (default 4)")
    parser.add_argument("--pause", type=float, default=0.4, metavar="SECONDS", help="longest pause between digits (default 0.4)")
    parser.add_argument("--case", choices=("lower", "upper"), default="lower", help="of the transcript (default lower)")
    add_format_arguments(parser)


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Join the recordings at ``source`` into ``options.made``, one speaker after another.

    Raises:
        ConfigError: a speaker to hold out is not in the corpus or held out twice; a number is too small.
    """
    import soxr

    from recognizer.audio.io import load_audio

    for name, least in (("digits", 1), ("uses", 1), ("pause", 0)):
        if getattr(options, name) < least:
            raise ConfigError(f"--{name} {getattr(options, name)}: must be at least {least}")
    speakers: dict[str, list[fsdd.Clip]] = defaultdict(list)
    for clip in fsdd.find_clips(source, options):
        speakers[clip.speaker].append(clip)
    folder = options.made
    folder.mkdir(parents=True, exist_ok=True)
    for speaker in sorted(speakers):
        sounds: dict[Path, np.ndarray] = {}
        for clip in speakers[speaker]:
            try:
                sounds[clip.path] = load_audio(clip.path, RATE)
            except InputError as error:
                options.drop(error)
        rng = random.Random(f"{options.seed} {speaker}")  # others who join or leave the corpus change nothing for this speaker
        strings = _deal([clip for clip in speakers[speaker] if clip.path in sounds], options.uses, options.digits, rng)
        for number, clips in enumerate(strings):
            spacing = Spacing.draw(rng, len(clips), options.pause, JOINED_SHARE)
            path = folder / f"{speaker}_{number:05d}.{options.format}"
            joined = join_sounds([sounds[clip.path] for clip in clips], RATE, spacing)
            write_sound(path, joined if options.rate == RATE else soxr.resample(joined, RATE, options.rate), options.rate)
            text = " ".join(fsdd.DIGITS[clip.digit] for clip in clips)
            text = text.upper() if options.case == "upper" else text
            units = tuple(phone for clip in clips for phone in fsdd.PHONES[clip.digit])
            meta = clips[0].meta | {"clips": [clip.path.stem for clip in clips]}
            yield Item(f"{folder.name}_{path.stem}", path.absolute(), text=text, units=units, group=speaker, meta=meta)


def _deal(clips: Sequence[fsdd.Clip], uses: int, max_digits: int, rng: random.Random) -> Iterator[list[fsdd.Clip]]:
    """Strings of one to ``max_digits`` digits in which every recording stands ``uses`` times."""
    pack = [clip for _ in range(uses) for clip in rng.sample(clips, len(clips))]
    while pack:
        length = rng.randint(1, max_digits)
        yield pack[:length]
        del pack[:length]
