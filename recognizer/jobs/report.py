"""What is told of a run while it goes on: progress, errors and notes as lines, as JSON, and in a table of errors."""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from recognizer.config import Modality
from recognizer.errors import OutputError, RecognizerWarning
from recognizer.jobs.job import Job, Plan
from recognizer.types import Transcript
from recognizer.utils.compiling import announce_compiling
from recognizer.utils.device import peak_memory
from recognizer.utils.files import append_bytes, check_target, write_bytes
from recognizer.utils.progress import Progress, duration

HEADINGS = "source\tmessage"
_FEW, _SOON = 64, 10.0  # files, and seconds, from which on the time left can be told: files are read in groups


class Report:
    """Counts what is done and tells it on standard error.

    Args:
        quiet: tell errors only.
        verbose: name each file that is passed over.
        json_log: tell everything as one JSON object a line.
        table: file for a table of the sources that failed.
        live: whether to show how far the run has come.

    Attributes:
        done, failed, skipped: files so far; ``total``: all that were asked for, ``found``: those of them that there are.
    """

    def __init__(
        self, quiet: bool = False, verbose: bool = False, json_log: bool = False, table: str | Path | None = None, live: bool = True
    ) -> None:
        self.verbose, self.json_log, self.live = verbose, json_log, live
        self.progress = Progress(quiet or json_log)
        self.done = self.failed = self.skipped = self.total = self.found = 0
        self._began: dict[str, float] = {}  # by source
        self._started = time.perf_counter()
        self._reading: float | None = None  # when the first file was begun
        self._amounts: dict[Modality, float] = {}  # seconds of recordings, and lines
        self._spent: dict[Modality, float] = {}
        self._names: dict[str, str] = {}  # what the user calls a file by its path
        self._table = None if table is None else _open_table(Path(table))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within the block, warnings about inputs are told as notes."""
        with warnings.catch_warnings():
            show_others = warnings.showwarning

            def show(message: Warning | str, category: type[Warning], *rest: Any, **options: Any) -> None:
                if issubclass(category, RecognizerWarning) and self.json_log:
                    self.event("note", message=self.named(str(message)))
                elif issubclass(category, RecognizerWarning):
                    self.progress.close()
                    print(f"recognizer: note: {self.named(str(message))}", file=sys.stderr, flush=True)
                else:
                    show_others(message, category, *rest, **options)

            warnings.filterwarnings("default", category=RecognizerWarning)
            warnings.showwarning = show
            if self.json_log:
                announce_compiling(lambda message: self.event("note", message=message))
            try:
                yield
            finally:
                self.progress.close()

    def call(self, path: str, name: str) -> None:
        """Let messages call a file by another name than its path."""
        self._names[path] = name

    def named(self, message: str) -> str:
        """A message with the names that the user knows."""
        for path, name in self._names.items():
            message = message.replace(path, name)
        return message

    def event(self, kind: str, **values: object) -> None:
        """Write a JSON object to standard error, where that was asked for."""
        if self.json_log:
            record = {"event": kind, **{key: value for key, value in values.items() if value is not None}}
            print(json.dumps(record), file=sys.stderr, flush=True)

    def plan(self, plan: Plan) -> None:
        """Tell which sources cannot be used and what is left out."""
        self.found += len(plan.jobs)
        self.total += len(plan.jobs) + len(plan.problems)
        for source, message in plan.problems:
            self.fail(source, message)
        for line in plan.notes:
            self.note(line)
        if self.verbose:
            for name in plan.passed_over:
                self.note(f"{name}: passed over")

    def note(self, line: str) -> None:
        """Tell something that is no error."""
        self.event("note", message=line)
        self.progress.line(f"recognizer: note: {line}")

    def begin(self, job: Job) -> None:
        """A file is about to be read."""
        self._reading = self._reading or time.perf_counter()
        if self.json_log:
            self._began[job.source] = time.perf_counter()
            self.event("started", source=job.source)

    def segment(self, transcript: Transcript) -> None:
        """A stretch of a long recording has been recognized."""
        self.event("segment", source=self.named(transcript.source), until=transcript.seconds, text=transcript.text)
        self.progress.update(f"{duration(transcript.seconds or 0.0)} {transcript.text}")

    def skip(self, job: Job) -> None:
        """A file is done already."""
        self.skipped += 1
        self.event("skipped", source=job.source)

    def fail(self, source: str, message: str) -> None:
        """A source cannot be used, or its result cannot be written."""
        self.failed += 1
        self._began.pop(source, None)
        self.event("error", source=source, message=message)
        if not self.json_log:
            self.progress.close()
            print(f"recognizer: {message}", file=sys.stderr, flush=True)
        if self._table is not None:
            append_bytes(self._table, f"{_cell(source)}\t{_cell(message)}\n".encode("utf-8", "surrogateescape"))

    def finish(self, job: Job, transcript: Transcript, files: Sequence[str]) -> None:
        """A file is done."""
        self.done += 1
        began = self._began.pop(job.source, None)
        seconds = None if began is None else round(time.perf_counter() - began, 3)
        self.event("done", source=job.source, files=list(files), seconds=seconds, duration=transcript.seconds)

    def count(self, modality: Modality, transcript: Transcript, spent: float) -> None:
        """Count a transcript for the rate, and show how far the run has come."""
        amount = transcript.seconds if transcript.seconds is not None else max(1, len(transcript.lines))
        self._amounts[modality] = self._amounts.get(modality, 0.0) + amount
        self._spent[modality] = spent
        if self.live:
            finished = self.done + self.failed + self.skipped
            elapsed = time.perf_counter() - (self._reading or self._started)
            left = ""
            if finished - self.skipped >= _FEW or elapsed >= _SOON:
                left = f", {duration(max(0, self.total - finished) * elapsed / max(1, finished - self.skipped))} left"
            self.progress.update(f"{finished}/{self.total} files, {self._rate(modality)}{left}", finished / max(1, self.total))

    @property
    def exit_code(self) -> int:
        """0: all is done; 1: some files failed; 2: there was nothing that could be read."""
        return 0 if not self.failed else 1 if self.found else 2

    def close(self) -> None:
        """Tell how much was done and how fast."""
        seconds, memory = time.perf_counter() - self._started, peak_memory()
        self.event("summary", done=self.done, failed=self.failed, skipped=self.skipped, seconds=round(seconds, 3), peak_memory=memory)
        if self.found:
            self.progress.line(f"{self._summary(sum(self._spent.values()))}, peak memory {memory / 2**20:.0f} MiB")

    def _summary(self, seconds: float) -> str:
        files = self.done + self.failed
        others = [f"{self.failed} failed"] * bool(self.failed) + [f"{self.skipped} done before"] * bool(self.skipped)
        return ", ".join([f"{files} file{'s' * (files != 1)}", *others, *map(self._rate, self._amounts), f"{seconds:.1f} s"])

    def _rate(self, modality: Modality) -> str:
        rate = self._amounts[modality] / max(self._spent[modality], 1e-9)
        return f"{rate:.1f} times real time" if modality == "audio" else f"{rate:.1f} lines/s"


def _open_table(path: Path) -> Path:
    """An empty table; only an older one is replaced.

    Raises:
        OutputError: it cannot be written, or the file holds something else.
    """
    check_target(path)
    with suppress(OSError), path.open("rb") as file:
        first = file.read(len(HEADINGS))
        if first and first != HEADINGS.encode():
            raise OutputError(f"{path}: is no table of errors, and is not overwritten; name another file")
    write_bytes(path, f"{HEADINGS}\n".encode())
    return Path(os.path.abspath(path))


def _cell(text: str) -> str:
    return " ".join(text.splitlines()).replace("\t", " ")
