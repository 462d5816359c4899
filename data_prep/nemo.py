"""A NeMo manifest: a JSON object a line with audio_filepath, duration, text and, for spans of longer recordings, offset."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text, read_text, read_units
from recognizer.data_prep.sound import cut_sound, name_file
from recognizer.errors import InputError
from recognizer.utils.reading import parse_json

CORPUS = "nemo"
TEXT_KEYS = ("text", "text_filepath")
KEYS = {"audio_filepath", "duration", "offset", "speaker", "id", "units", *TEXT_KEYS}  # all others go to meta


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--audio-root``."""
    parser.add_argument("--audio-root", type=Path, metavar="FOLDER", help="what relative paths start from (default: the folder of SOURCE)")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the lines in order; where one has an ``offset``, its span is cut out of the recording.

    Raises:
        InputError: the manifest cannot be read.
    """
    if not source.is_file():
        raise InputError(f"{source}: give the manifest itself, not its folder")
    root = (options.audio_root or source.parent).absolute()
    for number, line in enumerate(read_text(source).split("\n"), start=1):
        if line.strip():
            where = f"{source}:{number}"
            try:
                yield _make_item(parse_json(line, where), where, root, options.made)
            except InputError as error:
                options.drop(error)


def _make_item(record: Any, where: str, root: Path, made: Path) -> Item:
    if not isinstance(record, dict):
        raise InputError(f"{where}: expected a JSON object")
    named, speaker = record.get("audio_filepath"), record.get("speaker")
    if not isinstance(named, str) or not named or "\0" in named or not (root / named).is_file():
        raise InputError(f"{where}: no such recording: audio_filepath is {named!r:.200}")
    path, units = root / named, record.get("units")
    id = str(record.get("id") or Path(named).with_suffix("").as_posix().lstrip("/"))
    text = clean_text(_read_text(record, where, root))
    if not text and not units and record.get("empty") is not True:
        raise InputError(f"{where}: the text is empty")
    known = read_units(units, where)
    start, seconds = (_read_seconds(record, key, where) for key in ("offset", "duration"))
    if start is not None:
        id = f"{id}-{start:.3f}"
        path = made / f"{name_file(id)}.flac"
        made.mkdir(parents=True, exist_ok=True)
        try:
            cut_sound(root / named, start, seconds, path)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
    meta = {key: value for key, value in record.items() if key not in KEYS and value is not None}
    return Item(id, path, text=text, units=known, group=None if speaker is None else str(speaker), meta=meta)


def _read_text(record: dict[str, Any], where: str, root: Path) -> str:
    """The transcript, in the line or in a file that it names."""
    text, file = (record.get(key) for key in TEXT_KEYS)
    if text is None and isinstance(file, str):
        return read_text(root / file)
    if not isinstance(text, str):
        raise InputError(f"{where}: the text is {text!r:.80}, not a string")
    return text


def _read_seconds(record: dict[str, Any], key: str, where: str) -> float | None:
    value = record.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf):
        raise InputError(f"{where}: the {key} is {value!r:.80}, not a number of seconds")
    return value
