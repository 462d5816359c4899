"""Batch normalisation whose statistics ignore padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MaskedBatchNorm(nn.Module):
    """Batch normalisation (Ioffe & Szegedy 2015) over (B, C, F, T) maps that are zero in padded frames.

    ``nn.BatchNorm2d`` counts padding as data, so that its statistics depend on how a batch was put together. Here the
    sums run over real frames only. Statistics are float32 whatever the precision of the maps.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        self.momentum = momentum
        self.epsilon = epsilon

    def forward(self, maps: Tensor, lengths: Tensor) -> Tensor:
        """(B, C, F, T), zero beyond lengths (B,) -> same shape; padded frames are *not* zero any more."""
        mean, variance = self._measure(maps, lengths) if self.training else (self.mean, self.variance)
        scale, shift = self.affine(mean, variance)
        return maps * scale.to(maps.dtype)[:, None, None] + shift.to(maps.dtype)[:, None, None]

    def affine(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """The factor and the summand (C,) of each channel that normalisation by these statistics comes down to."""
        scale = self.weight * torch.rsqrt(variance + self.epsilon)
        return scale, self.bias - mean * scale

    def _measure(self, maps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        count = lengths.sum() * maps.shape[2]
        exact = maps.float()
        mean = exact.sum((0, 2, 3)) / count
        variance = ((exact * exact).sum((0, 2, 3)) / count - mean * mean).clamp_min(0)
        with torch.no_grad():
            self.mean.lerp_(mean, self.momentum)
            self.variance.lerp_(variance, self.momentum)
        return mean, variance
