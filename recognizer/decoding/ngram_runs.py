"""Sorting more than fits in memory: rows are collected, sorted in parts on disk, and merged."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

SMALLEST_BLOCK = 1024  # rows read of each part at a time, at least
MOST_RUNS = 128  # parts, each an open file, before they are merged into one


class SortedRuns:
    """Rows of unsigned numbers, sorted by their first columns; rows that agree in these become one, the others added up.

    Rows are held as columns, (C, M) uint64.

    Args:
        keys: columns to sort by; the others are added up.
        rows: rows held in memory at a time, about.
        folder: for the sorted parts, if there is more than one.
    """

    def __init__(self, keys: int, rows: int, folder: Path) -> None:
        self._keys, self._limit, self._folder = keys, max(rows, 2), folder
        self._held: list[np.ndarray] = []
        self._runs: list[np.ndarray] = []
        self._paths: list[Path] = []

    def add(self, rows: np.ndarray) -> None:
        """Take rows in any order, (C, M)."""
        if rows.shape[1]:
            self._held.append(rows)
        if sum(part.shape[1] for part in self._held) > self._limit:
            self._held = [add_up(np.concatenate(self._held, axis=1), self._keys)]
            if self._held[0].shape[1] > self._limit // 2:  # else there is room for more
                self._spill()

    def blocks(self) -> Iterator[np.ndarray]:
        """All rows in order, in blocks (C, M) of at least one."""
        if self._held and self._runs:
            self._held = [add_up(np.concatenate(self._held, axis=1), self._keys)]
            self._spill()
        if self._runs:
            yield from self._merge()
        elif self._held:
            yield add_up(np.concatenate(self._held, axis=1), self._keys)

    def close(self) -> None:
        """Free memory and disk."""
        self._held, self._runs = [], []
        for path in self._paths:
            path.unlink()
        self._paths = []

    def _spill(self) -> None:
        self._write(self._held)
        self._held = []
        if len(self._runs) >= MOST_RUNS:
            self._write(self._merge())
            merged, self._paths, self._runs = self._paths[:-1], self._paths[-1:], self._runs[-1:]
            for path in merged:
                path.unlink()

    def _write(self, blocks: Iterable[np.ndarray]) -> None:
        """Make a part of blocks that are in order."""
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            for block in blocks:
                columns = len(block)
                file.write(block.T.tobytes())
        self._paths.append(Path(file.name))
        self._runs.append(np.memmap(file.name, dtype=np.uint64, mode="r").reshape(-1, columns).T)

    def _merge(self) -> Iterator[np.ndarray]:
        size = max(SMALLEST_BLOCK, self._limit // len(self._runs))
        places = [0] * len(self._runs)
        while True:
            parts = [np.ascontiguousarray(run[:, place : place + size]) for run, place in zip(self._runs, places, strict=True)]
            if not any(part.shape[1] for part in parts):
                return
            # Beyond the last row that is read of a part, smaller ones may follow from this part only.
            open_ends = [part[: self._keys, -1] for part, run, place in zip(parts, self._runs, places, strict=True) if place + size < run.shape[1]]
            if open_ends:
                bound = min(open_ends, key=tuple)
                parts = [part[:, : _count_up_to(part[: self._keys], bound)] for part in parts]
            places = [place + part.shape[1] for place, part in zip(places, parts, strict=True)]
            yield add_up(np.concatenate(parts, axis=1), self._keys)


def add_up(rows: np.ndarray, keys: int) -> np.ndarray:
    """Sort rows (C, M) by their first ``keys`` columns and add up the other columns of rows that agree in these."""
    order = np.argsort(rows[0]) if keys == 1 else np.lexsort(rows[keys - 1 :: -1])
    rows = rows[:, order]
    new = np.ones(rows.shape[1], dtype=bool)
    new[1:] = (rows[:keys, 1:] != rows[:keys, :-1]).any(axis=0)
    starts = np.flatnonzero(new)
    if len(starts) == len(new):
        return rows
    return np.concatenate([rows[:keys, starts], np.add.reduceat(rows[keys:], starts, axis=1)])


def _count_up_to(keys: np.ndarray, bound: np.ndarray) -> int:
    """How many sorted rows (K, M) are at most ``bound`` (K,)."""
    low, high = 0, keys.shape[1]
    for column, value in zip(keys, bound, strict=True):
        here = column[low:high]
        low, high = low + int(np.searchsorted(here, value, "left")), low + int(np.searchsorted(here, value, "right"))
    return high
