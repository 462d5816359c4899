"""Which symbols of the best hypothesis the others of an N-best list keep, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def kept_weight(best: np.ndarray, others: np.ndarray, ends: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weight (L,) of the hypotheses in which each symbol of ``best`` is matched.

    Args:
        best: (L,) symbols as numbers.
        others: the other hypotheses, one after the other; ``ends``: where each of the N ends.
        weights: (N,).
    """
    kept = np.zeros(best.size)
    begin = 0
    for n in range(ends.size):
        other = others[begin : ends[n]]
        begin = ends[n]
        # Hypotheses of one list differ in few places: what they have in common at both ends is a match in some best alignment.
        head, shorter = 0, min(best.size, other.size)
        while head < shorter and best[head] == other[head]:
            head += 1
        tail = 0
        while tail < shorter - head and best[best.size - 1 - tail] == other[other.size - 1 - tail]:
            tail += 1
        kept[:head] += weights[n]
        kept[best.size - tail :] += weights[n]
        _add_matches(best[head : best.size - tail], other[head : other.size - tail], weights[n], kept[head : best.size - tail])
    return kept


@njit(cache=True, nogil=True)
def _add_matches(best: np.ndarray, other: np.ndarray, weight: float, kept: np.ndarray) -> None:
    """Add ``weight`` where an alignment with the fewest errors, and of those one with the most matches, has a match."""
    rows, columns = best.size, other.size
    if rows == 0 or columns == 0:
        return
    error = min(rows, columns) + 1  # outweighs all matches there can be, each of which is worth 1
    cost = np.empty((rows + 1, columns + 1), np.int64)
    cost[0, :] = np.arange(columns + 1) * error
    for i in range(1, rows + 1):
        cost[i, 0] = i * error
        for j in range(1, columns + 1):
            through = cost[i - 1, j - 1] + (-1 if best[i - 1] == other[j - 1] else error)
            cost[i, j] = min(through, min(cost[i - 1, j], cost[i, j - 1]) + error)
    i, j = rows, columns
    while i > 0 and j > 0:
        same = best[i - 1] == other[j - 1]
        if cost[i, j] == cost[i - 1, j - 1] + (-1 if same else error):
            i, j = i - 1, j - 1
            if same:
                kept[i] += weight
        elif cost[i, j] == cost[i - 1, j] + error:
            i -= 1
        else:
            j -= 1
