"""Highway layer: each frame chooses how much of it is transformed (Srivastava, Greff & Schmidhuber 2015)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Highway(nn.Module):
    """y = t * tanh(W x + b) + (1 - t) * x with t = sigmoid(Wt x + bt), frame by frame (arXiv 1505.00387, equation 3).

    tanh, because what it carries along are outputs of recurrent layers, which lie in (-1, 1) too.

    Args:
        dim: size D of a frame.
        bias: starting value of bt; negative, so that a new layer lets its frames through (section 2.2 of the paper).
    """

    def __init__(self, dim: int, bias: float = -2.0) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, 2 * dim)  # the transform, then its gate
        nn.init.constant_(self.linear.bias[dim:], bias)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, D) -> same shape; each frame comes from its own only."""
        transform, gate = self.linear(frames).chunk(2, dim=-1)
        return frames + torch.sigmoid(gate) * (torch.tanh(transform) - frames)
