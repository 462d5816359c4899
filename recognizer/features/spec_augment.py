"""SpecAugment: stretches of time and bands of frequency replaced by the mean (Park et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recognizer.config import AudioAugment

LARGEST_TIME_SHARE = 5  # all time masks together cover at most one frame in so many of an utterance


def mask_spectrogram(
    features: Tensor,
    lengths: Tensor,
    generators: Sequence[np.random.Generator],
    config: AudioAugment,
    seconds_per_frame: float,
    bins: int,
) -> Tensor:
    """Mask random frames and bands of every item; a masked value is 0, the mean of normalised features.

    As in Park et al. (2019), section 2, without time warping: a mask's width is uniform between 0 and the largest, its
    place uniform where it fits. Time masks lie within the item and share a budget of a fifth of its frames (the paper's
    bound p, here for their sum). Frequency masks cover the same band of the static columns and of all differences; the
    energy column stays.

    Args:
        features: (B, T, D) normalised, columns as :class:`~recognizer.features.spectral.SpectralFeatures` lays them out.
        lengths: (B,) frames of each item.
        generators: one for each item, so that an item's masks do not depend on its batch.
        config: numbers and sizes of the masks.
        seconds_per_frame: from one frame to the next.
        bins: frequency bands among the static columns, before the energy.

    Returns:
        A new tensor, or ``features`` itself if no masks are asked for.

    Raises:
        ValueError: generators do not match the batch, or D does not fit ``bins``.
    """
    if config.time_masks == 0 and config.frequency_masks == 0:
        return features
    batch, length, dim = features.shape
    if len(generators) != batch:
        raise ValueError(f"generators: expected {batch}, one for each item, found {len(generators)}")
    blocks, columns = _layout(dim, bins)
    frames = [int(n) for n in lengths]
    masked_frames = np.zeros((batch, length), dtype=bool)
    masked_columns = np.zeros((batch, dim), dtype=bool)
    longest = round(config.time_mask_ms / 1000 / seconds_per_frame)  # frames
    widest = int(config.frequency_mask_share * bins)  # bands
    for i, generator in enumerate(generators):
        for begin, end in _time_masks(frames[i], config.time_masks, longest, generator):
            masked_frames[i, begin:end] = True
        for _ in range(config.frequency_masks):
            begin, end = _interval(bins, widest, generator)
            for block in range(blocks):
                masked_columns[i, block * columns + begin : block * columns + end] = True
    masked = torch.from_numpy(masked_frames)[:, :, None] | torch.from_numpy(masked_columns)[:, None, :]  # (B, T, D)
    return features.masked_fill(masked.to(features.device), 0.0)


def _layout(dim: int, bins: int) -> tuple[int, int]:
    """How many blocks (statics, first, second differences) of how many columns: bands, and perhaps the energy."""
    for blocks in (1, 2, 3):
        columns, rest = divmod(dim, blocks)
        if rest == 0 and columns in (bins, bins + 1):
            return blocks, columns
    raise ValueError(f"bins: {dim} columns are not {bins} bands, with or without energy and differences")


def _time_masks(length: int, count: int, longest: int, generator: np.random.Generator) -> list[tuple[int, int]]:
    budget = length // LARGEST_TIME_SHARE
    masks = []
    for _ in range(count):
        begin, end = _interval(length, min(longest, budget), generator)
        budget -= end - begin
        masks.append((begin, end))
    return masks


def _interval(size: int, widest: int, generator: np.random.Generator) -> tuple[int, int]:
    """A stretch of 0 to ``widest`` places somewhere within ``size``."""
    width = int(generator.integers(0, widest, endpoint=True))
    begin = int(generator.integers(0, size - width, endpoint=True))
    return begin, begin + width
