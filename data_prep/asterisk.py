"""Prompts of the Asterisk telephone exchange: a folder of recordings with core-sounds-en.txt, the list of what they say."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.fsdd import DIGITS
from recognizer.data_prep.texts import clean_text, read_text
from recognizer.errors import InputError

CORPUS = "asterisk"
NOTE = re.compile(r"\[[^]]*\]|\([^)]*\)|<[^>]*>")  # beep: [this is a simple beep tone]
KEYS = {"*": "star", "#": "pound", **{str(digit): word for digit, word in enumerate(DIGITS)}}  # as English prompts call them
KEY = re.compile(r"(?<![\w.])(?:[0-9](?![\w]|\.\w)|[*#](?!\S*\w))")  # neither part of a number nor of a name such as H.323


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--texts``."""
    parser.add_argument("--texts", type=Path, metavar="FILE", help=(
        "what is said, a line `name: text` for each recording, names as paths below SOURCE without suffix (default: SOURCE/core-sounds-en.txt)"))


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the prompts in the order of the list; all are by one speaker, named by the folder.

    Keys of a telephone are spelt as they are said (``press 1`` becomes ``press one``); what cannot be told from the list,
    larger numbers and notes without a word, is dropped.

    Raises:
        InputError: ``source`` is not a folder, or the list cannot be read.
    """
    from recognizer.features.audio_file import AUDIO_SUFFIXES

    if not source.is_dir():
        raise InputError(f"{source}: not a folder")
    files = (path for path in source.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    recordings = {path.relative_to(source).with_suffix("").as_posix(): path for path in sorted(files)}
    texts = options.texts or source / "core-sounds-en.txt"
    for number, line in enumerate(read_text(texts).splitlines(), start=1):
        if not line.strip() or line.startswith(";"):
            continue
        place = f"{texts}:{number}"
        try:
            name, colon, said = line.partition(":")
            if not colon:
                raise InputError(f"{place}: expected name: text, found {line.strip()!r}")
            if name not in recordings:
                raise InputError(f"{place}: no recording {source / name}")
            text = spell_keys(clean_text(NOTE.sub(" ", said)))
            if not any(character.isalpha() for character in text):
                raise InputError(f"{place}: {name} says no word")
            if any(character.isdigit() for character in text):
                raise InputError(f"{place}: how the number in {text!r} is said cannot be told")
            yield Item(name, recordings[name], text=text, group=source.name)
        except InputError as error:
            options.drop(error)


def spell_keys(text: str) -> str:
    """Write single digits, stars and hashes as words."""
    return " ".join(KEY.sub(lambda match: KEYS[match[0]], text).split())
