"""What every recurrent cell is to the encoder, one direction of one layer, and what the cells with compiled kernels share."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import CellSettings
from recognizer.models.kernels.driver import KernelRunner

State = tuple[Tensor, ...]  # what a cell carries from frame to frame; each (B, ...), the output h first where there is one


class CellOutput(NamedTuple):
    """What comes out of one direction of one layer.

    Attributes:
        outputs: (B, T, H); what stands in padded frames is not defined.
        state: after the last real frame of each sequence; None unless it was asked for.
        cells: cell states c (B, T, H), from cells that show them to the layer above; else None.
    """

    outputs: Tensor
    state: State | None = None
    cells: Tensor | None = None


class RecurrentCell(nn.Module):
    """One direction of one recurrent layer.

    Causal: an output depends on frames up to its own and on the initial state, so that padding behind a sequence cannot leak into it.
    The backward direction is the same module over reversed frames (:func:`recognizer.models.masking.reverse`).

    Attributes:
        inputs: size D of a frame.
        hidden: size H of an output frame.
    """

    shows_cells: ClassVar[bool] = False  # whether the output has ``cells`` for the layer above
    reads_below: ClassVar[bool] = False  # whether ``below`` is used: the cell states of the layer underneath
    reads_gaps: ClassVar[bool] = False  # whether ``gaps`` is used: the time since the frame before

    inputs: int
    hidden: int

    def initial(self, frames: Tensor) -> State:
        """The state before the first of these frames (B, T, D): zeros, float32 unless the weights are float64."""
        raise NotImplementedError

    def forward(
        self, frames: Tensor, lengths: Tensor, state: State | None = None, carry: bool = False,
        below: Tensor | None = None, gaps: Tensor | None = None,
    ) -> CellOutput:  # fmt: skip
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

    def advance(self, frames: Tensor, state: State | None = None, below: Tensor | None = None) -> CellOutput:
        """Run over frames (B, T, D) without padding, at least one, and return the state after the last: how a recording that goes on is read."""
        lengths = torch.full((frames.shape[0],), frames.shape[1], device=frames.device)
        return self(frames, lengths, state, carry=True, below=below)

    def record(self, frames: Tensor, lengths: Tensor, below: Tensor | None = None, gaps: Tensor | None = None) -> dict[str, Tensor]:
        """Gates and states by the names of the equations: gates first, then the cell state ``c`` and others, the output ``h`` last.

        Arguments as of :meth:`forward`; each result is (B, T, H) or has a column a head, without gradient. A cell that does not override
        this gives ``h``, and ``c`` where it shows it.
        """
        with torch.no_grad():
            done = self(frames, lengths, below=below, gaps=gaps)
        return {"h": done.outputs} if done.cells is None else {"c": done.cells, "h": done.outputs}


class CompiledCell(RecurrentCell):
    """A cell that a :class:`recognizer.models.kernels.driver.KernelRunner` runs. Its state is (h, c, ...), each (B, H)."""

    runner: ClassVar[KernelRunner]
    num_states: ClassVar[int] = 2
    settings: CellSettings

    def matrices(self) -> list[Tensor]:
        """Recurrent matrices [(R, H)], or kernels of convolutions."""
        raise NotImplementedError

    def weights(self) -> Tensor:
        """Element-wise weights (W, H)."""
        raise NotImplementedError

    def project(self, frames: Tensor, below: Tensor | None, gaps: Tensor | None) -> Tensor:
        """(T, B, D) to (T, B, P), all frames in one product; ``below`` is (T, B, H) and ``gaps`` (T, B)."""
        raise NotImplementedError

    def choose_runner(self, projected: Tensor) -> KernelRunner:
        """The runner for projected frames."""
        return self.runner

    def is_random(self) -> bool:
        """Whether zoneout and dropout are drawn, as in training."""
        return self.training

    def initial(self, frames: Tensor) -> State:
        """Zeros (B, H), as many as the cell has states."""
        return (self.weights().new_zeros(frames.shape[0], self.hidden),) * self.num_states

    def forward(
        self, frames: Tensor, lengths: Tensor, state: State | None = None, carry: bool = False,
        below: Tensor | None = None, gaps: Tensor | None = None,
    ) -> CellOutput:  # fmt: skip
        """As :class:`RecurrentCell` says."""
        projected = self._project(frames, below, gaps)
        state = state if state is not None else self.initial(frames)
        runner, training = self.choose_runner(projected), self.is_random()
        states = runner.run(projected, self.matrices(), self.weights(), state, self.settings, training)
        final = tuple(last_states(after, before, lengths) for after, before in zip(states, state, strict=True)) if carry else None
        return CellOutput(states[0], final, states[1] if self.shows_cells else None)

    def record(self, frames: Tensor, lengths: Tensor, below: Tensor | None = None, gaps: Tensor | None = None) -> dict[str, Tensor]:
        """As :class:`RecurrentCell` says: the kernel's gates, then the states."""
        projected = self._project(frames, below, gaps)
        return self.choose_runner(projected).record(projected, self.matrices(), self.weights(), self.initial(frames), self.settings)

    def _project(self, frames: Tensor, below: Tensor | None, gaps: Tensor | None) -> Tensor:
        below, gaps = (None if tensor is None else tensor.transpose(0, 1) for tensor in (below, gaps))
        return self.project(frames.transpose(0, 1), below, gaps)


class GatedCell(CompiledCell):
    """A cell of gates, each with rows of one input matrix, one recurrent matrix and one bias; it may have element-wise weights.

    Weights are drawn from [-1/sqrt(H), 1/sqrt(H)] as in ``torch.nn.LSTM``, whose names and order of blocks they keep.
    """

    blocks: tuple[str, ...]  # of the projected input, each H wide; "f" is a forget gate
    recurrent_blocks: int | None = None  # how many the recurrent matrix has; None: as many
    peepholes: int = 0  # rows of element-wise weights

    def __init__(self, inputs: int, hidden: int, settings: CellSettings) -> None:
        super().__init__()
        self.inputs, self.hidden, self.settings = inputs, hidden, settings
        self.weight_ih_l0 = self._draw(len(self.blocks) * hidden, inputs)
        self.weight_hh_l0 = self._draw((len(self.blocks) if self.recurrent_blocks is None else self.recurrent_blocks) * hidden, hidden)
        self.bias_l0 = self._draw(len(self.blocks) * hidden)
        self.peephole_l0 = self._draw(self.peepholes, hidden) if self.peepholes else None
        if "f" in self.blocks:
            start = self.blocks.index("f") * hidden
            with torch.no_grad():
                self.bias_l0[start : start + hidden] += settings.forget_bias

    def _draw(self, *shape: int) -> nn.Parameter:
        bound = 1 / math.sqrt(self.hidden)
        return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))

    def matrices(self) -> list[Tensor]:
        """The recurrent matrix (R, H)."""
        return [self.weight_hh_l0]

    def weights(self) -> Tensor:
        """Element-wise weights (W, H); zeros (3, H) where there are none."""
        return self.peephole_l0 if self.peephole_l0 is not None else self.weight_hh_l0.new_zeros(3, self.hidden)

    def project(self, frames: Tensor, below: Tensor | None, gaps: Tensor | None) -> Tensor:
        """As :class:`CompiledCell` says, by the input matrix."""
        return functional.linear(frames, self.weight_ih_l0, self.bias_l0)


def last_states(states: Tensor, before: Tensor, lengths: Tensor) -> Tensor:
    """Of the states after each frame (B, T, ...), those after ``lengths`` (B,) frames; ``before`` (B, ...) where that is none."""
    every = torch.cat([before[:, None].to(states.dtype), states], dim=1)
    index = lengths.view(-1, *[1] * (every.dim() - 1)).expand(-1, 1, *every.shape[2:])
    return every.gather(1, index).squeeze(1)


def run_in_chunks(
    cell: RecurrentCell, frames: Tensor, lengths: Tensor, chunk: int, below: Tensor | None = None, gaps: Tensor | None = None
) -> CellOutput:
    """Run over ``chunk`` frames at a time and cut the gradient between chunks: truncated back-propagation through time (Williams & Peng 1990).

    Outputs are those of one run over all frames; gradients reach back to the start of a chunk only.
    """
    state: State | None = None
    done: list[CellOutput] = []
    for start in range(0, frames.shape[1], chunk):
        part, part_below, part_gaps = (None if t is None else t[:, start : start + chunk] for t in (frames, below, gaps))
        assert part is not None
        done.append(cell(part, (lengths - start).clamp(0, part.shape[1]), state, carry=True, below=part_below, gaps=part_gaps))
        state = tuple(tensor.detach() for tensor in done[-1].state or ())
    cells = [d.cells for d in done if d.cells is not None]
    return CellOutput(torch.cat([d.outputs for d in done], dim=1), state, torch.cat(cells, dim=1) if cells else None)
