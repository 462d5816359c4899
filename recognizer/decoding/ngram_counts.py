"""Counting the n-grams of a text in bounded memory, and the adjusted counts of Kneser-Ney."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recognizer.decoding.ngram import END, START
from recognizer.decoding.ngram_runs import SortedRuns


@dataclass(frozen=True)
class Table:
    """The n-grams of one order that are kept, M of them in C contexts, sorted.

    Attributes:
        ids: (M, n) int32.
        count: adjusted count of each, (M,).
        context: its context's place in the arrays below, (M,).
        total: sum of the adjusted counts after each context, dropped n-grams included, (C,).
        kept: how many kept n-grams of each context have the adjusted count 1, 2, and 3 or more, (3, C).
        dropped: sum of the adjusted counts of the dropped n-grams of each context, (C,).
        counts_of_counts: how many n-grams, dropped ones included, have the adjusted count 0, 1, 2, 3, 4, (5,).
    """

    ids: np.ndarray
    count: np.ndarray
    context: np.ndarray
    total: np.ndarray
    kept: np.ndarray
    dropped: np.ndarray
    counts_of_counts: np.ndarray


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


def count_ngrams(tokens: Iterable[np.ndarray], size: int, order: int, prune: tuple[int, ...], rows: int, folder: Path) -> Iterator[Table]:
    """The tables of orders 1 to ``order``.

    The adjusted count (Kneser & Ney 1995; Chen & Goodman 1998) of an n-gram of the highest order, or one that begins with
    ``<s>``, is how often it occurs; that of another is how many different symbols have been seen before it.

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
        occurrences = np.add.reduceat(count, starts)
        adjusted = occurrences
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
    for ids, adjusted, occurrences in _whole_contexts(blocks, packing):
        counts_of_counts += np.bincount(np.minimum(adjusted, 5), minlength=6)[:5]
        starts = np.flatnonzero(_context_starts(ids))
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


def _whole_contexts(blocks: Iterable[np.ndarray], packing: Packing) -> Iterator[tuple[list[np.ndarray], np.ndarray, np.ndarray]]:
    """Ids in columns, adjusted counts and counts of blocks that are cut anew, where the context changes."""
    rest: np.ndarray | None = None
    for block in blocks:
        rows = block if rest is None else np.concatenate([rest, block], axis=1)
        cut = int(np.flatnonzero(_context_starts(packing.unpack(rows[:-2])))[-1])
        if cut:
            yield _columns(rows[:, :cut], packing)
        rest = rows[:, cut:]
    if rest is not None and rest.shape[1]:
        yield _columns(rest, packing)


def _columns(rows: np.ndarray, packing: Packing) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    return packing.unpack(rows[:-2]), rows[-2].astype(np.int64), rows[-1].astype(np.int64)


def _context_starts(ids: list[np.ndarray]) -> np.ndarray:
    """Whether the context of each n-gram, all ids but the last, is another than that of the one before."""
    starts = np.zeros(len(ids[0]), dtype=bool)
    starts[0] = True
    for column in ids[:-1]:
        starts[1:] |= column[1:] != column[:-1]
    return starts
