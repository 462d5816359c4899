"""Random changes of a batch of spectrograms for training: masks (SpecAugment) and other vocal tracts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recognizer.audio.features import hertz_to_mel, mel_edges, mel_to_hertz
from recognizer.config import AudioAugment, AudioFeatures

TIME_MASK_BUDGET = 5  # all time masks together cover at most one frame in so many of an utterance
MAX_FORMANT_HZ = 4800.0  # frequencies below are scaled, those above are squeezed between there and half the sample rate


def mask_spectrogram(
    features: Tensor, lengths: Tensor, rngs: Sequence[np.random.Generator], config: AudioAugment, seconds_per_frame: float, num_mel_bins: int
) -> Tensor:
    """Mask random frames and bands of every item; a masked value is 0, the mean of normalized features.

    As in Park et al. (2019), section 2, without time warping: a mask's width is uniform between 0 and the largest, its
    place uniform where it fits. Time masks lie within the item and share a budget of a fifth of its frames (the paper's
    bound p, here for their sum). Frequency masks cover the same band of the static columns and of all differences; the
    energy column stays. Ours, as torchaudio's masks draw from torch's global generator.

    Args:
        features: (B, T, D) normalized, columns as :class:`~recognizer.audio.features.AudioFeatureExtractor` lays them out.
        lengths: (B,) frames of each item.
        rngs: one for each item, so that an item's masks do not depend on its batch.
        config: numbers and sizes of the masks.
        seconds_per_frame: from one frame to the next.
        num_mel_bins: frequency bands among the static columns, before the energy.

    Returns:
        A new tensor, or ``features`` itself if no masks are asked for; raises ``ValueError`` if the arguments do not fit each other.
    """
    if config.time_masks == 0 and config.frequency_masks == 0:
        return features
    batch, length, dim = features.shape
    _require_rngs(rngs, batch)
    blocks, columns = _layout(dim, num_mel_bins)
    masked_frames = np.zeros((batch, length), dtype=bool)
    masked_columns = np.zeros((batch, blocks, columns), dtype=bool)
    longest = round(config.time_mask_ms / 1000 / seconds_per_frame)  # frames
    widest = int(config.frequency_mask_share * num_mel_bins)  # bands
    for item, (rng, frames) in enumerate(zip(rngs, lengths.tolist(), strict=True)):
        budget = frames // TIME_MASK_BUDGET
        for _ in range(config.time_masks):
            mask = _draw_mask(frames, min(longest, budget), rng)
            budget -= mask.stop - mask.start
            masked_frames[item, mask] = True
        for _ in range(config.frequency_masks):
            masked_columns[item, :, _draw_mask(num_mel_bins, widest, rng)] = True
    masked = masked_frames[:, :, None] | masked_columns.reshape(batch, 1, dim)  # (B, T, D)
    return features.masked_fill(torch.from_numpy(masked).to(features.device), 0.0)


def _require_rngs(rngs: Sequence[np.random.Generator], batch: int) -> None:
    if len(rngs) != batch:
        raise ValueError(f"generators: expected {batch}, one for each item, found {len(rngs)}")


def _layout(dim: int, num_mel_bins: int) -> tuple[int, int]:
    """How many blocks (statics, first, second differences) of how many columns: bands, and perhaps the energy."""
    for blocks in (1, 2, 3):
        columns, rest = divmod(dim, blocks)
        if rest == 0 and columns in (num_mel_bins, num_mel_bins + 1):
            return blocks, columns
    raise ValueError(f"num_mel_bins: {dim} columns are not {num_mel_bins} bands, with or without energy and differences")


def _draw_mask(size: int, widest: int, rng: np.random.Generator) -> slice:
    """A stretch of 0 to ``widest`` places somewhere within ``size``."""
    width = int(rng.integers(0, widest, endpoint=True))
    begin = int(rng.integers(0, size - width, endpoint=True))
    return slice(begin, begin + width)


def warp_vocal_tracts(features: Tensor, rngs: Sequence[np.random.Generator], factors: tuple[float, float], config: AudioFeatures) -> Tensor:
    """Scale the formants of every item by a factor drawn from a range; pitch harmonics move along, durations stay.

    Vocal tract length perturbation (Jaitly & Hinton 2013). They move the centers of the filters; here each band of the
    finished spectrogram is read, by linear interpolation, at the place that its center comes from, which needs no second
    Fourier transform and serves the differences as it serves the statics. Bands beyond the ends repeat the last.

    Args:
        features: (B, T, D) log-mel features, columns as :class:`~recognizer.audio.features.AudioFeatureExtractor` lays them out.
        rngs: one for each item, so that an item's factor does not depend on its batch.
        factors: range that the factor is drawn from uniformly; above 1 is a shorter vocal tract.
        config: of the features; ``kind`` must be "fbank".

    Returns:
        A new tensor, or ``features`` itself if the range allows no change; raises ``ValueError`` if the arguments do not fit each other.
    """
    if factors == (1.0, 1.0):
        return features
    batch, length, dim = features.shape
    blocks, columns = 1 + config.deltas, config.num_mel_bins + int(config.energy)
    _require_rngs(rngs, batch)
    if config.kind != "fbank" or dim != blocks * columns:
        raise ValueError(f"features: {dim} columns of kind {config.kind} are not {blocks} x {columns} of a filter bank")
    matrices = torch.from_numpy(np.stack([warp_matrix(float(rng.uniform(*factors)), config) for rng in rngs]))
    matrices = matrices.to(features.device, features.dtype)[:, None]  # (B, 1, bins, bins)
    parts = features.reshape(batch, length, blocks, columns)
    bands = parts[..., : config.num_mel_bins] @ matrices
    return torch.cat((bands, parts[..., config.num_mel_bins :]), dim=-1).reshape(batch, length, dim)


def warp_matrix(factor: float, config: AudioFeatures) -> np.ndarray:
    """Weights (bins, bins) in float32 from the bands of a spectrogram to those of the same with frequencies scaled by ``factor``."""
    edges = mel_edges(config)  # (bins + 2,)
    nyquist = config.sample_rate / 2
    # the line breaks where the scaled frequency, or the one it comes from, reaches the highest formant
    to = min(MAX_FORMANT_HZ, 0.9 * nyquist) * min(factor, 1.0)
    origin = np.interp(mel_to_hertz(edges[1:-1]), [0.0, to, nyquist], [0.0, to / factor, nyquist])
    place = (hertz_to_mel(origin) - edges[1]) / (edges[2] - edges[1])
    place = np.clip(place, 0.0, config.num_mel_bins - 1.0)
    below = np.minimum(place.astype(int), config.num_mel_bins - 2)
    matrix = np.zeros((config.num_mel_bins, config.num_mel_bins), dtype=np.float32)
    band = np.arange(config.num_mel_bins)
    matrix[below, band] = 1.0 - (place - below)
    matrix[below + 1, band] = place - below
    return matrix
