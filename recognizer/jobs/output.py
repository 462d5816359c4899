"""Where transcripts go: to standard output, or into the files of an output folder."""

from __future__ import annotations

import errno
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol, TextIO

from recognizer.errors import InputError, OutputError, RecognizerWarning
from recognizer.formats.base import Writer, save_text
from recognizer.formats.collect import Collector
from recognizer.formats.layout import LayoutWriter
from recognizer.formats.timed import Ctm
from recognizer.jobs.find import STATE
from recognizer.jobs.job import Job
from recognizer.jobs.names import fit_name
from recognizer.jobs.shard import Shard
from recognizer.types import Transcript
from recognizer.utils.files import open_folder, write_bytes

_FULL = frozenset({errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)})  # what the next file would meet, too
_LOST = frozenset(  # network storage, or a disk that was taken away
    {getattr(errno, name) for name in ("EIO", "ESTALE", "ETIMEDOUT", "ENOTCONN", "ENODEV", "ENXIO", "EREMOTEIO", "EHOSTDOWN", "EHOSTUNREACH",
                                       "ENETDOWN", "ENETUNREACH", "ECONNRESET", "ECONNABORTED", "ESHUTDOWN") if hasattr(errno, name)})  # fmt: skip
WAITS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # seconds after which writing to storage that is lost is tried again


class Output(Protocol):
    """Takes transcripts and says which files it made of them."""

    def write(self, job: Job, transcript: Transcript, writers: Sequence[Writer]) -> list[str]:
        """Write one transcript in all formats; returns the files' names relative to the output folder.

        Raises:
            InputError: it lacks what a format needs, or cannot be written.
        """

    def finish(self, job: Job) -> list[str]:
        """Write what holds all transcripts of a job that was written; returns as :meth:`write`.

        Raises:
            OutputError: it cannot be written.
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
            if isinstance(writer, LayoutWriter) and writer.fills(transcript):
                self._print_bytes(writer.render_bytes(transcript))
                continue
            if prefix and transcript.height is not None:  # a page, whose lines stand below its name
                prefix = f"==> {prefix.strip()} <==\n"
            print(f"{prefix}{_render(writer, job, transcript)}", flush=True, file=self._stream or sys.stdout)
        return []

    def finish(self, job: Job) -> list[str]:
        """Nothing is kept."""
        return []

    def _print_bytes(self, content: bytes) -> None:
        """Print a file as it is, in its encoding, where the stream takes bytes."""
        stream = self._stream or sys.stdout
        stream.flush()
        if hasattr(stream, "buffer"):
            stream.buffer.write(content)
        else:
            stream.write(content.decode("utf-8", "replace"))
        stream.flush()


class ResultFolder:
    """Writes a file for each transcript and format, below a folder as the sources lie below theirs.

    Args:
        folder: the folder.
        shard: which part of the files is written; None: all of them.

    Attributes:
        folder: the folder; ``state``: that within it in which the run keeps its lock, its list of what is done, and pages meanwhile.
        notes: lines about names that had to be changed.
    """

    def __init__(self, folder: Path, shard: Shard | None = None) -> None:
        self.folder, self.shard = folder, shard
        self.state = open_folder(folder / STATE if shard is None else folder / STATE / shard.name)
        self.notes: list[str] = []
        self._whole: dict[str, Collector] = {}  # by name of the file

    def write(self, job: Job, transcript: Transcript, writers: Sequence[Writer]) -> list[str]:
        """Write one transcript in all formats; each file appears whole or not at all.

        Pages of a source go into one file in formats that can hold several, which :meth:`finish` writes.
        """
        return [name for writer in writers for name in self._write(job, transcript, writer)]

    def finish(self, job: Job) -> list[str]:
        """Write the files that hold all pages of a job."""
        try:
            for name, collector in self._whole.items():
                self.persist(lambda name=name, collector=collector: collector.save(self._place(name)))  # type: ignore[misc]
            return list(self._whole)
        finally:
            self.close()

    def close(self) -> None:
        """Remove what was kept of pages."""
        for collector in self._whole.values():
            collector.close()
        self._whole.clear()

    def persist(self, write: Callable[[], object]) -> None:
        """Write something that can be written again from its beginning; while the storage does not answer, try again for a minute.

        Raises:
            OutputError: it cannot be written, or the storage stayed away.
        """
        for seconds in (*WAITS, None):
            try:
                if not self.state.is_dir():  # or else the results would go to what lies below the place that a network drive had
                    raise OutputError(f"{self.folder}: the output folder is gone") from OSError(errno.ENODEV, "gone")
                write()
                return
            except OutputError as error:
                if seconds is None or not is_lost(error):
                    raise
                warnings.warn(f"{error}; trying again in {seconds:.0f} s", RecognizerWarning, stacklevel=2)
                time.sleep(seconds)

    def exist(self, names: Iterable[str]) -> bool:
        """Whether there are files of these names."""
        return all((self.folder / name).is_file() for name in names)

    def _write(self, job: Job, transcript: Transcript, writer: Writer) -> list[str]:
        if transcript.page is not None:
            whole = self._name(job, writer.suffix)
            collector = self._whole.get(whole) or writer.collect(self.state)
            if collector is not None:
                self._add(whole, collector, transcript)
                return []
        name = self._name(job, _part(transcript) + writer.suffix)
        if isinstance(writer, Ctm):
            text = _render(writer, job, transcript)
            self.persist(lambda: save_text(text, self._place(name)))
        else:
            content = writer.render_bytes(transcript)
            self.persist(lambda: write_bytes(self._place(name), content))
        return [name]

    def _add(self, name: str, collector: Collector, transcript: Transcript) -> None:
        """Put a page into a file that holds all; without any page there is no file."""
        try:
            collector.add(transcript)
            self._whole[name] = collector
        finally:
            if name not in self._whole:
                collector.close()

    def _name(self, job: Job, ending: str) -> str:
        place = PurePosixPath(job.output)
        wanted = place.name + ending
        name = fit_name(wanted)
        note = f"{job.source}: its name is too long for that of a result, which is {place.with_name(name)}"
        if name != wanted and note not in self.notes:
            self.notes.append(note)
        return place.with_name(name).as_posix()

    def _place(self, name: str) -> Path:
        """Where a file lies, in a folder that is there."""
        path = self.folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path.parent}: cannot be made: {error.strerror or error}") from error
        return path


def is_hopeless(error: InputError) -> bool:
    """Whether writing failed for a reason that every other file would meet, too: the disk is full, cannot be written to, or is gone."""
    return is_lost(error) or _reason(error) in _FULL


def is_lost(error: InputError) -> bool:
    """Whether writing failed because the storage does not answer, which may pass."""
    return _reason(error) in _LOST


def _reason(error: InputError) -> int | None:
    """What the system said of a failure to write."""
    reason = error.__cause__ or error.__context__
    return reason.errno if isinstance(error, OutputError) and isinstance(reason, OSError) else None


def _part(transcript: Transcript) -> str:
    """What tells the transcripts of one file apart: ``.left`` and ``.right``, or the number of the page."""
    if transcript.page is not None:
        return f".{transcript.page:04d}"
    return f".{transcript.channel}" if transcript.channel in ("left", "right") else ""


def _render(writer: Writer, job: Job, transcript: Transcript) -> str:
    return writer.render(transcript, job.id) if isinstance(writer, Ctm) else writer.render(transcript)
