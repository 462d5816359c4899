"""A folder that files arrive in: each is taken once it has stopped growing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recognizer.errors import InputError
from recognizer.jobs.job import Plan
from recognizer.jobs.watch import watch


def test_files_are_taken_when_they_have_stopped_growing(tmp_path: Path) -> None:
    (tmp_path / "old.wav").write_bytes(b"x")
    growing = tmp_path / "sub" / "new.wav"

    def come() -> None:
        growing.parent.mkdir()
        growing.write_bytes(b"a")
        (tmp_path / "empty.wav").touch()

    def grow() -> None:
        growing.write_bytes(b"ab")
        (tmp_path / "notes.txt").touch()

    def rewrite() -> None:
        (tmp_path / "old.wav").write_bytes(b"another")

    looks: list[Callable[[], None]] = [lambda: None, come, grow, lambda: None, lambda: None, rewrite, lambda: None, lambda: None]
    steps: Iterator[Callable[[], None]] = iter(looks)
    taken: list[tuple[int, list[str], list[str]]] = []
    count = 0

    def wait(seconds: float) -> None:
        nonlocal count
        assert seconds == 0.5
        count += 1
        next(steps)()

    def collect() -> Iterator[Plan]:
        yield from watch(str(tmp_path), "audio", None, 0.5, wait)

    try:
        for plan in collect():
            taken.append((count, [job.output for job in plan.jobs], plan.notes))
    except RuntimeError:  # the looks are used up
        pass
    note = f"{tmp_path / 'notes.txt'}: is of another kind and is passed over"
    assert taken == [(1, ["old.wav"], []), (3, [], [note]), (4, ["sub/new.wav"], []), (7, ["old.wav"], [])]
    assert os.path.getsize(growing) == 2


def test_results_in_the_folder_itself_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.wav").write_bytes(b"x")
    (tmp_path / "a.wav").write_bytes(b"x")
    plan = next(watch(str(tmp_path), "audio", str(tmp_path / "out"), 0.0))
    assert [job.source for job in plan.jobs] == [str(tmp_path / "a.wav")]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: no such folder to watch"):
        next(watch(str(tmp_path / "none")))
