"""Writers of output formats: what each of them is, and how one is found by its name."""

from __future__ import annotations

import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from pkgutil import iter_modules
from typing import ClassVar

from recognizer.config import Modality
from recognizer.errors import ConfigError, InputError, RecognizerWarning, nearest
from recognizer.formats.collect import Collector
from recognizer.types import Token, Transcript, Word
from recognizer.utils.files import write_bytes, write_text

SUBJECTS: dict[Modality, str] = {"audio": "recordings", "line": "line images", "strokes": "pen traces"}


class Writer(ABC):
    """Turns a transcript into what a file, or a line of standard output, holds.

    A new format is a class of its own in some module of this package: :func:`find_writers` finds it.

    Attributes:
        name: after ``--format``.
        suffix: of the files.
        modality: the kind of input that it can describe; None: every kind.
        timed: whether it needs the times of words or tokens.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    modality: ClassVar[Modality | None] = None
    timed: ClassVar[bool] = False

    @abstractmethod
    def render(self, transcript: Transcript) -> str:
        """The text for one transcript, without a final newline."""

    def render_bytes(self, transcript: Transcript) -> bytes:
        """What a file of one transcript holds: :meth:`render` and a final newline in UTF-8, unless the format is no text.

        Raises:
            InputError: as :meth:`render`.
        """
        return (self.render(transcript) + "\n").encode("utf-8", "backslashreplace")

    def collect(self, folder: Path) -> Collector | None:
        """What makes one file of the pages of a source; None: each page has a file of its own.

        Args:
            folder: where pages are kept until all are there.
        """
        return None

    def missing(self) -> str | None:
        """What must be installed for the format and is not, and how to install it."""
        return None

    def with_options(self, **options: int | None) -> Writer:
        """The writer with other options than its defaults; options that mean nothing to it, or are None, change nothing."""
        return self

    def entries(self, transcript: Transcript) -> Sequence[Word | Token]:
        """The words of a transcript (of a page, those of its lines), or its tokens where no words are known.

        Raises:
            InputError: there is text but no times, or the format is for recordings and this is none.
        """
        if transcript.seconds is None and self.modality == "audio":
            raise InputError(f"{transcript.source}: {self.name} is for recordings; choose tsv, json or alto for a line image")
        entries: Sequence[Word | Token] = transcript.words or transcript.tokens or [word for line in transcript.lines for word in line.words]
        if transcript.text and not entries:
            raise InputError(f"{transcript.source}: {self.name} needs the times of words, and the transcript has none")
        return entries

    def words(self, transcript: Transcript) -> list[Word]:
        """:meth:`entries`, tokens taken for words."""
        return [Word(entry_text(entry), entry.start, entry.end, entry.confidence) for entry in self.entries(transcript)]


@cache
def find_writers() -> dict[str, Writer]:
    """One writer for each format that a module of this package defines, by name in alphabetical order."""
    package = __package__ or ""
    modules = [import_module(f"{package}.{found.name}") for found in iter_modules(import_module(package).__path__)]
    classes = [value for module in modules for value in vars(module).values() if isinstance(value, type) and issubclass(value, Writer)]
    writers = {kind.name: kind() for kind in classes if not isabstract(kind)}
    return {name: writers[name] for name in sorted(writers)}


def choose_writers(names: str, modality: Modality | None = None, **options: int | None) -> list[Writer]:
    """The writers of a comma-separated list of formats.

    Args:
        names: as after ``--format``; "all" stands for all that can describe these inputs.
        modality: of the inputs, where it is known.
        options: of the writers (:meth:`Writer.with_options`).

    Raises:
        ConfigError: a bad option, an unknown format, named with the nearest known one, or one that cannot describe these inputs.
    """
    writers = find_writers()
    chosen = []
    if names == "all":
        return [writer.with_options(**options) for writer in writers.values() if modality is None or _fits(writer, modality)]
    for name in names.split(","):
        if name not in writers:
            raise ConfigError(f"--format: {name!r} is not one of {', '.join(writers)}{nearest(name, writers)}")
        writer = writers[name]
        if modality is not None and writer.modality not in (None, modality):
            subject, given = (SUBJECTS[kind] for kind in (writer.modality, modality))
            fitting = ", ".join(other for other, w in writers.items() if w.modality in (None, modality))
            raise ConfigError(f"--format: {name} is for {subject}, the recognizer reads {given}; choose among {fitting}")
        if (missing := writer.missing()) is not None:
            raise ConfigError(f"--format: {name} {missing}")
        chosen.append(writer.with_options(**options))
    return chosen


def _fits(writer: Writer, modality: Modality) -> bool:
    """Whether "all" stands for a format, too; one whose packages are not installed is left out with a note."""
    if writer.modality not in (None, modality):
        return False
    if (missing := writer.missing()) is not None:
        warnings.warn(f"-f all: {writer.name} is left out: it {missing}", RecognizerWarning, stacklevel=1)  # the same place: told once
    return missing is None


def render(transcript: Transcript, format: str) -> str:
    """The text for a transcript in the format of this name.

    Raises:
        ConfigError: there is no such format.
        InputError: the transcript lacks what the format needs.
    """
    writers = find_writers()
    if format not in writers:
        raise ConfigError(f"format: {format!r} is not one of {', '.join(writers)}{nearest(format, writers)}")
    return writers[format].render(transcript)


def write_file(transcript: Transcript, writer: Writer, folder: Path) -> Path:
    """Write a transcript to ``folder`` under the name of its source; returns the file, which appears whole or not at all.

    Raises:
        InputError: it cannot be written, or lacks what the format needs.
    """
    path = folder / (Path(transcript.source).name + writer.suffix)
    write_bytes(path, writer.render_bytes(transcript))
    return path


def save_text(text: str, path: Path) -> Path:
    """Write text and a final newline; returns the file, which appears whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    write_text(path, text + "\n")
    return path


def entry_text(entry: Word | Token) -> str:
    """What a word or a token spells."""
    return entry.text if isinstance(entry, Word) else entry.symbol


_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """Text that XML 1.0 can hold: control characters and half surrogates, which it knows no escapes for, become U+FFFD."""
    return _NOT_XML.sub("\ufffd", text)


def printable(text: str) -> str:
    """Text that UTF-8 can hold: bytes of a file name that are not UTF-8 become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
