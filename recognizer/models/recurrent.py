"""Stacked recurrent layers over padded batches, of any cell, in one direction or both."""

from __future__ import annotations

from itertools import repeat

import torch
from torch import Tensor, nn

from recognizer.config import ModelConfig
from recognizer.models.attention import SelfAttention
from recognizer.models.cells import build_cell
from recognizer.models.conditioning import Conditioning
from recognizer.models.highway import Highway
from recognizer.models.masking import reverse, valid_frames
from recognizer.models.recurrence import Pass, Recurrence, State, run_in_chunks
from recognizer.models.sequence_dropout import SequenceDropout


class RecurrentLayer(nn.Module):
    """One layer: a forward cell and, unless told otherwise, a backward one over the same frames (Graves & Schmidhuber 2005).

    The backward direction reads each sequence reversed within its own length, so that neither direction meets padding
    before the last real frame. The result is that of a packed sequence, but on the CPU packing leaves the fused kernels
    and costs 2.5 to 9 times as much.

    Args:
        forwards: the cell that reads ahead.
        backwards: the cell that reads from the end; None: one direction only.
        truncate: frames after which the gradient is cut; 0: never.
        projection: what both read in place of the frames, a linear map of each to fewer numbers; None: the frames themselves.
    """

    def __init__(self, forwards: Recurrence, backwards: Recurrence | None, truncate: int = 0, projection: nn.Linear | None = None) -> None:
        super().__init__()
        self.projection = projection
        self.forwards = forwards
        self.backwards = backwards
        self.truncate = truncate
        self.dim = forwards.hidden * (1 if backwards is None else 2)

    def forward(
        self, frames: Tensor, lengths: Tensor, below: Tensor | None = None, gaps: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, D) with lengths (B,) -> (B, T, H or 2H), and the cell states likewise if the cell shows them.

        What stands in padded frames is not defined. ``below`` are the cell states of the layer underneath, forward ones in front.
        """
        frames = self.reduce(frames)
        parts = [None, None] if below is None else below.split(self.forwards.hidden, dim=2)
        ahead = self._run(self.forwards, frames, lengths, parts[0], gaps)
        if self.backwards is None:
            return ahead.outputs, ahead.cells
        under = None if parts[1] is None else reverse(parts[1], lengths)
        turned_gaps = None if gaps is None else _between(gaps, lengths)
        back = self._run(self.backwards, reverse(frames, lengths), lengths, under, turned_gaps)
        outputs = torch.cat([ahead.outputs, reverse(back.outputs, lengths)], dim=2)
        if ahead.cells is None or back.cells is None:
            return outputs, None
        return outputs, torch.cat([ahead.cells, reverse(back.cells, lengths)], dim=2)

    def reduce(self, frames: Tensor) -> Tensor:
        """(B, T, D) -> what the cells read of it."""
        return frames if self.projection is None else self.projection(frames)

    def _run(self, cell: Recurrence, frames: Tensor, lengths: Tensor, below: Tensor | None, gaps: Tensor | None) -> Pass:
        if self.truncate and frames.shape[1] > self.truncate:
            return run_in_chunks(cell, frames, lengths, self.truncate, below, gaps)
        return cell(frames, lengths, below=below, gaps=gaps)


def _between(gaps: Tensor, lengths: Tensor) -> Tensor:
    """The time since the frame before (B, T) as one sees it who reads from the end: the gap behind each frame, reversed."""
    after = torch.cat([gaps[:, 1:], torch.ones_like(gaps[:, :1])], dim=1)
    followed = valid_frames(lengths - 1, gaps.shape[1])  # behind the last frame lies nothing, whatever the padding says
    return reverse(torch.where(followed, after, 1)[:, :, None], lengths)[:, :, 0]


class RecurrentStack(nn.Module):
    """Recurrent layers, each reading both directions of the one below (Graves, Mohamed & Hinton 2013, section 3).

    Args:
        inputs: size D of a frame.
        config: cell, size H, depth, directions, dropout between layers and after the last, highway layers, conditioning, attention.
        labels: V, size of the alphabet with the blank; wanted for conditioning only.
    """

    def __init__(self, inputs: int, config: ModelConfig, labels: int = 0) -> None:
        super().__init__()
        width = config.hidden * (1 + config.bidirectional)
        sizes = [inputs] + [width] * (config.layers - 1)
        self.layers = nn.ModuleList(
            RecurrentLayer(
                build_cell(config.cell, rank or size, config.hidden, config.recurrent),
                build_cell(config.cell, rank or size, config.hidden, config.recurrent) if config.bidirectional else None,
                config.truncate,
                nn.Linear(size, rank, bias=False) if rank else None,
            )
            for size, rank in zip(sizes, config.ranks or repeat(0, config.layers), strict=True)
        )
        self.highways = nn.ModuleList(Highway(width) for _ in range(config.layers if config.highway else 0))
        self.conditions = nn.ModuleList(Conditioning(width, labels) for _ in range(config.layers - 1 if config.conditioning else 0))
        self.attention = SelfAttention(width, config.attention, config.dropout) if config.attention else None
        self.dropout = SequenceDropout(config.dropout)
        self.dim = width

    def forward(self, frames: Tensor, lengths: Tensor, gaps: Tensor | None = None) -> Tensor:
        """(B, T, D) with lengths (B,) and gaps (B, T), time since the frame before, -> (B, T, H or 2H), zero in padded frames."""
        return self.read(frames, lengths, gaps)[0]

    def read(self, frames: Tensor, lengths: Tensor, gaps: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """As :meth:`forward`, and what was read between the layers, if they are conditioned on it: log-probs (B, T, V) each."""
        cells, readings = None, []
        for number, layer in enumerate(self.layers):
            frames, cells = layer(frames, lengths, cells, gaps)
            if len(self.highways):
                frames = self.highways[number](frames)
            frames = self.dropout(frames)
            if number < len(self.conditions):
                frames, reading = self.conditions[number](frames)
                readings.append(reading)
        if self.attention is not None:
            return self.attention(frames, lengths), readings
        return frames * valid_frames(lengths, frames.shape[1])[:, :, None], readings

    def stream(self, frames: Tensor, lengths: Tensor, states: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """As :meth:`forward` over the next frames of longer sequences, from and to the layers' states; None: the beginning.

        Raises:
            ValueError: a layer reads backwards or attends to the whole sequence, and so needs its end.
        """
        if self.attention is not None or any(layer.backwards is not None for layer in self.layers):
            raise ValueError("a bidirectional or attending encoder needs whole sequences")
        after: list[State] = []
        cells = None
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, RecurrentLayer)
            done = layer.forwards(layer.reduce(frames), lengths, None if states is None else states[number], carry=True, below=cells)
            after.append(done.state or ())
            cells = done.cells
            frames = self.dropout(self.highways[number](done.outputs) if len(self.highways) else done.outputs)
            if number < len(self.conditions):
                frames, _ = self.conditions[number](frames)
        return frames * valid_frames(lengths, frames.shape[1])[:, :, None], after
