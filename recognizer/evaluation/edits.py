"""Edits: the fewest changes that turn a reference into a hypothesis, and how many there are of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import editdistance
import numpy as np
from numba import njit

Kind = Literal["match", "substitution", "insertion", "deletion"]

KINDS: tuple[Kind, ...] = ("match", "substitution", "deletion", "insertion")
MATCH, SUBSTITUTION, DELETION, INSERTION = range(4)  # positions in KINDS


class Edit(NamedTuple):
    """One step of an alignment; an insertion has no reference token and a deletion no hypothesis token."""

    kind: Kind
    reference: str | None
    hypothesis: str | None


@dataclass(frozen=True)
class Counts:
    """How many steps of each kind; counts of several items add up with ``+`` and ``sum(..., Counts())``."""

    matches: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @classmethod
    def of(cls, edits: Iterable[Edit]) -> Counts:
        """Count the steps of an alignment."""
        found = Counter(edit.kind for edit in edits)
        return cls(*(found[kind] for kind in KINDS))

    def __add__(self, other: Counts) -> Counts:
        """Add kind by kind."""
        return Counts(
            self.matches + other.matches,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions: the edit distance."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def reference(self) -> int:
        """Tokens of the reference."""
        return self.matches + self.substitutions + self.deletions

    @property
    def rate(self) -> float | None:
        """Errors per reference token, which may exceed 1; None without reference tokens."""
        return self.errors / self.reference if self.reference else None


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Edit]:
    """The alignment with the fewest errors (Levenshtein 1966), in order.

    Of the alignments with the fewest errors it is one with the most matches, so that the counts of each kind depend on
    the two sequences alone: ``ab`` for ``ba`` is a match, a deletion and an insertion, not two substitutions, as the
    weights of NIST sclite have it too. Where several still remain, read from the end: a match or substitution goes before a
    deletion, and a deletion before an insertion. Memory: a byte for every pair of a reference and a hypothesis token.
    """
    labels: dict[str, int] = {}
    codes = [np.array([labels.setdefault(t, len(labels)) for t in tokens], np.int64) for tokens in (reference, hypothesis)]
    expected, found = iter(reference), iter(hypothesis)
    return [
        Edit(KINDS[step], None if step == INSERTION else next(expected), None if step == DELETION else next(found))
        for step in _steps(*codes).tolist()
    ]


def distance(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> int:
    """Number of errors without the alignment; tokens may be strings or labels."""
    return editdistance.eval(reference, hypothesis)


def error_rate(pairs: Iterable[tuple[Sequence[Hashable], Sequence[Hashable]]]) -> float | None:
    """Errors per reference token over pairs of reference and hypothesis; None without reference tokens."""
    errors = tokens = 0
    for reference, hypothesis in pairs:
        errors += distance(reference, hypothesis)
        tokens += len(reference)
    return errors / tokens if tokens else None


@njit(cache=True)
def _steps(reference: np.ndarray, hypothesis: np.ndarray) -> np.ndarray:
    """Kinds of the steps of the best alignment of codes (N,) and (M,), as positions in ``KINDS``."""
    rows, columns = reference.size, hypothesis.size
    error = min(rows, columns) + 1  # one error outweighs all the matches there can be, each of which costs -1
    cost = np.arange(columns + 1) * error  # (M + 1,); entries right of j still belong to the row above
    back = np.empty((rows + 1, columns + 1), np.uint8)
    back[0, :] = INSERTION
    back[:, 0] = DELETION
    for i in range(1, rows + 1):
        diagonal = cost[0]
        cost[0] = i * error
        for j in range(1, columns + 1):
            same = reference[i - 1] == hypothesis[j - 1]
            best = diagonal - 1 if same else diagonal + error
            step = MATCH if same else SUBSTITUTION
            if cost[j] + error < best:
                best, step = cost[j] + error, DELETION
            if cost[j - 1] + error < best:
                best, step = cost[j - 1] + error, INSERTION
            diagonal = cost[j]
            cost[j] = best
            back[i, j] = step

    steps = np.empty(rows + columns, np.uint8)
    first = steps.size
    i, j = rows, columns
    while i > 0 or j > 0:
        step = back[i, j]
        first -= 1
        steps[first] = step
        if step != INSERTION:
            i -= 1
        if step != DELETION:
            j -= 1
    return steps[first:]
