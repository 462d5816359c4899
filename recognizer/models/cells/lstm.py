"""The LSTM with forget gate, on the framework's kernels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import CellSettings
from recognizer.models.recurrence import Pass, Recurrence, State, last_states
from recognizer.models.sequence_dropout import SequenceDropout


class Cell(nn.LSTM, Recurrence):
    """LSTM with forget gate (Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000)::

        i, f, o = sigmoid(W x(t) + R h(t-1) + b)        g = tanh(W x(t) + R h(t-1) + b)
        c(t) = f c(t-1) + i g                           h(t) = o tanh(c(t))

    Runs on the kernels of ``torch.nn.LSTM``. They give the state only after the last frame of a padded batch and know neither zoneout nor
    recurrent dropout: with these, and to carry states, the operator of the peephole LSTM runs with peepholes of zero, which is the same.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, inputs: int, hidden: int, settings: CellSettings) -> None:
        nn.LSTM.__init__(self, inputs, hidden, batch_first=True)
        self.inputs, self.hidden, self.settings = inputs, hidden, settings
        # what is quietened in epochs without dropout; in evaluation mode the LSTM itself cannot learn on every device
        self.noise = SequenceDropout(settings.recurrent_dropout)
        with torch.no_grad():
            self.bias_ih_l0[hidden : 2 * hidden] += settings.forget_bias

    def initial(self, frames: Tensor) -> State:
        """Zeros (B, H): h and c."""
        return (self.weight_hh_l0.new_zeros(frames.shape[0], self.hidden),) * 2

    def forward(  # type: ignore[override]
        self, frames: Tensor, lengths: Tensor, state: State | None = None, carry: bool = False,
        below: Tensor | None = None, gaps: Tensor | None = None,
    ) -> Pass:  # fmt: skip
        """As :class:`Recurrence` says; the state is (h, c), each (B, H)."""
        if not carry and not self.settings.zoneout and not self.settings.recurrent_dropout:
            return Pass(nn.LSTM.forward(self, frames, None if state is None else (state[0][None], state[1][None]))[0])
        # numba takes a third of a second to import, which transcribing need not wait for
        from recognizer.models.cells.peephole import OPERATOR
        from recognizer.models.gated_cell import run_gated

        state = state if state is not None else self.initial(frames)
        states = run_gated(OPERATOR, *self._without_peepholes(frames), state, self.settings, self.noise.training)
        final = tuple(last_states(every, before, lengths) for every, before in zip(states, state, strict=True))
        return Pass(states[0], final if carry else None)

    def watch(self, frames: Tensor, lengths: Tensor, below: Tensor | None = None, gaps: Tensor | None = None) -> dict[str, Tensor]:
        """As :class:`Recurrence` says; the operator of the peephole LSTM shows what the framework's kernels do not."""
        from recognizer.models.cells.peephole import OPERATOR
        from recognizer.models.gated_cell import watch_gated

        return watch_gated(OPERATOR, *self._without_peepholes(frames), self.initial(frames), self.settings)

    def _without_peepholes(self, frames: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """What the operator wants of the frames (B, T, D) and of the weights."""
        projected = functional.linear(frames.transpose(0, 1), self.weight_ih_l0, self.bias_ih_l0 + self.bias_hh_l0)
        return projected, [self.weight_hh_l0], self.weight_hh_l0.new_zeros(3, self.hidden)
