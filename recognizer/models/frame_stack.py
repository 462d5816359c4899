"""Joining neighbouring frames, so that the recurrent layers take fewer, larger steps."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import Stack
from recognizer.models.convolution import Length, strided


class FrameStack(nn.Module):
    """Frames ``n*i .. n*i + n-1`` become frame ``i`` (Sak et al. 2015); the last one is filled up with zeros."""

    def __init__(self, config: Stack, inputs: int) -> None:
        super().__init__()
        self.stride = config.frames
        self.dim = inputs * config.frames

    def frames(self, features: Length) -> Length:
        """Frames that come out for so many feature frames."""
        return strided(features, self.stride)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D), zero beyond lengths (B,) -> (B, ceil(T/n), n*D) with lengths (B,)."""
        batch, frames, size = features.shape
        short = self.frames(frames) * self.stride - frames
        return functional.pad(features, (0, 0, 0, short)).reshape(batch, -1, self.stride * size), self.frames(lengths)
