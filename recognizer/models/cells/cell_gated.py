"""The LSTM whose gates see the cell state in place of the output."""

from __future__ import annotations

import torch
from torch import Tensor

from recognizer.config import CellSettings
from recognizer.models.kernels.driver import KernelRunner
from recognizer.models.kernels.lstm import BLOCKS, lstm_kernel
from recognizer.models.recurrent_cell import GatedCell


class Cell(GatedCell):
    """The form of the peephole LSTM in which c(t-1) takes the place of h(t-1) altogether, through whole matrices::

        i, f, o = sigmoid(W x(t) + U c(t-1) + b)        c(t) = f c(t-1) + i tanh(W x(t) + b)
        h(t) = o tanh(c(t))

    A reading of Gers & Schmidhuber 2001 that has spread through textbooks and encyclopedias; the paper's own peepholes are those of the
    cell ``peephole``. A quarter fewer recurrent weights than in the LSTM, because the cell's input sees the frame only.

    U starts at a tenth of what it would be in the LSTM: c has no bounds as h has, and is many times as large. With all weights three times
    those of the start the gradient from an output to a frame 300 earlier is three times that to its own, where the LSTM's has vanished;
    with U a tenth it vanishes too.
    """

    blocks = BLOCKS["gate"]
    recurrent_blocks = 3  # i, f, o
    runner = KernelRunner(lstm_kernel("cell_gated_lstm", source=1))

    def __init__(self, inputs: int, hidden: int, settings: CellSettings) -> None:
        super().__init__(inputs, hidden, settings)
        with torch.no_grad():
            self.weight_hh_l0.mul_(0.1)

    def matrices(self) -> list[Tensor]:
        """One matrix (4H, H), whose rows for g are zeros."""
        gates, out = self.weight_hh_l0.split([2 * self.hidden, self.hidden])
        return [torch.cat([gates, torch.zeros_like(out), out])]
