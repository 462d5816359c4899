"""LJSpeech and what is laid out like it: metadata.csv (id|text|text with numbers spelled out) beside wavs/."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text, read_text
from recognizer.data_prep.table import read_rows
from recognizer.errors import InputError

CORPUS = "ljspeech"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--text``."""
    parser.add_argument("--text", choices=("raw", "normalized"), default="normalized", help=(
        "raw: the second column; normalized: the third, where numbers and abbreviations are spelled out, or the second where there is none "
        "(default: normalized)"))


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the rows in order.

    One person reads it all, so the groups by which it is divided are the books: what stands before the hyphen of an id.

    Raises:
        InputError: metadata.csv is not there.
    """
    from recognizer.audio.io import AUDIO_SUFFIXES

    table = source / "metadata.csv"
    for number, row in read_rows(table, read_text(table), "|", quoted=False):
        try:
            if len(row) not in (2, 3):
                raise InputError(f"{table}:{number}: expected id|text|normalized text, found {len(row)} columns")
            id, raw, normalized = (*row, "")[:3]
            candidates = (source / "wavs" / f"{id}{suffix}" for suffix in (".wav", *sorted(AUDIO_SUFFIXES)))
            path = next((path for path in candidates if path.is_file()), None)
            if path is None:
                raise InputError(f"{table}:{number}: no such recording: {source / 'wavs' / id}.wav")
            text = clean_text(raw if options.text == "raw" else normalized or raw)
            if not text:
                raise InputError(f"{table}:{number}: the text of {id} is empty")
            book, hyphen, _ = id.partition("-")
            yield Item(id, path, text=text, group=book if hyphen else None)
        except InputError as error:
            options.drop(error)
