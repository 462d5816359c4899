"""Corpus statistics of features: gathered batch by batch, applied by every feature extractor."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

MIN_DEVIATION = 1e-5  # a column that varies less is constant: it is centered, not scaled

Count = TypeVar("Count", int, Tensor)


def real_frames(features: Tensor, lengths: Tensor) -> Tensor:
    """Whether a frame of (B, T, D) features lies within its item of (B,) lengths and not in the padding, (B, T, 1)."""
    return (torch.arange(features.shape[1], device=features.device) < lengths.to(features.device)[:, None])[..., None]


class RunningStatistics:
    """Mean and standard deviation of every feature column over all frames of a corpus.

    Batches are merged by the update of Chan, Golub & LeVeque (1983), in float64, so that neither the number of frames nor
    a mean far from zero costs precision. Padding is left out.

    Attributes:
        count: frames seen.
    """

    def __init__(self, dim: int) -> None:
        """Start empty, for ``dim`` feature columns."""
        self.count = 0
        self._mean = torch.zeros(dim, dtype=torch.float64)
        self._squares = torch.zeros(dim, dtype=torch.float64)  # sum of squared deviations from the mean

    def update(self, features: Tensor, lengths: Tensor) -> None:
        """Add a batch of features (B, T, D) before normalization with lengths (B,).

        Raises:
            ValueError: a real frame holds a NaN or an infinity.
        """
        frames = features[real_frames(features, lengths)[..., 0]].double().cpu()  # (frames, D)
        if len(frames) == 0:
            return
        if not bool(torch.isfinite(frames).all()):
            raise ValueError("features: NaN or infinite values")
        mean = frames.mean(0)
        total = self.count + len(frames)
        shift = mean - self._mean
        self._squares += (frames - mean).square().sum(0) + shift.square() * (self.count * len(frames) / total)
        self._mean += shift * (len(frames) / total)
        self.count = total

    @property
    def mean(self) -> Tensor:
        """Mean (D,) in float32; raises ``ValueError`` before the first frame."""
        self._require_frames()
        return self._mean.float()

    @property
    def std(self) -> Tensor:
        """Standard deviation (D,) in float32, 1 for a constant column; raises ``ValueError`` before the first frame."""
        self._require_frames()
        deviation = (self._squares / self.count).sqrt()
        return torch.where(deviation < MIN_DEVIATION, 1.0, deviation).float()

    def _require_frames(self) -> None:
        if self.count == 0:
            raise ValueError("no frames to take statistics from")


class FeatureExtractor(nn.Module):
    """Base of the feature extractors: turns padded inputs into feature frames (B, T, D) that do not depend on the batch.

    Attributes:
        dim: D, columns of the features.
        mean, std: (D,) buffers for ``normalize="corpus"``, kept with the weights; they change nothing until they are set.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, dim: int, normalize: str) -> None:
        """Features of ``dim`` columns; ``normalize="corpus"`` applies the corpus statistics."""
        super().__init__()
        self.dim, self.normalize = dim, normalize
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    def frames(self, size: Count) -> Count:
        """Number of frames of an input of so many samples, columns or points; takes an int or a LongTensor."""
        return size

    def raw(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features before normalization.

        Args:
            inputs: (B, N, ...), padded with anything.
            lengths: (B,) samples, columns or points of each item.

        Returns:
            Features (B, T, D) in float32, zero in the padding, and the frames of each item, (B,).
        """
        raise NotImplementedError

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`raw`, normalized as the settings say; padding is exactly zero."""
        features, frames = self.raw(inputs, lengths)
        if self.normalize == "corpus":
            features = torch.where(real_frames(features, frames), (features - self.mean.float()) / self.std.float(), 0.0)
        return features, frames

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Set the corpus mean and standard deviation, each (D,), of the raw features; constant columns are not scaled.

        Raises:
            ValueError: a wrong shape, a value that is not finite, or a negative deviation.
        """
        for name, value in (("mean", mean), ("std", std)):
            if value.shape != (self.dim,):
                raise ValueError(f"{name}: expected {self.dim} values, found shape {tuple(value.shape)}")
            if not bool(torch.isfinite(value).all()) or (name == "std" and bool((value < 0).any())):
                raise ValueError(f"{name}: values must be finite, deviations not negative")
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > MIN_DEVIATION, std, 1.0))
