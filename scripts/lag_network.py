"""The network that learns the tasks of ``lag_tasks``: one cell and a linear layer; and the cell without gates to measure the others against."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recognizer.config import CellSettings
from recognizer.models.cells import build_cell
from recognizer.models.gated_cell import GatedCell
from recognizer.models.recurrence import Pass, Recurrence, State, last_states

CONTROL = "rnn"  # the name of the network without gates


class PlainRnn(nn.RNN, Recurrence):
    """The network without gates (Elman 1990): h(t) = tanh(W x(t) + R h(t-1) + b). The state is (h,)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        nn.RNN.__init__(self, inputs, hidden, batch_first=True)
        self.inputs, self.hidden = inputs, hidden

    def initial(self, frames: Tensor) -> State:
        """Zeros (B, H)."""
        return (frames.new_zeros(frames.shape[0], self.hidden),)

    def forward(  # type: ignore[override]
        self, frames: Tensor, lengths: Tensor, state: State | None = None, carry: bool = False,
        below: Tensor | None = None, gaps: Tensor | None = None,
    ) -> Pass:  # fmt: skip
        """See :meth:`Recurrence.forward`."""
        before = (self.initial(frames) if state is None else state)[0]
        outputs = nn.RNN.forward(self, frames, before[None])[0]
        return Pass(outputs, (last_states(outputs, before, lengths),) if carry else None)


class Reader(nn.Module):
    """One direction of one layer and a linear layer on its outputs.

    Args:
        cell: name of the cell, or CONTROL.
        inputs: D.
        hidden: H.
        outputs: O.
        remember: added to the bias of forget gates and taken from that of input gates at the start, so that a cell keeps what it holds
            and takes in little until it has learnt what; exp(remember) is about the number of steps that it remembers untaught.
    """

    def __init__(self, cell: str, inputs: int, hidden: int, outputs: int, remember: float) -> None:
        super().__init__()
        settings = CellSettings(forget_bias=remember, positions=1, kernel=1)
        self.cell = PlainRnn(inputs, hidden) if cell == CONTROL else build_cell(cell, inputs, hidden, settings)
        self.answer = nn.Linear(hidden, outputs)
        bias = self.cell.bias_l0 if isinstance(self.cell, GatedCell) and "i" in self.cell.blocks else getattr(self.cell, "bias_ih_l0", None)
        if isinstance(bias, nn.Parameter) and cell != CONTROL:  # every such cell's first block is the input gate
            with torch.no_grad():
                bias[:hidden] -= remember

    def forward(self, frames: Tensor, lengths: Tensor, state: State | None = None, carry: bool = False) -> Pass:
        """(B, T, D) to answers (B, T, O), with the state if asked for."""
        done = self.cell(frames, lengths, state, carry)
        return Pass(self.answer(done.outputs), done.state)
