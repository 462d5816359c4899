"""Self-attention over the encoder's output, for hybrids of recurrence and attention (Vaswani et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.models.masking import valid_frames
from recognizer.models.sequence_dropout import SequenceDropout
from recognizer.strict import require

PERIOD = 10_000  # of the slowest rotation, in frames over 2 pi


class SelfAttention(nn.Module):
    """Multi-head self-attention with a residual connection: y = x + A(norm(x)), then y + F(norm(y)) if there is a feed-forward part.

    Queries and keys are turned by angles proportional to their frame's position (Su et al. 2021, arXiv 2104.09864, section 3.2), so
    that a weight depends on the distance of two frames, not on where they stand. Normalisation stands before each part, which
    trains without a warm-up of its own (Xiong et al. 2020).

    Args:
        dim: size D of a frame, heads times an even number.
        heads: how many.
        dropout: probability, of attention weights and of what each part adds.
        feedforward: size of the hidden layer of the feed-forward part; 0: there is none.

    Raises:
        ConfigError: heads that do not divide D into even parts.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.0, feedforward: int = 0) -> None:
        super().__init__()
        require(heads >= 1 and dim % (2 * heads) == 0, "model.attention", f"{heads} heads do not divide a frame of {dim} into even parts")
        self.heads, self.probability = heads, dropout
        self.norm = nn.LayerNorm(dim)
        self.projection = nn.Linear(dim, 3 * dim)  # queries, keys, values
        self.output = nn.Linear(dim, dim)
        self.dropout = SequenceDropout(dropout)
        parts = (nn.LayerNorm(dim), nn.Linear(dim, feedforward), nn.ReLU(), nn.Linear(feedforward, dim)) if feedforward else ()
        self.feedforward = nn.Sequential(*parts)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D), lengths (B,) -> (B, T, D), zero beyond the lengths; what stands there in ``frames`` is not read."""
        valid = valid_frames(lengths, frames.shape[1])
        frames = frames.masked_fill(~valid[:, :, None], 0)
        frames = frames + self.dropout(self._attend(self.norm(frames), valid))
        if len(self.feedforward):
            frames = frames + self.dropout(self.feedforward(frames))
        return frames.masked_fill(~valid[:, :, None], 0)

    def _attend(self, frames: Tensor, valid: Tensor) -> Tensor:
        split = self.projection(frames).unflatten(2, (3, self.heads, -1))
        queries, keys, values = split.permute(2, 0, 3, 1, 4)  # each (B, heads, T, d)
        # a sequence of no frames may look at its padding: a row without any key has no softmax
        allowed = (valid | ~valid[:, :1])[:, None, None]
        probability = self.probability if self.training else 0.0
        read = functional.scaled_dot_product_attention(rotate(queries), rotate(keys), values, allowed, probability)
        return self.output(read.transpose(1, 2).flatten(2))


def rotate(vectors: Tensor) -> Tensor:
    """Turn the pairs (j, d/2 + j) of (B, heads, T, d) by t / 10000^(2j/d) in frame t; the products of two frames keep their distance only."""
    frames, size = vectors.shape[2:]
    half = size // 2
    rates = PERIOD ** (-torch.arange(half, device=vectors.device, dtype=torch.float64) / half)
    angles = torch.arange(frames, device=vectors.device, dtype=torch.float64)[:, None] * rates  # (T, d/2)
    cosines, sines = angles.cos().to(vectors.dtype), angles.sin().to(vectors.dtype)
    first, second = vectors[..., :half], vectors[..., half:]
    return torch.cat([first * cosines - second * sines, first * sines + second * cosines], dim=-1)
