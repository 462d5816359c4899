"""Which items go into which batch: similar lengths together, within a budget of padded frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_POOL = 50  # batches' worth of shuffled items that are sorted together: larger pads less, mixes less


def plan_batches(
    frames: Sequence[int], *, budget: int, most: int, seed: int, epoch: int, by_length: bool = False
) -> list[list[int]]:
    """Group item indices into batches.

    Args:
        frames: feature frames of each item.
        budget: most frames in a padded batch, padding included; bounds the memory of a step.
        most: most items in a batch.
        seed, epoch: the order depends on these two and on ``frames`` only.
        by_length: keep items and batches in order of length (curriculum, evaluation) rather than shuffled.

    Raises:
        ValueError: an item alone exceeds the budget (audit excludes such items).
    """
    sizes = np.asarray(frames, dtype=np.int64)
    if len(sizes) and sizes.max() > budget:
        raise ValueError(f"item {int(sizes.argmax())} has {int(sizes.max())} frames, more than the batch budget of {budget}")
    if by_length:
        return _pack(np.argsort(sizes, kind="stable"), sizes, budget, most)
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(sizes))
    batches: list[list[int]] = []
    for start in range(0, len(order), _POOL * most):
        pool = order[start : start + _POOL * most]
        batches += _pack(pool[np.argsort(sizes[pool], kind="stable")], sizes, budget, most)
    return [batches[i] for i in generator.permutation(len(batches))]


def _pack(order: np.ndarray, sizes: np.ndarray, budget: int, most: int) -> list[list[int]]:
    """Cut a list of items in order of length; a new batch begins when the next item would break a limit."""
    batches: list[list[int]] = []
    for index in order.tolist():
        longest = sizes[index]  # the order is ascending, so the newest item sets the padded length
        if batches and len(batches[-1]) < most and longest * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
