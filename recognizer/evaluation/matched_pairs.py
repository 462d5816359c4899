"""Matched pairs: whether two recognisers differ on the same references by more than chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recognizer.evaluation.edits import INSERTION, KINDS, MATCH, Edit

STRETCH = 2  # tokens that both have right and that part two segments (Gillick & Cox 1989; sc_stats of NIST's SCTK)
FEW = 50  # segments below which the normal distribution is a rough guide


@dataclass(frozen=True)
class MatchedPairs:
    """Outcome of the test.

    Attributes:
        segments: in which at least one of the two errs; the test is about these.
        mean: difference in errors a segment, first less second; None without segments.
        statistic: mean by its standard error, about normal with variance 1 if the two are equally good; None where all
            segments differ alike.
        p: probability of a difference as large if the two are equally good, two-sided; None without segments.
    """

    segments: int
    mean: float | None
    statistic: float | None
    p: float | None


def matched_pairs(differences: Sequence[int] | np.ndarray) -> MatchedPairs:
    """The test of Gillick & Cox (1989, equations 6 to 9) on differences in errors (N,), one a segment.

    Segments are taken to err independently of each other, which those of one speaker or writer do only nearly. Where all
    segments differ alike there is no variance to go by, and p is that of the sign test.
    """
    values = np.asarray(differences, np.float64)
    if values.size == 0:
        return MatchedPairs(0, None, None, None)
    mean = float(values.mean())
    if not values.any():
        return MatchedPairs(values.size, 0.0, 0.0, 1.0)
    if (values == values[0]).all():
        return MatchedPairs(values.size, mean, None, 0.5 ** (values.size - 1))
    statistic = mean / math.sqrt(values.var(ddof=1) / values.size)
    return MatchedPairs(values.size, mean, statistic, math.erfc(abs(statistic) / math.sqrt(2)))


def cut_segments(first: Sequence[Edit], second: Sequence[Edit], stretch: int = STRETCH) -> list[tuple[int, int]]:
    """Errors of two alignments with one reference, (first, second) for each segment with an error.

    Segments lie between stretches of at least ``stretch`` reference tokens that both have right, with nothing inserted
    between them, and the ends of the item; within a stretch the errors of the one cannot be those of the other.

    Raises:
        ValueError: the alignments are not with the same reference.
    """
    errors = [_place_errors(edits) for edits in (first, second)]
    if errors[0].shape != errors[1].shape:
        raise ValueError(f"alignments with {errors[0].size // 2} and {errors[1].size // 2} reference tokens")
    wrong = np.flatnonzero(errors[0] | errors[1])
    if wrong.size == 0:
        return []
    # between two places with an error lie so many reference tokens, which stand at odd places
    between = wrong[1:] // 2 - (wrong[:-1] + 1) // 2
    cuts = np.flatnonzero(between >= stretch) + 1
    return [(int(errors[0][part].sum()), int(errors[1][part].sum())) for part in np.split(wrong, cuts)]


def _place_errors(edits: Sequence[Edit]) -> np.ndarray:
    """Errors at each place (2N + 1,) of a reference: gap, token, gap, token ... gap; gaps count insertions."""
    kinds = np.array([KINDS.index(edit.kind) for edit in edits], np.int64)
    tokens = np.cumsum(kinds != INSERTION)  # so far, that of the step included
    places = np.where(kinds == INSERTION, 2 * tokens, 2 * tokens - 1)
    return np.bincount(places[kinds != MATCH], minlength=2 * int(tokens[-1] if tokens.size else 0) + 1)
