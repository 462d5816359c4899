"""Counts of the n-grams of a text in bounded memory, and the adjusted counts of Kneser-Ney."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recognizer.lm.ngram import END, START

MIN_BLOCK = 1024  # rows read of each run at a time, at least
MAX_RUNS = 128  # sorted files, each open, before they are merged into one


class SortedRuns:
    """Rows of unsigned numbers, sorted by their first columns; rows that agree in these become one, the others added up.

    Rows are held as columns, (C, M) uint64. What does not fit into memory is sorted in parts (runs) on disk, which are merged.

    Args:
        keys: columns to sort by; the others are added up.
        rows: rows held in memory at a time, about.
        folder: for the runs, if there is more than one.
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
        if self._held:
            self._held = [add_up(np.concatenate(self._held, axis=1), self._keys)]
        if self._held and self._runs:
            self._spill()
        yield from self._merge() if self._runs else self._held

    def close(self) -> None:
        """Free memory and disk."""
        self._held, self._runs = [], []
        for path in self._paths:
            path.unlink()
        self._paths = []

    def _spill(self) -> None:
        self._write(self._held)
        self._held = []
        if len(self._runs) >= MAX_RUNS:
            self._write(self._merge())
            merged, self._paths, self._runs = self._paths[:-1], self._paths[-1:], self._runs[-1:]
            for path in merged:
                path.unlink()

    def _write(self, blocks: Iterable[np.ndarray]) -> None:
        """Make a run of blocks that are in order."""
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            for block in blocks:
                columns = len(block)
                file.write(block.T.tobytes())
        self._paths.append(Path(file.name))
        self._runs.append(np.memmap(file.name, dtype=np.uint64, mode="r").reshape(-1, columns).T)

    def _merge(self) -> Iterator[np.ndarray]:
        size = max(MIN_BLOCK, self._limit // len(self._runs))
        places = [0] * len(self._runs)
        while True:
            parts = [np.ascontiguousarray(run[:, place : place + size]) for run, place in zip(self._runs, places, strict=True)]
            if not any(part.shape[1] for part in parts):
                return
            # Beyond the last row that is read of a run, smaller ones may follow from this run only.
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
    starts = np.flatnonzero(_changes(list(rows[:keys])))
    if len(starts) == rows.shape[1]:
        return rows
    return np.concatenate([rows[:keys, starts], np.add.reduceat(rows[keys:], starts, axis=1)])


def _count_up_to(keys: np.ndarray, bound: np.ndarray) -> int:
    """How many sorted rows (K, M) are at most ``bound`` (K,)."""
    low, high = 0, int(keys.shape[1])
    for column, value in zip(keys, bound, strict=True):
        here = column[low:high]
        low, high = low + int(np.searchsorted(here, value, "left")), low + int(np.searchsorted(here, value, "right"))
    return high


def _changes(columns: list[np.ndarray]) -> np.ndarray:
    """Whether each row of columns, (M,) each, is the first or another than the one before it; no column is no change."""
    changes = np.zeros(len(columns[0]) if columns else 1, dtype=bool)
    changes[0] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return changes


class Packing:
    """n-grams as few numbers of 64 bits: so many ids in each, the first id in the highest place."""

    def __init__(self, size: int, order: int) -> None:
        self.order = order
        self._bits = max(1, (size - 1).bit_length())
        self._each = 64 // self._bits
        self.columns = -(-order // self._each)

    def pack(self, ids: list[np.ndarray]) -> np.ndarray:
        """Ids in columns, each (M,), to numbers (K, M) uint64 that sort as the ids do."""
        packed = np.zeros((self.columns, len(ids[0])), dtype=np.uint64)
        for place, column in enumerate(ids):
            number = packed[place // self._each]
            number <<= np.uint64(self._bits)
            number |= column.astype(np.uint64)
        return packed

    def unpack(self, packed: np.ndarray) -> list[np.ndarray]:
        """What ``pack`` was given, as int32."""
        mask = np.uint64((1 << self._bits) - 1)
        ids = []
        for place in range(self.order):
            number = place // self._each
            last = min(self.order, (number + 1) * self._each) - 1
            ids.append(((packed[number] >> np.uint64(self._bits * (last - place))) & mask).astype(np.int32))
        return ids


@dataclass(frozen=True)
class Table:
    """The n-grams of one order that are kept, M of them in C contexts, sorted."""

    ids: np.ndarray  # (M, n) int32
    count: np.ndarray  # adjusted count of each, (M,)
    context: np.ndarray  # its context's place in the arrays below, (M,)
    total: np.ndarray  # sum of the adjusted counts after each context, dropped n-grams included, (C,)
    kept: np.ndarray  # how many kept n-grams of each context have the adjusted count 1, 2, and 3 or more, (3, C)
    dropped: np.ndarray  # sum of the adjusted counts of the dropped n-grams of each context, (C,)
    counts_of_counts: np.ndarray  # how many n-grams, dropped ones included, have the adjusted count 0, 1, 2, 3, 4, (5,)


def count_ngrams(tokens: Iterable[np.ndarray], size: int, order: int, prune: tuple[int, ...], rows: int, folder: Path) -> Iterator[Table]:
    """The tables of orders 1 to ``order``.

    The adjusted count (Kneser & Ney 1995; Chen & Goodman 1998) of an n-gram of the highest order, or one that begins with
    ``<s>``, is how often it occurs; that of another is how many different symbols occur before it.

    Args:
        tokens: ids of a text, each sentence ended by that of ``</s>``, in pieces of any size.
        size: number of symbols V.
        prune: for each order, n-grams that occur so often or less are dropped.
        rows: n-grams held in memory at a time, before those that are the result.
        folder: for what does not fit.
    """
    packing = [Packing(size, n) for n in range(1, order + 1)]
    reversed_rows = SortedRuns(packing[-1].columns, rows, folder)
    carry = np.full(order - 1, END, dtype=np.int32)
    for piece in tokens:
        for begin in range(0, len(piece), rows):
            ids = np.concatenate([carry, piece[begin : begin + rows]])
            reversed_rows.add(_windows(ids, packing[-1]))
            carry = ids[len(ids) - (order - 1) :]
    by_context = [SortedRuns(each.columns, rows, folder) for each in packing]
    previous: list[np.ndarray] | None = None
    for block in reversed_rows.blocks():
        previous = _adjust(block, previous, packing, by_context)
    reversed_rows.close()
    for runs, each, threshold in zip(by_context, packing, prune, strict=True):
        yield _tabulate(runs.blocks(), each, threshold)
        runs.close()


def _windows(ids: np.ndarray, packing: Packing) -> np.ndarray:
    """A row for every token but the first order - 1: it and what precedes it, the nearest first, ``<s>`` before a sentence; count 1."""
    order = packing.order
    columns = [ids[order - 1 :]]
    before = np.zeros(len(columns[0]), dtype=bool)
    for distance in range(1, order):
        column = ids[order - 1 - distance : len(ids) - distance]
        before |= column == END
        columns.append(np.where(before, START, column))
    return np.concatenate([packing.pack(columns), np.ones((1, len(before)), dtype=np.uint64)])


def _adjust(block: np.ndarray, previous: list[np.ndarray] | None, packing: list[Packing], tables: list[SortedRuns]) -> list[np.ndarray]:
    """Give the adjusted counts and the counts of a block of reversed n-grams to the tables of all orders; return its last row.

    n-grams that end alike follow each other, so that a change in one of the last n + 1 symbols is a new symbol before the
    last n. A group that goes on in the next block is given in two parts, which the tables add up.
    """
    order = len(packing)
    columns, count = packing[-1].unpack(block[:-1]), block[-1]
    changes = np.zeros(len(count), dtype=bool)
    new = []  # for each n: the last n symbols are not those of the row before
    for place, column in enumerate(columns):
        changes[1:] |= column[1:] != column[:-1]
        changes[0] |= previous is None or previous[place] != column[0]
        new.append(changes.copy())
    for n in range(1, order + 1):
        starts = new[n - 1].copy()
        starts[0] = True
        starts = np.flatnonzero(starts)
        adjusted = occurrences = np.add.reduceat(count, starts)
        if n < order:
            adjusted = np.add.reduceat(new[n].astype(np.uint64), starts)
            if n > 1:
                adjusted = np.where(columns[n - 1][starts] == START, occurrences, adjusted)
        real = np.flatnonzero(columns[n - 2][starts] != START) if n > 1 else slice(None)  # else it begins before its sentence
        ids = [columns[place][starts][real] for place in range(n - 1, -1, -1)]
        tables[n - 1].add(np.concatenate([packing[n - 1].pack(ids), [adjusted[real], occurrences[real]]]))
    return [column[-1] for column in columns]


def _tabulate(blocks: Iterable[np.ndarray], packing: Packing, threshold: int) -> Table:
    """The table of one order from its n-grams in order, with adjusted counts and counts."""
    parts: list[tuple[np.ndarray, ...]] = []
    counts_of_counts = np.zeros(5, dtype=np.int64)
    contexts = 0
    for rows in _whole_contexts(blocks, packing):
        ids, adjusted, occurrences = packing.unpack(rows[:-2]), rows[-2].astype(np.int64), rows[-1].astype(np.int64)
        counts_of_counts += np.bincount(np.minimum(adjusted, 5), minlength=6)[:5]
        starts = _context_starts(rows, packing)
        is_kept = occurrences > threshold
        total = np.add.reduceat(adjusted, starts)
        by_count = [np.add.reduceat((is_kept & which).astype(np.int64), starts) for which in (adjusted == 1, adjusted == 2, adjusted >= 3)]
        dropped = np.add.reduceat(np.where(is_kept, 0, adjusted), starts)
        used = np.sum(by_count, axis=0) > 0
        number = np.repeat(np.cumsum(used) - 1 + contexts, np.diff([*starts, len(is_kept)]))
        contexts += int(used.sum())
        parts.append((np.stack(ids)[:, is_kept], adjusted[is_kept], number[is_kept], total[used], np.stack(by_count)[:, used], dropped[used]))
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return Table(np.zeros((0, packing.order), dtype=np.int32), none, none, none, np.zeros((3, 0), dtype=np.int64), none, counts_of_counts)
    columns, count, context, total, kept, dropped = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    return Table(np.ascontiguousarray(columns.T), count, context, total, kept, dropped, counts_of_counts)


def _whole_contexts(blocks: Iterable[np.ndarray], packing: Packing) -> Iterator[np.ndarray]:
    """The rows of blocks that are cut anew, where the context changes."""
    rest: np.ndarray | None = None
    for block in blocks:
        rows = block if rest is None else np.concatenate([rest, block], axis=1)
        cut = int(_context_starts(rows, packing)[-1])
        if cut:
            yield rows[:, :cut]
        rest = rows[:, cut:]
    if rest is not None:
        yield rest


def _context_starts(rows: np.ndarray, packing: Packing) -> np.ndarray:
    """Where the context of an n-gram, all ids but the last, is another than that of the one before; 0 is the first."""
    return np.flatnonzero(_changes(packing.unpack(rows[:-2])[:-1]))
