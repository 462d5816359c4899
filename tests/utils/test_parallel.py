"""Many items at a time, on any system."""

from __future__ import annotations

import os

from recognizer.utils.parallel import count_processors, in_threads


def test_results_come_in_order() -> None:
    for threads in (0, 1, 3):
        assert list(in_threads(lambda n: n * n, range(50), threads)) == [n * n for n in range(50)]


def test_a_system_that_does_not_tell_which_processors_may_be_used(monkeypatch) -> None:
    assert count_processors() >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # macOS and Windows have none
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert count_processors() == 5 and list(in_threads(str, [1, 2])) == ["1", "2"]
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert count_processors() == 1
