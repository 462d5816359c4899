"""A run over many files: recognize, write, remember what is done."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from recognizer.config import Modality
from recognizer.errors import InputError, OutputError
from recognizer.formats.base import Writer, choose_writers
from recognizer.formats.pdf import PARTS
from recognizer.inference.inputs import SUFFIXES
from recognizer.inference.recognizer import Recognizer
from recognizer.jobs.find import STATE
from recognizer.jobs.job import Job, Plan
from recognizer.jobs.ledger import LEDGER, Ledger, digest_file, digest_settings
from recognizer.jobs.output import Output, ResultFolder, is_hopeless, is_lost
from recognizer.jobs.pages import BY_LOOK, PageChoice, check_lines
from recognizer.jobs.recognize import ChannelChoice, Result, recognize
from recognizer.jobs.report import Report
from recognizer.jobs.shard import Shard, rival_folders, shard_folders
from recognizer.utils.files import open_folder
from recognizer.utils.lock import find_holder, locked

LOCK = "lock"  # within the folder of the state of a run


@dataclass(frozen=True)
class Settings:
    """What is wanted of each file.

    Attributes:
        formats: comma-separated names, or "all".
        n_best: how many hypotheses.
        channel: of recordings.
        resume: whether files that are done are left out.
        pages: which pictures are pages, and how these are read.
        others: all else that results depend on, by name; a file is done again where one of them has changed.
        layout: options of the writers (:func:`~recognizer.formats.base.choose_writers`).
    """

    formats: str = "txt"
    n_best: int = 1
    channel: ChannelChoice = "auto"
    resume: bool = False
    pages: PageChoice = BY_LOOK
    others: Mapping[str, object] = field(default_factory=dict)
    layout: Mapping[str, int | None] = field(default_factory=dict)


class Run:
    """Recognizes jobs one after the other and writes their results.

    Args:
        settings: what is wanted.
        output: where results go.
        report: what is told.
        open_model: gives the recognizer for a kind of file; it is called once for each kind.
    """

    def __init__(self, settings: Settings, output: Output, report: Report, open_model: Callable[[Modality], Recognizer]) -> None:
        self.settings, self.output, self.report, self._open_model = settings, output, report, open_model
        self.ledger = _open_ledger(output, settings.resume) if isinstance(output, ResultFolder) else None
        self._recognizers: dict[Modality, Recognizer] = {}
        self._digests: dict[Modality, str] = {}
        self._contents: dict[str, str | None] = {}  # digests of the files that are being read
        self._spent: dict[Modality, float] = {}

    def do(self, plan: Plan) -> None:
        """Carry out a plan, one kind of file after the other.

        Raises:
            ConfigError: a format that cannot describe some of the files; nothing is done then.
            BundleError: there is no recognizer for some of them.
            OutputError: the disk is full or cannot be written to; what is done stays.
        """
        present = {job.modality for job in plan.jobs}
        kinds = [modality for modality in SUFFIXES if modality in present]
        for modality in kinds:
            choose_writers(self.settings.formats, modality, **self.settings.layout)
        self.report.plan(plan)
        for modality in kinds:
            self._do_kind(modality, plan.of(modality))

    def _do_kind(self, modality: Modality, jobs: list[Job]) -> None:
        writers = choose_writers(self.settings.formats, modality, **self.settings.layout)
        recognizer = self._recognizer(modality)
        times = any(writer.timed for writer in writers)
        before, started = self._spent.get(modality, 0.0), time.perf_counter()
        failed: Job | None = None
        files: list[str] = []
        for result in recognize(recognizer, self._pending(modality, jobs), self.settings.n_best, times, self.settings.channel, self.report.begin,
                                self.settings.pages, self.report.segment):
            try:
                files += self._write(result, writers)
                if result.last and failed is not result.job:
                    self._finish(modality, result, files)
                self._spent[modality] = before + time.perf_counter() - started
                self.report.count(modality, result.transcript, self._spent[modality])
            except InputError as error:
                if is_hopeless(error):
                    cure = "the storage is back" if is_lost(error) else "there is room or permission"
                    raise OutputError(f"{error}; what is done stays, and --resume goes on once {cure}") from None
                if failed is not result.job:  # one line for each file, however many parts of it fail
                    self.report.fail(result.job.source, str(error))
                failed = result.job
            if result.last:
                files = []
                self._contents.pop(result.job.output, None)
            self._tell_notes()

    def _write(self, result: Result, writers: Sequence[Writer]) -> list[str]:
        """Write a transcript, and with the last one of a job what holds all of them, whichever of them failed."""
        files: list[str] = []
        try:
            if result.transcript.error is not None:
                raise InputError(result.transcript.error)
            files += self.output.write(result.job, result.transcript, writers)
            check_lines(result.transcript)
        finally:
            if result.last:
                files += self.output.finish(result.job)
        return files

    def _finish(self, modality: Modality, result: Result, files: list[str]) -> None:
        content = self._contents.get(result.job.output)
        ledger, job = self.ledger, result.job
        if ledger is not None and isinstance(self.output, ResultFolder) and content is not None:
            self.output.persist(lambda: ledger.add(job.output, job.source, content, self._digests[modality], files))
        self.report.finish(result.job, result.transcript, files)

    def _recognizer(self, modality: Modality) -> Recognizer:
        if modality not in self._recognizers:
            recognizer = self._recognizers[modality] = self._open_model(modality)
            others = {**self.settings.others, "n_best": self.settings.n_best, "formats": self.settings.formats, "channel": self.settings.channel}
            self._digests[modality] = digest_settings(recognizer, others)
        return self._recognizers[modality]

    def _pending(self, modality: Modality, jobs: Iterable[Job]) -> Iterator[Job]:
        """The jobs that are not done."""
        for job in jobs:
            if self.ledger is not None:
                content = self._contents[job.output] = digest_file(job.path)
                if self._is_done(job, content, self._digests[modality]):
                    self.report.skip(job)
                    continue
            yield job

    def _is_done(self, job: Job, content: str | None, settings: str) -> bool:
        if not self.settings.resume or self.ledger is None or content is None or not isinstance(self.output, ResultFolder):
            return False
        files = self.ledger.files(job.output, content, settings)
        return files is not None and self.output.exist(files)

    def _tell_notes(self) -> None:
        if isinstance(self.output, ResultFolder):
            for line in self.output.notes:
                self.report.note(line)
            self.output.notes.clear()


@contextmanager
def open_results(name: str | Path, shard: Shard | None = None) -> Iterator[ResultFolder]:
    """An output folder, made if need be, into which no other run writes the same files within the block.

    Args:
        name: of the folder.
        shard: the part of the files that is written; other shards of the same number may be at work at the same time.

    Raises:
        OutputError: it cannot be made or written to, or another run uses it.
    """
    folder = open_folder(name)
    advice = "is writing its results there; wait until it ends, or name another folder"
    output = ResultFolder(folder, shard)
    with locked(output.state / LOCK, f"{folder}: another run{_name_part(output.state)}, process %s, {advice}"):
        for rival in rival_folders(folder / STATE, shard):
            if (holder := find_holder(rival / LOCK)) is not None:
                raise OutputError(f"{folder}: another run{_name_part(rival)}, process {holder}, {advice}")
        for left in output.state.glob(f"{PARTS}*"):  # by a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        try:
            yield output
        finally:
            output.close()


def _open_ledger(output: ResultFolder, read: bool) -> Ledger:
    """The list of what this run has done, which knows what others did of its files, however they were divided."""
    state = output.folder / STATE
    others = [folder / LEDGER for folder in (state, *shard_folders(state)) if folder != output.state]
    return Ledger(output.state / LEDGER, read, others, None if output.shard is None else output.shard.holds)


def _name_part(state: Path) -> str:
    """Which part of the files the run does that has this folder for its state."""
    return "" if state.name == STATE else f" of shard {state.name.replace('-of-', '/')}"
