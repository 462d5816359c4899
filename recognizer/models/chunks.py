"""Chunks of a recording that the backward direction of a layer reads one by one, so that a network can write while somebody speaks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from recognizer.config import ModelConfig


@dataclass(frozen=True)
class Chunks:
    """How the frames of one layer are divided; chunks begin at the frames ``n * size - offset``.

    In a latency-controlled bidirectional layer (Zhang et al. 2016, arXiv 1510.08983; Xue & Yan 2017) the forward direction carries its state from
    chunk to chunk, and the backward direction begins anew, from zero, some frames beyond the end of each. There every layer runs over the
    frames ahead again. Here each of L layers looks R / L frames ahead, and the chunks of a layer end as many frames before those of the layer
    below: when a chunk of the lowest layer is complete, so is one of every layer, R frames earlier at the top, and nothing is computed twice in
    the forward direction.

    Attributes:
        size: frames of a chunk.
        ahead: frames beyond its end that the backward direction reads first.
        offset: frames by which the first chunk is shorter than the others.
    """

    size: int
    ahead: int
    offset: int

    @classmethod
    def of_layer(cls, config: ModelConfig, number: int, frame_ms: float) -> Chunks | None:
        """Those of the layer of this number, 0 the lowest, with frames of this duration; None where the settings have no chunks.

        A chunk is rounded to whole frames, one at least, and what each layer looks ahead likewise.
        """
        if config.chunk_ms == 0:
            return None
        size, ahead = max(1, round(config.chunk_ms / frame_ms)), round(config.lookahead_ms / frame_ms / config.num_layers)
        return cls(size, ahead, (number + 1) * ahead % size)


def cut_windows(frames: Tensor, lengths: Tensor, chunks: Chunks) -> tuple[Tensor, Tensor]:
    """Every chunk with the frames ahead of it, zero where there are none, as items of a batch: (B, T, D), lengths (B,) -> (B * N, W, D), (B * N,).

    The first chunk begins with ``offset`` zeros: the backward direction meets them last.
    """
    count = max(1, -(-(frames.shape[1] + chunks.offset) // chunks.size))
    width = chunks.size + chunks.ahead
    behind = count * chunks.size + chunks.ahead - chunks.offset - frames.shape[1]
    padded = functional.pad(frames, (0, 0, chunks.offset, behind))
    windows = padded.unfold(1, width, chunks.size).transpose(2, 3)  # (B, N, W, D)
    starts = chunks.size * torch.arange(count, device=frames.device)
    spans = (lengths[:, None] + chunks.offset - starts).clamp(0, width).flatten()
    return windows.flatten(0, 1), spans


def join_windows(windows: Tensor, shape: torch.Size, chunks: Chunks) -> Tensor:
    """The chunks of such windows (B * N, W, H) one after the other, without the frames ahead: (B, T, H), ``shape`` being (B, T)."""
    frames = windows[:, : chunks.size].unflatten(0, (shape[0], -1)).flatten(1, 2)
    return frames[:, chunks.offset : chunks.offset + shape[1]]
