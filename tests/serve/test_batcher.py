from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any

import pytest

from recognizer.errors import InputError
from recognizer.serve.batcher import Batcher, Busy, Job, Options, choose_batch
from recognizer.types import Transcript

AUDIO = Options("audio")


class Reader:
    """Reads by naming the source; "bad" fails alone, "boom" takes its whole batch with it."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = threading.Event()
        self.open.set()

    def __call__(self, jobs: Sequence[Job], done: Callable[[Job, Any], None]) -> None:
        self.batches.append([str(job.source) for job in jobs])
        assert self.open.wait(10)
        if any(job.source == "boom" for job in jobs):
            raise MemoryError("boom")
        for job in jobs:
            job.hand_on(Transcript(str(job.source), "part"))
            done(job, Transcript(str(job.source), error="bad: is bad") if job.source == "bad" else Transcript(str(job.source), str(job.source)))


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def make(reader: Reader) -> Iterator[Callable[..., Batcher]]:
    made: list[Batcher] = []

    def begin(**options: Any) -> Batcher:
        made.append(Batcher(reader, **options))
        return made[-1]

    yield begin
    reader.open.set()
    for batcher in made:
        batcher.close()


def test_jobs_that_come_together_are_read_together(reader: Reader, make: Callable[..., Batcher]) -> None:
    batcher = make(window=0.3)
    futures = [batcher.submit(Job(name, AUDIO)) for name in ("a", "b", "c")]
    assert [future.result(5).text for future in futures] == ["a", "b", "c"] and reader.batches == [["a", "b", "c"]]
    assert batcher.depth == 0


def test_a_full_batch_does_not_wait(reader: Reader, make: Callable[..., Batcher]) -> None:
    batcher = make(window=60.0, batch=2)
    assert [future.result(5).text for future in [batcher.submit(Job(name, AUDIO)) for name in ("a", "b")]] == ["a", "b"]


def test_a_bad_input_costs_only_itself(reader: Reader, make: Callable[..., Batcher]) -> None:
    batcher = make(window=0.3)
    jobs = [batcher.submit(Job(name, AUDIO)) for name in ("a", "bad", "boom", "c")]
    assert jobs[0].result(5).text == "a" and jobs[1].result(5).error == "bad: is bad" and jobs[3].result(5).text == "c"
    with pytest.raises(MemoryError):
        jobs[2].result(5)
    assert reader.batches == [["a", "bad", "boom", "c"], ["a"], ["bad"], ["boom"], ["c"]]
    assert batcher.submit(Job("d", AUDIO)).result(5).text == "d"


def test_a_full_queue_says_when_to_come_again(reader: Reader, make: Callable[..., Batcher]) -> None:
    batcher = make(window=0.0, queue=2)
    reader.open.clear()
    futures = [batcher.submit(Job(name, AUDIO)) for name in ("a", "b")]
    with pytest.raises(Busy) as busy:
        batcher.submit(Job("c", AUDIO))
    assert busy.value.seconds > 0
    reader.open.set()
    assert [future.result(5).text for future in futures] == ["a", "b"]
    assert batcher.submit(Job("c", AUDIO)).result(5).text == "c"


def test_a_client_that_goes_takes_its_job_along(reader: Reader, make: Callable[..., Batcher]) -> None:
    batcher = make(window=0.0, batch=1)
    reader.open.clear()
    first, second, third = (batcher.submit(Job(name, AUDIO)) for name in ("a", "b", "c"))
    while not reader.batches:
        time.sleep(0.01)
    assert second.cancel() and first.cancel()  # one waits, one is being read
    reader.open.set()
    assert third.result(5).text == "c" and reader.batches == [["a"], ["c"]]
    with pytest.raises(CancelledError):
        first.result(5)


def test_like_is_put_to_like() -> None:
    jobs = [Job(name, AUDIO, length) for name, length in [("a", 3.0), ("long", 29.0), ("b", 2.0), ("c", 3.1), ("d", 0.5)]]
    jobs.insert(3, Job("other", Options("audio", n_best=5), 3.0))
    assert [job.source for job in choose_batch(jobs, 10)] == ["a", "c", "b"]
    assert [job.source for job in choose_batch(jobs, 2)] == ["a", "c"]
    assert [job.source for job in choose_batch(jobs[1:], 10)] == ["long"] and choose_batch([], 5) == []


def test_closing_cancels_what_waits(reader: Reader) -> None:
    batcher = Batcher(reader, window=0.0, batch=1)
    reader.open.clear()
    first, second = batcher.submit(Job("a", AUDIO)), batcher.submit(Job("b", AUDIO))
    threading.Timer(0.1, reader.open.set).start()
    batcher.close()
    assert second.cancelled() and first.cancelled()
    with pytest.raises(Busy):
        batcher.submit(Job("c", AUDIO))


def test_a_read_that_forgets_a_job_is_an_error_of_that_job() -> None:
    batcher = Batcher(lambda jobs, done: None, window=0.0)
    with pytest.raises(InputError, match="gave no transcript"):
        batcher.submit(Job("a", AUDIO)).result(5)
    batcher.close()


def test_memory_is_given_back_when_nothing_comes(monkeypatch: pytest.MonkeyPatch, reader: Reader, make: Callable[..., Batcher]) -> None:
    monkeypatch.setattr("recognizer.serve.batcher.IDLE_SECONDS", 0.05)
    idle = threading.Event()
    batcher = make(on_idle=idle.set)
    assert idle.wait(5)
    assert batcher.submit(Job("a", AUDIO)).result(5).text == "a"
