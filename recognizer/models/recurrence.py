"""What every recurrent cell is to the encoder: one direction of one layer."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]  # what a cell carries from frame to frame; each (B, ...), the output h first where there is one


class Pass(NamedTuple):
    """What comes out of one direction of one layer.

    Attributes:
        outputs: (B, T, H); what stands in padded frames is not defined.
        state: after the last real frame of each sequence; None unless it was asked for.
        cells: cell states c (B, T, H), from cells that show them to the layer above; else None.
    """

    outputs: Tensor
    state: State | None = None
    cells: Tensor | None = None


class Recurrence(nn.Module):
    """One direction of one recurrent layer.

    Causal: an output depends on frames up to its own and on the initial state, so that padding behind a sequence cannot
    leak into it. The backward direction is the same module over reversed frames (:func:`recognizer.models.masking.reverse`).

    Attributes:
        inputs: size D of a frame.
        hidden: size H of an output frame.
    """

    shows_cells: ClassVar[bool] = False  # whether ``Pass.cells`` is there for the layer above
    reads_below: ClassVar[bool] = False  # whether ``below`` is wanted: the cell states of the layer underneath
    reads_gaps: ClassVar[bool] = False  # whether ``gaps`` is wanted: the time since the frame before

    inputs: int
    hidden: int

    def initial(self, frames: Tensor) -> State:
        """The state before the first of these frames (B, T, D): zeros, float32 unless the weights are float64."""
        raise NotImplementedError

    def forward(
        self, frames: Tensor, lengths: Tensor, state: State | None = None, carry: bool = False,
        below: Tensor | None = None, gaps: Tensor | None = None,
    ) -> Pass:  # fmt: skip
        """Run over a padded batch.

        Args:
            frames: (B, T, D).
            lengths: (B,), 0..T; a sequence of no frames keeps its state.
            state: to start from; None: :meth:`initial`.
            carry: return the state after each sequence's last real frame.
            below: (B, T, H), cell states of the layer underneath, if ``reads_below``; None: there is none.
            gaps: (B, T), time since the frame before, if ``reads_gaps``; None: 1 everywhere.
        """
        raise NotImplementedError

    def watch(self, frames: Tensor, lengths: Tensor, below: Tensor | None = None, gaps: Tensor | None = None) -> dict[str, Tensor]:
        """What goes on inside, by the names of the equations: gates first, then the cell state ``c`` and others, the output ``h`` last.

        Arguments as of :meth:`forward`; each is (B, T, H) or has a column a head, without gradient. A cell of whose inside nothing is
        known gives ``h``, and ``c`` where it shows it.
        """
        with torch.no_grad():
            done = self(frames, lengths, below=below, gaps=gaps)
        return {"h": done.outputs} if done.cells is None else {"c": done.cells, "h": done.outputs}


def last_states(states: Tensor, before: Tensor, lengths: Tensor) -> Tensor:
    """Of the states after each frame (B, T, ...), those after ``lengths`` (B,) frames; ``before`` (B, ...) where that is none."""
    every = torch.cat([before[:, None].to(states.dtype), states], dim=1)
    index = lengths.view(-1, *[1] * (every.dim() - 1)).expand(-1, 1, *every.shape[2:])
    return every.gather(1, index).squeeze(1)


def run_in_chunks(cell: Recurrence, frames: Tensor, lengths: Tensor, chunk: int, below: Tensor | None = None, gaps: Tensor | None = None) -> Pass:
    """Run over ``chunk`` frames at a time and cut the gradient between chunks: truncated back-propagation through time (Williams & Peng 1990).

    Outputs are those of one run over all frames; what is learnt of the past reaches back to the start of a chunk only.
    """
    state: State | None = None
    done: list[Pass] = []
    for start in range(0, frames.shape[1], chunk):
        part, part_below, part_gaps = (None if t is None else t[:, start : start + chunk] for t in (frames, below, gaps))
        assert part is not None
        done.append(cell(part, (lengths - start).clamp(0, part.shape[1]), state, carry=True, below=part_below, gaps=part_gaps))
        state = tuple(tensor.detach() for tensor in done[-1].state or ())
    cells = [d.cells for d in done if d.cells is not None]
    return Pass(torch.cat([d.outputs for d in done], dim=1), state, torch.cat(cells, dim=1) if cells else None)
