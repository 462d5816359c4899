"""Free Spoken Digit Dataset: recordings/{digit}_{speaker}_{n}.wav."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recognizer.data.manifest import Item
from recognizer.errors import ConfigError, InputError, nearest

CORPUS = "fsdd"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SPOKEN = ("Z IH R OW", "W AH N", "T UW", "TH R IY", "F AO R", "F AY V", "S IH K S", "S EH V AH N", "EY T", "N AY N")
PHONES = tuple(tuple(phones.split()) for phones in _SPOKEN)  # the CMU dictionary's first of each, without stress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--speaker``, ``--test-speaker`` and ``--dev-speaker``."""
    parser.add_argument("--speaker", action="append", metavar="NAME", help="only this speaker; repeatable (default: all)")
    parser.add_argument("--test-speaker", "--hold-out", action="append", metavar="NAME", help="all of this speaker go to test.jsonl; repeatable")
    parser.add_argument("--dev-speaker", action="append", metavar="NAME", help="all of this speaker go to dev.jsonl; repeatable")


@dataclass(frozen=True)
class Clip:
    """One recording: the digit, who says it and the split of that speaker (None where nobody is held out)."""

    path: Path
    digit: int
    speaker: str
    split: str | None

    @property
    def meta(self) -> dict[str, Any]:
        """What an item says of its split."""
        return {} if self.split is None else {"split": self.split}


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the recordings in the order of their names; raises as :func:`find_clips`."""
    for clip in find_clips(source, options):
        yield Item(clip.path.stem, clip.path, text=DIGITS[clip.digit], units=PHONES[clip.digit], group=clip.speaker, meta=clip.meta)


def find_clips(source: Path, options: argparse.Namespace) -> list[Clip]:
    """The recordings in the order of their names; others are dropped.

    Raises:
        ConfigError: a speaker to take or to hold out is not in the corpus, or held out twice.
    """
    folder = source / "recordings" if (source / "recordings").is_dir() else source
    found = []
    for path in sorted(folder.glob("*.wav")):
        match = re.fullmatch(r"([0-9])_(.+)_([0-9]+)", path.stem)
        if match:
            found.append((path, int(match[1]), match[2]))
        else:
            options.drop(InputError(f"{path}: the name is not of the form digit_speaker_number.wav"))
    speakers = {speaker for _, _, speaker in found}
    for name in options.speaker or ():
        _check_speaker("speaker", name, speakers)
    taken = set(options.speaker or speakers)
    held: dict[str, str] = {}
    for split, names in (("test", options.test_speaker), ("dev", options.dev_speaker)):
        for name in names or ():
            _check_speaker(f"{split}-speaker", name, taken)
            if held.setdefault(name, split) != split:
                raise ConfigError(f"--{split}-speaker {name}: is already held out for {held[name]}")
    return [Clip(path, digit, speaker, held.get(speaker, "train") if held else None) for path, digit, speaker in found if speaker in taken]


def _check_speaker(option: str, name: str, speakers: set[str]) -> None:
    if name not in speakers:
        raise ConfigError(f"--{option} {name}: not a speaker of this corpus{nearest(name, speakers)} ({', '.join(sorted(speakers))})")
