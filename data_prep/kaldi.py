"""A Kaldi data directory: text, wav.scp and utt2spk, with spk2gender and spk2age if there are any."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text, read_text
from recognizer.errors import InputError

CORPUS = "kaldi"


class Entry(NamedTuple):
    """What a line of a Kaldi table says of its key, and where it stands."""

    value: str
    where: str  # file:line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--audio-root``."""
    parser.add_argument("--audio-root", type=Path, metavar="FOLDER", help="what relative paths in wav.scp start from (default: SOURCE)")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the utterances in the order of wav.scp.

    Raises:
        InputError: wav.scp or text is missing, or there are segments.
    """
    if (source / "segments").exists():
        raise InputError(f"{source / 'segments'}: segments of recordings are not supported; cut the recordings first (Kaldi: extract-segments)")
    yield from read_folder(source, (options.audio_root or source).absolute(), options)


def read_folder(folder: Path, audio_root: Path, options: argparse.Namespace) -> Iterator[Item]:
    """The utterances of a folder, whose speakers, genders and ages are known as far as there are tables of them; bad lines are dropped.

    Raises:
        InputError: wav.scp or text is missing.
    """
    recordings, texts = read_table(folder / "wav.scp", options), read_table(folder / "text", options)
    tables = (folder / name for name in ("utt2spk", "spk2gender", "spk2age"))
    speakers, genders, ages = (read_table(path, options) if path.exists() else {} for path in tables)
    for id, entry in recordings.items():
        try:
            path = _locate_recording(entry, audio_root)
            if id not in texts:
                raise InputError(f"{entry.where}: {id} has no line in {folder / 'text'}")
            text = clean_text(texts[id].value)
            if not text:
                raise InputError(f"{texts[id].where}: the text of {id} is empty")
            if speakers and id not in speakers:
                raise InputError(f"{folder / 'utt2spk'}: has no line for {id}")
            speaker = speakers[id].value if speakers else None
            meta: dict[str, Any] = {"gender": genders[speaker].value} if speaker in genders else {}
            if speaker in ages:
                if not ages[speaker].value.isdecimal():
                    raise InputError(f"{ages[speaker].where}: the age {ages[speaker].value!r} is not a number")
                meta["age"] = int(ages[speaker].value)
            yield Item(id, path, text=text, group=speaker, meta=meta)
        except InputError as error:
            options.drop(error)
    for id, entry in texts.items():
        if id not in recordings:
            options.drop(InputError(f"{entry.where}: {id} has no line in {folder / 'wav.scp'}"))


def read_table(path: Path, options: argparse.Namespace) -> dict[str, Entry]:
    """Read ``key value`` lines, in order; a repeated key is dropped.

    Raises:
        InputError: the file cannot be read or is not UTF-8.
    """
    entries: dict[str, Entry] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        key, _, value = line.strip().replace("\t", " ").partition(" ")
        where = f"{path}:{number}"
        if key in entries:
            options.drop(InputError(f"{where}: {key} already stands in {entries[key].where}"))
        elif key:
            entries[key] = Entry(value.strip(), where)
    return entries


def _locate_recording(entry: Entry, root: Path) -> Path:
    if entry.value.endswith("|"):
        raise InputError(f"{entry.where}: commands in wav.scp are not run; write the recording to a file and name that: {entry.value}")
    path = root / entry.value
    if not entry.value or not path.is_file():
        raise InputError(f"{entry.where}: no such recording: {path}")
    return path
