"""Where transcripts go: to standard output, or into the files of an output folder."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol, TextIO

from recognizer.errors import InputError, OutputError
from recognizer.formats.base import Writer, save_text
from recognizer.formats.timed import Ctm
from recognizer.jobs.job import Job
from recognizer.jobs.names import fit_name
from recognizer.types import Transcript
from recognizer.utils.files import write_bytes

_HOPELESS = frozenset({errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EIO})  # what the next file would meet, too


class Output(Protocol):
    """Takes transcripts and says which files it made of them."""

    def write(self, job: Job, transcript: Transcript, writers: Sequence[Writer]) -> list[str]:
        """Write one transcript in all formats; returns the files' names relative to the output folder.

        Raises:
            InputError: it lacks what a format needs, or cannot be written.
        """


class Printer:
    """Prints transcripts to standard output.

    Args:
        several: whether texts need the name of their source in front.
        stream: in place of standard output.
    """

    def __init__(self, several: bool, stream: TextIO | None = None) -> None:
        self.several, self._stream = several, stream

    def write(self, job: Job, transcript: Transcript, writers: Sequence[Writer]) -> list[str]:
        """Print one transcript in all formats."""
        for writer in writers:
            prefix = f"{job.source}{_part(transcript)}\t" if writer.suffix == ".txt" and (self.several or _part(transcript)) else ""
            if prefix and transcript.height is not None:  # a page, whose lines stand below its name
                prefix = f"==> {prefix.strip()} <==\n"
            print(f"{prefix}{_render(writer, job, transcript)}", flush=True, file=self._stream or sys.stdout)
        return []


class ResultFolder:
    """Writes a file for each transcript and format, below a folder as the sources lie below theirs.

    Attributes:
        folder: the folder.
        notes: lines about names that had to be changed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []

    def write(self, job: Job, transcript: Transcript, writers: Sequence[Writer]) -> list[str]:
        """Write one transcript in all formats; each file appears whole or not at all."""
        return [self._write(job, transcript, writer) for writer in writers]

    def exist(self, names: Iterable[str]) -> bool:
        """Whether there are files of these names."""
        return all((self.folder / name).is_file() for name in names)

    def _write(self, job: Job, transcript: Transcript, writer: Writer) -> str:
        place = PurePosixPath(job.output)
        wanted = place.name + _part(transcript) + writer.suffix
        name = fit_name(wanted)
        if name != wanted:
            self.notes.append(f"{job.source}: its name is too long for that of a result, which is {place.with_name(name)}")
        path = self.folder / place.with_name(name)
        content = None if isinstance(writer, Ctm) else writer.render_bytes(transcript)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path.parent}: cannot be made: {error.strerror or error}") from error
        if content is None:
            save_text(_render(writer, job, transcript), path)
        else:
            write_bytes(path, content)
        return place.with_name(name).as_posix()


def is_hopeless(error: InputError) -> bool:
    """Whether writing failed for a reason that every other file would meet, too: the disk is full or cannot be written to."""
    reason = error.__cause__ or error.__context__
    return isinstance(error, OutputError) and isinstance(reason, OSError) and reason.errno in _HOPELESS


def _part(transcript: Transcript) -> str:
    """What tells the transcripts of one file apart: ``.left`` and ``.right``, or the number of the page."""
    if transcript.page is not None:
        return f".{transcript.page:04d}"
    return f".{transcript.channel}" if transcript.channel in ("left", "right") else ""


def _render(writer: Writer, job: Job, transcript: Transcript) -> str:
    return writer.render(transcript, job.id) if isinstance(writer, Ctm) else writer.render(transcript)
