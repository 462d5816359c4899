"""Free Spoken Digit Dataset: recordings/{digit}_{speaker}_{n}.wav."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recognizer.data.manifest import Item
from recognizer.errors import ConfigError, InputError, nearest

CORPUS = "fsdd"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--test-speaker`` and ``--dev-speaker``."""
    parser.add_argument("--test-speaker", "--hold-out", action="append", metavar="NAME", help="all of this speaker go to test.jsonl; repeatable")
    parser.add_argument("--dev-speaker", action="append", metavar="NAME", help="all of this speaker go to dev.jsonl; repeatable")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the recordings in the order of their names.

    Raises:
        ConfigError: a speaker to hold out is not in the corpus or held out twice.
    """
    folder = source / "recordings" if (source / "recordings").is_dir() else source
    found = []
    for path in sorted(folder.glob("*.wav")):
        match = re.fullmatch(r"([0-9])_(.+)_([0-9]+)", path.stem)
        if match:
            found.append((path, match))
        else:
            options.drop(InputError(f"{path}: the name is not of the form digit_speaker_number.wav"))
    held = _assign_speakers({match[2] for _, match in found}, options)
    for path, match in found:
        meta: dict[str, Any] = {"split": held.get(match[2], "train")} if held else {}
        yield Item(path.stem, path, text=DIGITS[int(match[1])], group=match[2], meta=meta)


def _assign_speakers(speakers: set[str], options: argparse.Namespace) -> dict[str, str]:
    held: dict[str, str] = {}
    for split, names in (("test", options.test_speaker), ("dev", options.dev_speaker)):
        for name in names or ():
            if name not in speakers:
                raise ConfigError(f"--{split}-speaker {name}: not a speaker of this corpus{nearest(name, speakers)} ({', '.join(sorted(speakers))})")
            if held.setdefault(name, split) != split:
                raise ConfigError(f"--{split}-speaker {name}: is already held out for {held[name]}")
    return held
