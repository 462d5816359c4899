"""Padding: where a padded batch is real, and how to turn sequences round without moving their padding."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_frames(lengths: Tensor, frames: int) -> Tensor:
    """Boolean mask (B, T), true where a frame belongs to its sequence; ``lengths`` is (B,), ``frames`` is T."""
    return torch.arange(frames, device=lengths.device) < lengths[:, None]


def reverse(sequences: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each sequence of (B, T, D) within its own length; padding stays where it is.

    Reversing twice gives the sequences back.
    """
    positions = torch.arange(sequences.shape[1], device=sequences.device)
    mirrored = lengths[:, None] - 1 - positions
    index = torch.where(mirrored >= 0, mirrored, positions)  # (B, T)
    return sequences.gather(1, index[:, :, None].expand_as(sequences))
