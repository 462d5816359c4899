"""Many utterances at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Given, Found = TypeVar("Given"), TypeVar("Found")


def in_threads(function: Callable[[Given], Found], items: Iterable[Given], threads: int = 0) -> Iterator[Found]:
    """``function`` of each item, in order, in parallel threads (0: as many as there are processors)."""
    threads = threads or len(os.sched_getaffinity(0))
    if threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(function, items)
