"""Mozilla Common Voice: train.tsv, dev.tsv and test.tsv beside clips/, with what is known of the speakers."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text, read_text
from recognizer.data_prep.table import read_rows
from recognizer.errors import InputError

CORPUS = "common_voice"
SPLITS = ("train", "dev", "test")
NEEDED = ("client_id", "path", "sentence")
ABOUT = {"age": "age", "gender": "sex", "accents": "accent", "accent": "accent", "variant": "variant", "locale": "locale"}  # column: key


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--table`` and ``--votes``."""
    parser.add_argument("--table", action="append", metavar="NAME", help=(
        "read NAME.tsv, such as validated or other; repeatable (default: train, dev and test, as far as they are there)"))
    parser.add_argument("--votes", type=int, default=0, metavar="N", help="only clips with N more up-votes than down-votes, or above (default 0)")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the rows in order; each table is a split of its own name. ``source`` is the folder of a language.

    Quotation marks are part of the sentences. A clip that was converted is found under its stem.

    Raises:
        InputError: no table is there, or one lacks a column.
    """
    names = options.table or [name for name in SPLITS if (source / f"{name}.tsv").is_file()]
    if not names:
        wanted = ", ".join(f"{name}.tsv" for name in SPLITS)
        raise InputError(f"{source}: none of {wanted} is there; give the folder of a language, such as cv-corpus/fr")
    for name in names:
        table = source / f"{name}.tsv"
        rows = read_rows(table, read_text(table), "\t", quoted=False)
        _, header = next(rows, (1, []))
        absent = [column for column in NEEDED if column not in header]
        if absent:
            raise InputError(f"{table}:1: has no column {', '.join(absent)} (there are {', '.join(header) or 'none'})")
        few = 0
        for number, row in rows:
            values = dict(zip(header, row, strict=False))
            try:
                if len(row) != len(header):
                    raise InputError(f"{table}:{number}: {len(row)} columns where the first line has {len(header)}")
                if _votes(values) < options.votes:
                    few += 1
                    continue
                yield _make_item(f"{table}:{number}", source / "clips", values, name)
            except InputError as error:
                options.drop(error)
        if few:
            options.note(f"{table}: {few} clips left out, as they have too few votes (--votes {options.votes})")


def _make_item(where: str, clips: Path, values: dict[str, str], split: str) -> Item:
    from recognizer.audio.io import AUDIO_SUFFIXES

    named = clips / values["path"]
    stem = named.with_suffix("") if named.suffix.lower() in AUDIO_SUFFIXES else named
    candidates = (named, *(stem.with_name(stem.name + suffix) for suffix in sorted(AUDIO_SUFFIXES)))
    path = next((path for path in candidates if values["path"] and path.is_file()), None)
    if path is None:
        raise InputError(f"{where}: no such recording: {named}")
    text = clean_text(values["sentence"])
    if not text:
        raise InputError(f"{where}: the sentence is empty")
    meta = {key: values[column] for column, key in ABOUT.items() if values.get(column)}
    return Item(stem.name, path, text=text, group=values["client_id"] or None, meta={**meta, "split": split})


def _votes(values: dict[str, str]) -> int:
    up, down = (values.get(column, "") for column in ("up_votes", "down_votes"))
    return sum(sign * int(votes) for sign, votes in ((1, up), (-1, down)) if re.fullmatch(r"\d{1,9}", votes))
