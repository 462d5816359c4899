"""Dropout for sequences."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SequenceDropout(nn.Module):
    """Dropout that drops the same cells in every frame of a sequence (Gal & Ghahramani 2016).

    One mask a sequence in place of one a frame; drawing the latter costs as much as a small recurrent layer on a CPU.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, D) -> same shape; the identity in evaluation mode."""
        if not self.training or self.probability == 0:
            return frames
        kept = torch.rand(frames.shape[0], 1, frames.shape[2], device=frames.device) >= self.probability
        return frames * (kept / (1 - self.probability)).to(frames.dtype)
