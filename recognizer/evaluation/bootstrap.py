"""Bootstrap intervals of error rates and of their differences: how much these would vary with other speakers or writers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Resampled = Literal["groups", "items"]

COVERAGE = 0.95
DRAWS = 10_000
SEED = 1
BLOCK = 2**18  # indices drawn at a time, so that memory does not grow with the number of items times draws


@dataclass(frozen=True)
class Interval:
    """95 % interval of a rate; without numbers where there are fewer than two things to resample, or no tokens.

    Attributes:
        low, high: its ends.
        p: of a difference of rates, the two-sided probability of one as far from zero if there is none; at least 2 / (draws + 1).
        resampled: whether whole groups or single items were drawn, and ``clusters``: how many of them there are.
    """

    low: float | None
    high: float | None
    p: float | None
    resampled: Resampled
    clusters: int


def bootstrap(
    errors: Sequence[int] | np.ndarray,
    tokens: Sequence[int] | np.ndarray,
    groups: Sequence[str | None],
    draws: int = DRAWS,
    seed: int = SEED,
) -> Interval:
    """Percentile interval of ``sum(errors) / sum(tokens)`` (Bisani & Ney 2004).

    Whole groups (speakers, writers) are drawn with replacement, because the items of one group err alike: drawing items
    would make the interval too narrow. An item whose group is None counts as a group of its own. With fewer than two
    named groups items are drawn instead, and the result says so. With few groups (below about ten) the interval is
    itself uncertain and tends to be too narrow.

    Args:
        errors: of each item, (N,), or the difference in errors of two recognizers.
        tokens: reference tokens of each item, (N,). A draw without any token is left out.
        groups: of each item.
        draws: number of resampled corpora.
        seed: the same seed gives the same interval.
    """
    if not len(errors) == len(tokens) == len(groups):
        raise ValueError(f"{len(errors)} errors, {len(tokens)} token counts and {len(groups)} groups do not pair up")
    clusters, resampled = _number_clusters(groups)
    sums = np.stack([np.bincount(clusters, np.asarray(values, float)) for values in (errors, tokens)])  # (2, C)
    if sums.shape[1] < 2 or not sums[1].any():
        return Interval(None, None, None, resampled, sums.shape[1])
    rates = _draw_rates(sums, draws, np.random.default_rng(seed))
    low, high = np.quantile(rates, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    beyond_zero = min(int((rates <= 0).sum()), int((rates >= 0).sum()))
    p = min(1.0, 2 * (beyond_zero + 1) / (rates.size + 1))
    return Interval(float(low), float(high), p, resampled, sums.shape[1])


def _number_clusters(groups: Sequence[str | None]) -> tuple[np.ndarray, Resampled]:
    """Cluster number of each item, (N,), and whether clusters are groups or items."""
    if len(set(groups) - {None}) < 2:
        return np.arange(len(groups)), "items"
    numbers: dict[str | int, int] = {}
    keys = (item if group is None else group for item, group in enumerate(groups))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys]), "groups"


def _draw_rates(sums: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Rates of resampled corpora, at most (draws,), from errors and tokens of each cluster, (2, C)."""
    size = sums.shape[1]
    rows = max(1, BLOCK // size)
    drawn = np.empty((2, draws))
    for start in range(0, draws, rows):
        stop = min(start + rows, draws)
        chosen = generator.integers(size, size=(stop - start, size), dtype=np.int32)
        for both, of_clusters in zip(drawn, sums, strict=True):
            both[start:stop] = of_clusters[chosen].sum(axis=1)
    rates: np.ndarray = drawn[0, drawn[1] > 0] / drawn[1, drawn[1] > 0]
    return rates
