"""Requests that come at about the same time are recognized together, in one thread, and each gets its own answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from recognizer.config import Modality
from recognizer.errors import InputError
from recognizer.inference.inputs import describe_failure
from recognizer.types import Transcript

LIKE_LENGTHS = 3.0  # inputs are put together if none is so many times longer than another
IDLE_SECONDS = 3.0  # without work, after which freed memory goes back to the system
_START_SECONDS = 0.5  # what an input is taken to need before any was measured


@dataclass(frozen=True)
class Options:
    """How an input is to be recognized; inputs with the same options can be put together.

    Attributes:
        modality: which recognizer.
        times: whether words get times and confidences; ``n_best``: how many hypotheses.
        hotwords: phrases to prefer, with weights in nats.
        page: whether a picture is a page whose lines are to be found.
        log_probs: ask for what the network sees, a list of emissions, in the place of a transcript.
    """

    modality: Modality
    times: bool = True
    n_best: int = 1
    hotwords: tuple[tuple[str, float], ...] = ()
    page: bool = False
    log_probs: bool = False


@dataclass(eq=False)
class Job:
    """An input that waits for its transcript.

    Attributes:
        source: a file, or samples (N,) float at ``sample_rate`` Hz.
        length: seconds or pixels, by which like is put to like.
        on_segment: called in the worker's thread with a part of the transcript as soon as it is known.
        future: the transcript, or what else was asked for; cancelling it takes the job out of the queue, or ends it after the next part.
    """

    source: str | Path | np.ndarray
    options: Options
    length: float = 1.0
    sample_rate: int | None = None
    on_segment: Callable[[Transcript], None] | None = None
    future: Future[Any] = field(default_factory=Future)

    def hand_on(self, part: Transcript) -> None:
        """Pass a part on to the client, or end the work if the client has gone."""
        if self.future.cancelled():
            raise CancelledError
        if self.on_segment is not None:
            self.on_segment(part)


class Busy(Exception):
    """The queue is full; ``seconds``: when to come again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Reads(Protocol):
    """Recognizes jobs of the same options: calls ``done`` with each job and its result as they come."""

    def __call__(self, jobs: Sequence[Job], done: Callable[[Job, Any], None]) -> None:
        """Recognize them."""


class Batcher:
    """A queue and the thread that empties it.

    Args:
        read: recognizes jobs of the same options.
        batch: most jobs in one call; ``window``: seconds that the first waits for others to come.
        queue: most jobs that wait or are at work.
        on_batch: told the size of each batch; ``on_idle``: called when nothing has come for a while.
    """

    def __init__(
        self,
        read: Reads,
        batch: int = 32,
        window: float = 0.008,
        queue: int = 128,
        on_batch: Callable[[int], None] = lambda size: None,
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._read, self._batch, self._window, self._queue = read, batch, window, queue
        self._on_batch, self._on_idle = on_batch, on_idle
        self._waiting: list[Job] = []
        self._working: list[Job] = []
        self._pace = _START_SECONDS  # seconds that an input takes, smoothed
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="recognizer", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """How many jobs wait or are at work."""
        return len(self._waiting) + len(self._working)

    def submit(self, job: Job) -> Future[Any]:
        """Put a job into the queue.

        Raises:
            Busy: the queue is full.
        """
        with self._changed:
            if self._closed:
                raise Busy(10.0)
            self._waiting = [other for other in self._waiting if not other.future.cancelled()]
            if self.depth >= self._queue:
                raise Busy(self.depth * self._pace)
            self._waiting.append(job)
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Take no more jobs, cancel those that wait, and let the thread end."""
        with self._changed:
            self._closed = True
            for job in (*self._waiting, *self._working):
                job.future.cancel()
            self._waiting.clear()
            self._changed.notify()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        while True:
            jobs = self._take()
            if self._closed:
                return
            if not jobs:  # all that waited have been cancelled
                continue
            self._on_batch(len(jobs))
            started = time.perf_counter()
            self._recognize(jobs)
            took = (time.perf_counter() - started) / len(jobs)
            with self._changed:
                self._working = []
            self._pace += 0.2 * (took - self._pace)

    def _take(self) -> list[Job]:
        """The next batch, once there is one; nothing if the service ends."""
        with self._changed:
            while not self._waiting and not self._closed:
                if not self._changed.wait(IDLE_SECONDS):
                    self._on_idle()
                    self._changed.wait_for(lambda: bool(self._waiting) or self._closed)
            deadline = time.monotonic() + self._window
            while not self._closed and len(self._waiting) < self._batch and self._changed.wait(max(0.0, deadline - time.monotonic())):
                pass
            self._waiting = [job for job in self._waiting if not job.future.cancelled()]
            self._working = choose_batch(self._waiting, self._batch)
            taken = set(map(id, self._working))
            self._waiting = [job for job in self._waiting if id(job) not in taken]
            return self._working

    def _recognize(self, jobs: list[Job]) -> None:
        """Recognize a batch; what goes wrong with all of it is tried again one by one, so that one job's fault costs the others nothing."""
        try:
            self._read(jobs, _finish)
        except BaseException as error:
            open_jobs = [job for job in jobs if not job.future.done()]
            if len(jobs) > 1:
                for job in open_jobs:
                    self._recognize([job])
            else:
                for job in open_jobs:
                    _fail(job, error)
        for job in jobs:
            if not job.future.done():
                _fail(job, InputError(f"{describe_source(job)}: gave no transcript"))


def choose_batch(waiting: Sequence[Job], most: int) -> list[Job]:
    """The jobs to recognize together: the one that has waited longest, and those of the same options that are nearest to it in length."""
    if not waiting:
        return []
    first = waiting[0]
    shortest, longest = first.length / LIKE_LENGTHS, first.length * LIKE_LENGTHS
    like = [job for job in waiting if job.options == first.options and shortest <= job.length <= longest and job.sample_rate == first.sample_rate]
    nearest = sorted(like, key=lambda job: (job is not first, abs(job.length - first.length)))  # stable: of equal ones the older
    return nearest[:most]


def describe_source(job: Job) -> str:
    """What a message calls the input of a job."""
    return "the recording" if isinstance(job.source, np.ndarray) else str(job.source)


def _finish(job: Job, result: Any) -> None:
    if not job.future.done():
        try:
            job.future.set_result(result)
        except Exception:  # cancelled meanwhile
            return


def _fail(job: Job, error: BaseException) -> None:
    if not job.future.done():
        shown = error if isinstance(error, Exception) else InputError(describe_failure(describe_source(job), error))
        try:
            job.future.set_exception(shown)
        except Exception:
            return
