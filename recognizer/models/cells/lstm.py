"""The LSTM with forget gate, on torch's kernels."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import CellSettings
from recognizer.models.encoder import VariationalDropout
from recognizer.models.kernels.driver import KernelRunner
from recognizer.models.recurrent_cell import CellOutput, CompiledCell, State
from recognizer.utils.device import has_bf16


class Cell(nn.LSTM, CompiledCell):
    """LSTM with forget gate (Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000)::

        i, f, o = sigmoid(W x(t) + R h(t-1) + b)        g = tanh(W x(t) + R h(t-1) + b)
        c(t) = f c(t-1) + i g                           h(t) = o tanh(c(t))

    Runs on the kernels of ``torch.nn.LSTM``. They give the state only after the last frame of a padded batch and know neither zoneout nor
    recurrent dropout: with these, to carry states, and to record gates, the peephole LSTM runs with peepholes of zero, which is the same.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, inputs: int, hidden: int, settings: CellSettings) -> None:
        nn.LSTM.__init__(self, inputs, hidden, batch_first=True)
        self.inputs, self.hidden, self.settings = inputs, hidden, settings
        # what clean epochs put into evaluation mode: the LSTM itself cannot learn in that mode on every device
        self.noise = VariationalDropout(settings.recurrent_dropout)
        with torch.no_grad():
            self.bias_ih_l0[hidden : 2 * hidden] += settings.forget_bias

    def choose_runner(self, projected: Tensor) -> KernelRunner:
        """That of the peephole LSTM."""
        from recognizer.models.cells.peephole import Cell as Peephole  # numba takes a third of a second to import

        return Peephole.runner

    def is_random(self) -> bool:
        """As :class:`CompiledCell` says."""
        return self.noise.training

    def matrices(self) -> list[Tensor]:
        """The recurrent matrix (4H, H)."""
        return [self.weight_hh_l0]

    def weights(self) -> Tensor:
        """Peepholes of zero, (3, H)."""
        return self.weight_hh_l0.new_zeros(3, self.hidden)

    def project(self, frames: Tensor, below: Tensor | None, gaps: Tensor | None) -> Tensor:
        """As :class:`CompiledCell` says, by the input matrix."""
        return functional.linear(frames, self.weight_ih_l0, self.bias_ih_l0 + self.bias_hh_l0)

    def forward(
        self, frames: Tensor, lengths: Tensor, state: State | None = None, carry: bool = False,
        below: Tensor | None = None, gaps: Tensor | None = None,
    ) -> CellOutput:  # fmt: skip
        """As :class:`CompiledCell` says."""
        if carry or self.settings.zoneout or self.settings.recurrent_dropout:
            return CompiledCell.forward(self, frames, lengths, state, carry)
        return CellOutput(self._run(frames, state)[0])

    def advance(self, frames: Tensor, state: State | None = None, below: Tensor | None = None) -> CellOutput:
        """As :class:`RecurrentCell` says, on torch's kernels, which take less time to begin with a few frames."""
        if self.settings.zoneout or self.is_random():
            return super().advance(frames, state, below)
        outputs, (h, c) = self._run(frames, state)
        return CellOutput(outputs, (h[0], c[0]))

    def _run(self, frames: Tensor, state: State | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Outputs and the state after the last frame of the padded batch, by torch."""
        exact = torch.is_autocast_enabled(frames.device.type) and not has_bf16(frames.device)  # then its kernels know float32 only
        with torch.autocast(frames.device.type, enabled=False) if exact else nullcontext():
            frames = frames.float() if exact else frames
            return nn.LSTM.forward(self, frames, None if state is None else (state[0][None], state[1][None]))
