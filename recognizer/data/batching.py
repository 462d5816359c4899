"""Which items go into which batch: similar lengths together, within a budget of padded frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from recognizer.data.loading import to_float

if TYPE_CHECKING:
    from torch import Tensor


def padded_length(length: int) -> int:
    """A length rounded up to one of eight steps in each octave.

    oneDNN compiles and keeps its kernels for every tensor shape it meets: without the steps, hours of training meet
    thousands of shapes, and both time and memory go there.
    """
    step = max(64, 1 << max(0, (length - 1).bit_length() - 4))
    return -(-length // step) * step


def pad(arrays: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """As :func:`pad_arrays`, in tensors."""
    import torch  # not needed to recognize with an exported bundle

    padded, lengths = pad_arrays(arrays)
    return torch.from_numpy(padded), torch.from_numpy(lengths)


def pad_arrays(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Stored arrays as one zero-padded array (B, N) float32, (B, W, H) uint8 or (B, T, 5) float32, with lengths (B,) int64."""
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    whole = [to_float(array) for array in arrays]
    padded = np.zeros((len(whole), padded_length(int(lengths.max())), *whole[0].shape[1:]), dtype=whole[0].dtype)
    for row, array in zip(padded, whole, strict=True):
        row[: len(array)] = array
    return padded, lengths


POOL_BATCHES = 50  # batches' worth of shuffled items that are sorted together: larger pads less, mixes less


def bucket_batches(
    frames: Sequence[int], *, max_frames: int, max_items: int, seed: int = 0, epoch: int = 0, by_length: bool = False,
    archives: Sequence[int] = (), open_archives: int = 0,
) -> list[list[int]]:
    """Group item indices into batches.

    Args:
        frames: feature frames of each item.
        max_frames: most frames in a padded batch, padding included; bounds the memory of a step.
        max_items: most items in a batch.
        seed, epoch: the order depends on these two and on ``frames`` only.
        by_length: keep items and batches in order of length (curriculum, evaluation) rather than shuffled.
        archives: the number of the archive that each item lies in; batches are then drawn from ``open_archives`` of them at a time, chosen by chance,
            so that storage is read in a few places instead of all over. Empty: from all items.

    Raises:
        ValueError: an item alone exceeds ``max_frames`` (audit excludes such items).
    """
    sizes = np.asarray(frames, dtype=np.int64)
    if len(sizes) and sizes.max() > max_frames:
        raise ValueError(f"item {int(sizes.argmax())} has {int(sizes.max())} frames, more than the batch budget of {max_frames}")
    if by_length:
        return _pack(np.argsort(sizes, kind="stable"), sizes, max_frames, max_items)
    generator = np.random.default_rng([seed, epoch])
    stretches = [np.arange(len(sizes))]
    if len(archives):
        place = np.asarray(archives)
        numbers = generator.permutation(np.unique(place))
        stretches = [np.flatnonzero(np.isin(place, numbers[start : start + open_archives])) for start in range(0, len(numbers), open_archives)]
    planned: list[list[int]] = []
    for stretch in stretches:
        order = stretch[generator.permutation(len(stretch))]
        batches: list[list[int]] = []
        for start in range(0, len(order), POOL_BATCHES * max_items):
            pool = order[start : start + POOL_BATCHES * max_items]
            batches += _pack(pool[np.argsort(sizes[pool], kind="stable")], sizes, max_frames, max_items)
        planned += [batches[i] for i in generator.permutation(len(batches))]
    return planned


def _pack(order: np.ndarray, sizes: np.ndarray, max_frames: int, max_items: int) -> list[list[int]]:
    """Cut a list of items in order of length; a new batch begins when the next item would break a limit."""
    batches: list[list[int]] = []
    for index in order.tolist():
        longest = sizes[index]  # the order is ascending, so the newest item sets the padded length
        if batches and len(batches[-1]) < max_items and longest * (len(batches[-1]) + 1) <= max_frames:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
