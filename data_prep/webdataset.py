"""Tar archives as WebDataset lays them out: the files of one item share their name up to the first dot, x.flac with x.txt or x.json."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recognizer.audio.io import AUDIO_SUFFIXES
from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text, read_units
from recognizer.errors import InputError
from recognizer.image.io import IMAGE_SUFFIXES
from recognizer.strokes.io import STROKE_SUFFIXES
from recognizer.utils.archives import ARCHIVE, members, read_member
from recognizer.utils.reading import parse_json

CORPUS = "webdataset"
SUFFIXES = AUDIO_SUFFIXES | IMAGE_SUFFIXES | STROKE_SUFFIXES
TEXTS = (".json", ".txt", ".lab", ".gt.txt", ".transcript")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the keys of the JSON objects."""
    parser.add_argument("--text-key", default="text", metavar="KEY", help="of the transcript in x.json (default: text)")
    parser.add_argument("--group-key", default="group", metavar="KEY", help="of the speaker or writer in x.json (default: group)")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read archives in order of their names; the files stay where they are. An archive that is broken off gives what comes before.

    Raises:
        InputError: no archive is there.
    """
    archives = [source] if source.is_file() else sorted(source.rglob(f"*{ARCHIVE}"))
    if not archives:
        raise InputError(f"{source}: holds no {ARCHIVE} archive")
    for archive in archives:
        try:
            names = members(archive)
        except InputError as error:
            options.drop(error)
            continue
        samples: dict[str, dict[str, Path]] = defaultdict(dict)
        for name in names:
            folder, _, file = name.rpartition("/")
            key, dot, ending = file.partition(".")
            samples[f"{folder}/{key}" if folder else key][f"{dot}{ending}".lower()] = archive / name
        for key, files in samples.items():
            try:
                yield _make_item(key, files, archive, options)
            except InputError as error:
                options.drop(error)


def _make_item(key: str, files: dict[str, Path], archive: Path, options: argparse.Namespace) -> Item:
    where = archive / key
    path = next((path for ending, path in files.items() if ending in SUFFIXES), None)
    if path is None:
        raise InputError(f"{where}: no recording or picture among {', '.join(sorted(files))}")
    found = next((files[ending] for ending in TEXTS if ending in files), None)
    if found is None:
        raise InputError(f"{where}: no transcript beside {path.name}")
    try:
        content = read_member(found).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{found}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    if found.suffix != ".json":
        return Item(key, path, clean_text(content))
    record = parse_json(content, str(found))
    if not isinstance(record, dict):
        raise InputError(f"{found}: expected a JSON object")
    return _item_of_record(record, key, path, found, options)


def _item_of_record(record: dict[str, Any], key: str, path: Path, where: Path, options: argparse.Namespace) -> Item:
    """The item of a JSON object: what `recognizer prepare --shards` writes, or at least a text."""
    text, group, units, meta = record.get(options.text_key), record.get(options.group_key), record.get("units"), record.get("meta") or {}
    if not isinstance(text, str | None) or (text is None and units is None):
        raise InputError(f"{where}: the key {options.text_key!r} holds {text!r:.80}, not a string (--text-key names another)")
    return Item(
        str(record.get("id") or key), path, text=text, units=read_units(units, where), group=None if group is None else str(group),
        meta=meta if isinstance(meta, dict) else {},
    )  # fmt: skip
