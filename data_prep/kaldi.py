"""A Kaldi data directory: text, wav.scp and utt2spk, with segments, spk2gender and spk2age if there are any."""

from __future__ import annotations

import argparse
import math
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text, read_text
from recognizer.data_prep.sound import cut_sound, name_file
from recognizer.errors import InputError
from recognizer.utils.files import new_file

CORPUS = "kaldi"


class Entry(NamedTuple):
    """What a line of a Kaldi table says of its key, and where it stands."""

    value: str
    where: str  # file:line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--audio-root`` and ``--allow-commands``."""
    parser.add_argument("--audio-root", type=Path, metavar="FOLDER", help=(
        "what relative paths in wav.scp start from, and where its commands are run (default: SOURCE)"))
    parser.add_argument("--allow-commands", action="store_true", help=(
        "run the commands in wav.scp (lines that end in |) and keep what they write; read them first, they can do anything"))


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the utterances in the order of wav.scp or, where there is one, of segments, whose spans are cut out of the recordings.

    Raises:
        InputError: wav.scp or text is missing.
    """
    yield from read_folder(source, (options.audio_root or source).absolute(), options)


def read_folder(folder: Path, audio_root: Path, options: argparse.Namespace) -> Iterator[Item]:
    """The utterances of a folder, whose speakers, genders and ages are known as far as there are tables of them; bad lines are dropped.

    Raises:
        InputError: wav.scp or text is missing.
    """
    recordings, texts = _Recordings(folder, audio_root, options), read_table(folder / "text", options)
    tables = (folder / name for name in ("utt2spk", "spk2gender", "spk2age"))
    speakers, genders, ages = (read_table(path, options) if path.exists() else {} for path in tables)
    for id, entry in recordings.utterances.items():
        try:
            recordings.check(id)
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
                if not re.fullmatch(r"\d{1,3}", ages[speaker].value):
                    raise InputError(f"{ages[speaker].where}: the age {ages[speaker].value!r:.80} is not a number of years")
                meta["age"] = int(ages[speaker].value)
            yield Item(id, recordings.get(id), text=text, group=speaker, meta=meta)
        except InputError as error:
            options.drop(error)
    for id, entry in texts.items():
        if id not in recordings.utterances:
            options.drop(InputError(f"{entry.where}: {id} has no line in {recordings.listed}"))


class _Recordings:
    """The sound of each utterance: a file that wav.scp names, what a command there writes, or a span of one of these.

    Attributes:
        listed: the table of the utterances; ``utterances``: its lines.
    """

    def __init__(self, folder: Path, root: Path, options: argparse.Namespace) -> None:
        self._root, self._options = root, options
        self._files = read_table(folder / "wav.scp", options)
        segments = folder / "segments"
        self._spans = read_table(segments, options) if segments.exists() else None
        self.listed = folder / "wav.scp" if self._spans is None else segments
        self.utterances = self._files if self._spans is None else self._spans
        self._written: dict[str, Path] = {}  # by commands

    def check(self, id: str) -> None:
        """Raise InputError where an utterance cannot be had, before anything is written."""
        name = id if self._spans is None else self._parse_span(id)[0]
        entry = self._files[name]
        if entry.value.endswith("|"):
            if not getattr(self._options, "allow_commands", False):
                raise InputError(f"{entry.where}: commands in wav.scp are not run without --allow-commands (read them first): {entry.value}")
        elif not entry.value or not (self._root / entry.value).is_file():
            archive = re.search(r"\.ark:\d+$", entry.value)
            advice = "; archives are not read, write their recordings to files (Kaldi: wav-copy)" if archive else ""
            raise InputError(f"{entry.where}: no such recording: {self._root / entry.value}{advice}")

    def get(self, id: str) -> Path:
        """The file of an utterance that was checked, made if need be."""
        if self._spans is None:
            return self._find_file(id)
        name, start, seconds = self._parse_span(id)
        path: Path = self._options.made / f"{name_file(id)}.flac"
        recording = self._find_file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            cut_sound(recording, start, seconds, path)
        except InputError as error:
            raise InputError(f"{self._spans[id].where}: {error}") from None
        return path

    def _parse_span(self, id: str) -> tuple[str, float, float | None]:
        """Recording, start and length in seconds (None: up to the end)."""
        assert self._spans is not None
        entry = self._spans[id]
        fields = entry.value.split()
        try:
            name, (start, end) = fields[0], map(float, fields[1:])
        except (ValueError, IndexError):
            raise InputError(f"{entry.where}: expected UTTERANCE RECORDING START END, the times in seconds") from None
        if name not in self._files:
            raise InputError(f"{entry.where}: the recording {name} has no line in wav.scp")
        if not (0 <= start < math.inf and (end == -1 or start < end < math.inf)):
            raise InputError(f"{entry.where}: {fields[1]} to {fields[2]} is no span of time")
        return name, start, None if end == -1 else end - start

    def _find_file(self, name: str) -> Path:
        entry = self._files[name]
        if not entry.value.endswith("|"):
            return self._root / entry.value
        if name not in self._written:
            self._written[name] = self._run(name, entry)
        return self._written[name]

    def _run(self, name: str, entry: Entry) -> Path:
        path: Path = self._options.made / f"{name_file(name)}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as partial, partial.open("wb") as file:
            command = entry.value[:-1]
            done = subprocess.run(command, shell=True, cwd=self._root, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, check=False)
            if done.returncode or not file.seek(0, os.SEEK_END):
                said = done.stderr.decode(errors="replace").strip().splitlines()
                reason = f"ended with code {done.returncode}" if done.returncode else "wrote nothing"
                raise InputError(f"{entry.where}: the command {reason}{': ' + said[-1] if said else ''}")
        return path


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
