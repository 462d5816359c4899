"""Bootstrap intervals of error rates: how much a rate would vary with other speakers or writers."""

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
    """Ends of an interval (None where there is nothing to resample) and what was resampled."""

    low: float | None
    high: float | None
    resampled: Resampled


def bootstrap(
    errors: Sequence[int] | np.ndarray,
    tokens: Sequence[int] | np.ndarray,
    groups: Sequence[str | None],
    draws: int = DRAWS,
    seed: int = SEED,
) -> Interval:
    """95 % percentile interval of ``sum(errors) / sum(tokens)`` (Bisani & Ney 2004).

    Whole groups (speakers, writers) are drawn with replacement, because the items of one group err alike: drawing items
    would make the interval too narrow. An item whose group is None counts as a group of its own. With fewer than two
    named groups items are drawn instead, and the result says so. With few groups (below about ten) the interval is
    itself uncertain and tends to be too narrow.

    Args:
        errors: of each item, (N,).
        tokens: reference tokens of each item, (N,). A draw without any token is left out.
        groups: of each item.
        draws: number of resampled corpora.
        seed: the same seed gives the same interval.

    Returns:
        The interval; without ends if there is only one item, or no token at all.
    """
    if not len(errors) == len(tokens) == len(groups):
        raise ValueError(f"{len(errors)} errors, {len(tokens)} token counts and {len(groups)} groups do not pair up")
    clusters, resampled = number_clusters(groups)
    sums = [np.bincount(clusters, np.asarray(values, float)) for values in (errors, tokens)] if clusters.size else []
    if not sums or sums[0].size < 2 or not sums[1].any():
        return Interval(None, None, resampled)
    rates = draw_rates(sums[0], sums[1], draws, np.random.default_rng(seed))
    low, high = np.quantile(rates, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return Interval(float(low), float(high), resampled)


def number_clusters(groups: Sequence[str | None]) -> tuple[np.ndarray, Resampled]:
    """Cluster number of each item, (N,), and whether clusters are groups or items."""
    if len(set(groups) - {None}) < 2:
        return np.arange(len(groups)), "items"
    numbers: dict[str | int, int] = {}
    keys = (item if group is None else group for item, group in enumerate(groups))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys]), "groups"


def draw_rates(errors: np.ndarray, tokens: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Rates of resampled corpora, at most (draws,), from sums per cluster (C,) each."""
    size = errors.size
    rows = max(1, BLOCK // size)
    drawn = np.empty((2, draws))
    for start in range(0, draws, rows):
        stop = min(start + rows, draws)
        chosen = generator.integers(size, size=(stop - start, size), dtype=np.int32)
        drawn[0, start:stop] = errors[chosen].sum(axis=1)
        drawn[1, start:stop] = tokens[chosen].sum(axis=1)
    drawn = drawn[:, drawn[1] > 0]
    return drawn[0] / drawn[1]
