"""Mean and standard deviation of features, gathered batch by batch."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_DEVIATION = 1e-5  # a dimension that varies less than this is constant


class RunningStatistics:
    """Mean and standard deviation of every feature dimension over all frames of a corpus.

    Batches are merged by the update of Chan, Golub & LeVeque (1983), in float64, so that neither the number of frames nor
    a mean far from zero costs precision. Padding is left out.

    Attributes:
        count: frames seen.
    """

    def __init__(self, dim: int) -> None:
        """Start empty, for ``dim`` feature dimensions."""
        self.count = 0
        self._mean = torch.zeros(dim, dtype=torch.float64)
        self._squares = torch.zeros(dim, dtype=torch.float64)  # sum of squared deviations from the mean

    def update(self, features: Tensor, lengths: Tensor) -> None:
        """Add a batch.

        Args:
            features: (B, T, D) before normalisation.
            lengths: (B,) frames of each item.

        Raises:
            ValueError: a real frame holds a NaN or an infinity.
        """
        inside = torch.arange(features.shape[1], device=features.device) < lengths.to(features.device)[:, None]  # (B, T)
        frames = features[inside].double().cpu()  # (frames, D)
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
        """Standard deviation (D,) in float32, 1 for a constant dimension; raises ``ValueError`` before the first frame."""
        self._require_frames()
        deviation = (self._squares / self.count).sqrt()
        return torch.where(deviation < SMALLEST_DEVIATION, 1.0, deviation).float()

    def _require_frames(self) -> None:
        if self.count == 0:
            raise ValueError("no frames to take statistics from")
