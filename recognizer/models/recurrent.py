"""Stacked bidirectional LSTM over padded batches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recognizer.models.masking import reverse, valid_frames


class BidirectionalLayer(nn.Module):
    """One forward and one backward LSTM over the same frames (Graves & Schmidhuber 2005).

    The backward direction reads each sequence reversed within its own length, so that neither direction meets padding
    before the last real frame. The result is that of a packed sequence, but on the CPU packing leaves the fused kernels
    and costs 2.5 to 9 times as much.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.forwards = nn.LSTM(inputs, hidden, batch_first=True)
        self.backwards = nn.LSTM(inputs, hidden, batch_first=True)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D) with lengths (B,) -> (B, T, 2H); what stands in padded frames is not defined."""
        ahead, _ = self.forwards(frames)
        back, _ = self.backwards(reverse(frames, lengths))
        return torch.cat([ahead, reverse(back, lengths)], dim=2)


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


class BidirectionalStack(nn.Module):
    """Bidirectional LSTM layers, each reading both directions of the one below (Graves, Mohamed & Hinton 2013, section 3).

    Args:
        inputs: size D of a frame.
        hidden: cells H per direction.
        layers: depth.
        dropout: probability between layers and after the last one.
    """

    def __init__(self, inputs: int, hidden: int, layers: int, dropout: float = 0.0) -> None:
        super().__init__()
        sizes = [inputs] + [2 * hidden] * (layers - 1)
        self.layers = nn.ModuleList(BidirectionalLayer(size, hidden) for size in sizes)
        self.dropout = SequenceDropout(dropout)
        self.dim = 2 * hidden

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D) with lengths (B,) -> (B, T, 2H), zero in padded frames."""
        for layer in self.layers:
            frames = self.dropout(layer(frames, lengths))
        return frames * valid_frames(lengths, frames.shape[1])[:, :, None]
