"""Columns of line images as feature frames, batched and padded."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from recognizer.config import LineFeatures
from recognizer.features.geometric import GEOMETRIC_DIM, geometric_features

Count = TypeVar("Count", int, Tensor)

LEAST_STD = 1e-5  # a feature that never varies is centred, not scaled


class LineColumns(nn.Module):
    """One frame a column: its pixels, or nine geometric numbers.

    Buffers ``mean`` and ``std``, (D,), are the corpus statistics; until :meth:`set_statistics` they change nothing.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: LineFeatures) -> None:
        """Make features of ``config.kind``; ``dim`` is their number D."""
        super().__init__()
        self.config = config
        self.dim = config.height if config.kind == "pixels" else GEOMETRIC_DIM
        self.register_buffer("mean", torch.zeros(self.dim))
        self.register_buffer("std", torch.ones(self.dim))

    def frames(self, width: Count) -> Count:
        """Frames that ``width`` columns give: as many."""
        return width

    def raw(self, lines: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features before normalisation.

        Args:
            lines: (B, W, H) uint8, columns first, ink 255 on paper 0, padded with anything.
            lengths: (B,) columns of each line.

        Returns:
            features (B, T = W, D) float32, zero beyond the lengths; and the lengths. Pixels lie in 0..1.
        """
        features = lines.float() / 255 if self.config.kind == "pixels" else geometric_features(lines, lengths)
        return self._blank_padding(features, lengths), lengths

    def forward(self, lines: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features, normalised by the corpus statistics if so configured; as :meth:`raw` otherwise."""
        features, lengths = self.raw(lines, lengths)
        if self.config.normalise == "corpus":
            features = self._blank_padding((features - self.mean) / self.std, lengths)
        return features, lengths

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Set the corpus mean and standard deviation, each (D,), of the raw features.

        Those of pixels are pooled over all rows, every row counting the same, so that a picture stays a picture
        and rows that are seldom inked are not blown up.
        """
        mean, std = mean.to(self.mean), std.to(self.std)
        if self.config.kind == "pixels":
            pooled = mean.double().mean()
            variance = (std.double().square() + mean.double().square()).mean() - pooled.square()
            mean, std = pooled.expand(self.dim), variance.clamp_min(0).sqrt().expand(self.dim)
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > LEAST_STD, std, 1.0))

    @staticmethod
    def _blank_padding(features: Tensor, lengths: Tensor) -> Tensor:
        real = torch.arange(features.shape[1], device=features.device) < lengths.to(features.device)[:, None]
        return torch.where(real[:, :, None], features, 0.0)
