"""Alignment of a reference with a hypothesis by the fewest edits, and counts of the edits of each kind.

Where only the number of errors is wanted, `editdistance` counts them; it gives no alignment, so that is done here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import editdistance
import numpy as np

from recognizer.text.alphabet import split
from recognizer.utils.compiling import compiled


def characters(text: str) -> list[str]:
    """Characters of the NFC form, spaces included; a letter and its combining accent count as one where Unicode has the pair."""
    return split(text, "characters")


def words(text: str) -> list[str]:
    """The words of the NFC form, as white space separates them; punctuation stays with its word."""
    return "".join(characters(text)).split()


def units(transcript: str | Sequence[str]) -> list[str]:
    """The units (phones, say) of a spaced string or of a sequence, exactly as they are spelled."""
    return split(transcript, "units")


Kind = Literal["match", "substitution", "insertion", "deletion"]

KINDS: tuple[Kind, ...] = ("match", "substitution", "deletion", "insertion")
MATCH, SUBSTITUTION, DELETION, INSERTION = range(4)  # positions in KINDS


class Edit(NamedTuple):
    """One step of an alignment.

    An insertion has no reference token; a deletion, and the match of an optional token that was left out, no hypothesis token.
    """

    kind: Kind
    reference: str | None
    hypothesis: str | None


@dataclass(frozen=True)
class Counts:
    """How many edits of each kind; counts of several items add up with ``+`` and ``sum(..., Counts())``."""

    matches: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @classmethod
    def of(cls, edits: Iterable[Edit]) -> Counts:
        """Count the edits of an alignment."""
        found = Counter(edit.kind for edit in edits)
        return cls(*(found[kind] for kind in KINDS))

    def __add__(self, other: Counts) -> Counts:
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


def align(reference: Sequence[str], hypothesis: Sequence[str], optional: Container[str] = ()) -> list[Edit]:
    """The alignment with the fewest errors (Levenshtein 1966), in order.

    Of the alignments with the fewest errors it is one with the most matches, so that the counts of each kind depend on the
    two sequences alone: ``ab`` for ``ba`` is a match, a deletion and an insertion, not two substitutions, as with the weights
    of NIST sclite. Ties that remain are broken from the end: a match or substitution before a deletion before an insertion.
    Memory: a byte for every pair of a reference and a hypothesis token.

    Args:
        reference, hypothesis: tokens, (N,) and (M,).
        optional: reference tokens that may be left out: their deletion is no error but counts as a match. Where there
            are any, the alignment is the one of least weight that NIST ``sclite -D`` looks for, since published figures
            were counted by it: 4 for a substitution, 3 for an insertion or deletion, 2 for leaving out an optional token.
    """
    labels: dict[str, int] = {}
    codes = [np.array([labels.setdefault(t, len(labels)) for t in tokens], np.int64) for tokens in (reference, hypothesis)]
    free = np.array([token in optional for token in reference], np.bool_)
    error = min(map(len, codes)) + 1  # one error outweighs all the matches there can be, each of which weighs -1
    weights = (0, 4, 3, 3, 2) if free.any() else (-1, error, error, error, 0)
    expected, found = iter(reference), iter(hypothesis)
    edits = []
    for step in _find_steps(codes[0], codes[1], free, *weights).tolist():
        edit = Edit(KINDS[step], None if step == INSERTION else next(expected), None if step == DELETION else next(found))
        edits.append(edit._replace(kind="match") if step == DELETION and edit.reference in optional else edit)
    return edits


def error_rate(pairs: Iterable[tuple[Sequence[Hashable], Sequence[Hashable]]]) -> float | None:
    """Errors per reference token over pairs of reference and hypothesis (strings or labels); None without reference tokens."""
    errors = tokens = 0
    for reference, hypothesis in pairs:
        errors += editdistance.eval(reference, hypothesis)
        tokens += len(reference)
    return errors / tokens if tokens else None


@compiled
def _find_steps(
    reference: np.ndarray, hypothesis: np.ndarray, free: np.ndarray, match: int, substitution: int, insertion: int, deletion: int, omission: int
) -> np.ndarray:
    """Steps of the alignment of least weight of codes (N,) and (M,), as positions in ``KINDS``.

    ``free`` (N,) says which deletions weigh ``omission``; the other weights are those of the kinds.
    """
    rows, columns = reference.size, hypothesis.size
    cost = np.arange(columns + 1) * insertion  # (M + 1,); entries right of j still belong to the row above
    back = np.empty((rows + 1, columns + 1), np.uint8)
    back[0, :] = INSERTION
    back[:, 0] = DELETION
    for i in range(1, rows + 1):
        left_out = omission if free[i - 1] else deletion
        diagonal = cost[0]
        cost[0] += left_out
        for j in range(1, columns + 1):
            same = reference[i - 1] == hypothesis[j - 1]
            best = diagonal + match if same else diagonal + substitution
            step = MATCH if same else SUBSTITUTION
            if cost[j] + left_out < best:
                best, step = cost[j] + left_out, DELETION
            if cost[j - 1] + insertion < best:
                best, step = cost[j - 1] + insertion, INSERTION
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
