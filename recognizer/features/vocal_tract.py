"""Speakers with longer and shorter vocal tracts: the frequency axis of a mel spectrogram stretched (Jaitly & Hinton 2013)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recognizer.config import AudioFeatures
from recognizer.features.spectral import hertz_to_mel, mel_edges, mel_to_hertz

HIGHEST_FORMANT = 4800.0  # Hz; frequencies below are scaled, those above are squeezed between there and half the sample rate


def warp_vocal_tracts(
    features: Tensor, generators: Sequence[np.random.Generator], factors: tuple[float, float], config: AudioFeatures
) -> Tensor:
    """Scale the formants of every item by a factor drawn from a range; pitch harmonics move along, durations stay.

    Vocal tract length perturbation (Jaitly & Hinton 2013). They move the centres of the filters; here each band of the
    finished spectrogram is read, by linear interpolation, at the place that its centre comes from, which needs no second
    Fourier transform and serves the differences as it serves the statics. Bands beyond the ends repeat the last.

    Args:
        features: (B, T, D) log-mel features, columns as :class:`~recognizer.features.spectral.SpectralFeatures` lays them out.
        generators: one for each item, so that an item's factor does not depend on its batch.
        factors: range that the factor is drawn from uniformly; above 1 is a shorter vocal tract.
        config: of the features; ``kind`` must be "fbank".

    Returns:
        A new tensor, or ``features`` itself if the range allows no change.

    Raises:
        ValueError: generators do not match the batch, or the features are not of ``config``.
    """
    if factors == (1.0, 1.0):
        return features
    batch, length, dim = features.shape
    blocks, columns = 1 + config.deltas, config.bins + int(config.energy)
    if len(generators) != batch:
        raise ValueError(f"generators: expected {batch}, one for each item, found {len(generators)}")
    if config.kind != "fbank" or dim != blocks * columns:
        raise ValueError(f"features: {dim} columns of kind {config.kind} are not {blocks} x {columns} of a filter bank")
    matrices = torch.from_numpy(np.stack([warp_matrix(float(generator.uniform(*factors)), config) for generator in generators]))
    matrices = matrices.to(features.device, features.dtype)[:, None]  # (B, 1, bins, bins)
    parts = features.reshape(batch, length, blocks, columns)
    bands = parts[..., : config.bins] @ matrices
    return torch.cat((bands, parts[..., config.bins :]), dim=-1).reshape(batch, length, dim)


def warp_matrix(factor: float, config: AudioFeatures) -> np.ndarray:
    """Weights (bins, bins) in float32 from the bands of a spectrogram to those of the same with frequencies scaled by ``factor``."""
    edges = mel_edges(config)  # (bins + 2,)
    centres = mel_to_hertz(edges[1:-1])
    nyquist = config.sample_rate / 2
    # the line breaks where the scaled frequency, or the one it comes from, reaches the highest formant
    to = min(HIGHEST_FORMANT, 0.9 * nyquist) * min(factor, 1.0)
    origin = np.interp(centres, [0.0, to, nyquist], [0.0, to / factor, nyquist])
    place = (hertz_to_mel(origin) - edges[1]) / (edges[2] - edges[1])
    place = np.clip(place, 0.0, config.bins - 1.0)
    below = np.minimum(place.astype(int), config.bins - 2)
    matrix = np.zeros((config.bins, config.bins), dtype=np.float32)
    band = np.arange(config.bins)
    matrix[below, band] = 1.0 - (place - below)
    matrix[below + 1, band] = place - below
    return matrix
