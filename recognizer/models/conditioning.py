"""A CTC output between two layers, whose posteriors the layer above reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Conditioning(nn.Module):
    """y = x + W p with p = softmax(V x + b), frame by frame (self-conditioned CTC: Nozaki & Komatsu 2021, arXiv 2104.02724).

    A CTC loss trains p to be a first reading of the sequence; the layer above corrects it and knows, unlike the output layer
    of plain CTC, what was read around each frame. W begins at zero, so that a trained encoder goes on as it was.

    Args:
        dim: size D of a frame.
        labels: V, size of the alphabet with the blank.
    """

    def __init__(self, dim: int, labels: int) -> None:
        super().__init__()
        self.output = nn.Linear(dim, labels)
        self.back = nn.Linear(labels, dim, bias=False)
        nn.init.zeros_(self.back.weight)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) -> the same shape, and log p (B, T, V) in float32, whatever the autocast precision."""
        with torch.autocast(frames.device.type, enabled=False):
            log_probs = self.output(frames.float()).log_softmax(dim=-1)
        return frames + self.back(log_probs.exp()), log_probs
