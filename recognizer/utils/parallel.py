"""Many items at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Found = TypeVar("Found")


def count_processors() -> int:
    """How many processors this process may use; where the system does not tell (macOS, Windows), how many there are."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def in_threads(function: Callable[[Given], Found], items: Iterable[Given], threads: int = 0) -> Iterator[Found]:
    """``function`` of each item, in order, in parallel threads (0: as many as there are processors)."""
    threads = threads or count_processors()
    if threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(function, items)
