"""A Kaldi data directory: text, wav.scp and utt2spk, with spk2gender and spk2age if there are any."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from recognizer.data.manifest import Item
from recognizer.data_prep.texts import clean_text, read_text
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
    recordings = read_table(source / "wav.scp", options)
    texts = read_table(source / "text", options)
    root = (options.audio_root or source).absolute()
    speakers = Speakers.load(source, options)
    for id, entry in recordings.items():
        try:
            path = locate_recording(entry, root)
            if id not in texts:
                raise InputError(f"{entry.where}: {id} has no line in {source / 'text'}")
            text = clean_text(texts[id].value)
            if not text:
                raise InputError(f"{texts[id].where}: the text of {id} is empty")
            group, meta = speakers.describe(id)
            yield Item(id, path, text=text, group=group, meta=meta)
        except InputError as error:
            options.drop(error)
    for id, entry in texts.items():
        if id not in recordings:
            options.drop(InputError(f"{entry.where}: {id} has no line in {source / 'wav.scp'}"))


class Speakers(NamedTuple):
    """Who speaks which utterance, and what is known of them; an absent table is empty."""

    folder: Path
    speaker: dict[str, Entry]  # by utterance
    gender: dict[str, Entry]  # by speaker
    age: dict[str, Entry]

    @classmethod
    def load(cls, folder: Path, options: argparse.Namespace) -> Speakers:
        """Read utt2spk, spk2gender and spk2age of a folder, as far as they exist."""
        tables = (folder / name for name in ("utt2spk", "spk2gender", "spk2age"))
        return cls(folder, *(read_table(path, options) if path.exists() else {} for path in tables))

    def describe(self, utterance: str) -> tuple[str | None, dict[str, Any]]:
        """The speaker of an utterance (None without utt2spk) and a dictionary with gender and age.

        Raises:
            InputError: utt2spk lacks the utterance, or an age is not a number.
        """
        if not self.speaker:
            return None, {}
        if utterance not in self.speaker:
            raise InputError(f"{self.folder / 'utt2spk'}: has no line for {utterance}")
        speaker = self.speaker[utterance].value
        meta: dict[str, Any] = {}
        if speaker in self.gender:
            meta["gender"] = self.gender[speaker].value
        if speaker in self.age:
            age = self.age[speaker]
            if not age.value.isdecimal():
                raise InputError(f"{age.where}: the age {age.value!r} is not a number")
            meta["age"] = int(age.value)
        return speaker, meta


def read_table(path: Path, options: argparse.Namespace) -> dict[str, Entry]:
    """Read ``key value`` lines, in order; a repeated key is dropped.

    Raises:
        InputError: the file cannot be read or is not UTF-8.
    """
    entries: dict[str, Entry] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        key, _, value = line.strip().replace("\t", " ").partition(" ")
        where = f"{path}:{number}"
        if key in entries:
            options.drop(InputError(f"{where}: {key} already stands in {entries[key].where}"))
        else:
            entries[key] = Entry(value.strip(), where)
    return entries


def locate_recording(entry: Entry, root: Path) -> Path:
    """The file of a wav.scp entry; a relative path starts from ``root``.

    Raises:
        InputError: it is a command (never run), or there is no such file.
    """
    if entry.value.endswith("|"):
        raise InputError(f"{entry.where}: commands in wav.scp are not run; write the recording to a file and name that: {entry.value}")
    path = root / entry.value
    if not entry.value or not path.is_file():
        raise InputError(f"{entry.where}: no such recording: {path}")
    return path
