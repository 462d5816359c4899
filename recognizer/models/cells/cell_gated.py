"""The LSTM whose gates see the cell state in place of the output."""

from __future__ import annotations

import torch
from torch import Tensor

from recognizer.models.gated import make_operator
from recognizer.models.gated_cell import GatedCell
from recognizer.models.lstm_kernel import BLOCKS, lstm_kernel

KERNEL = lstm_kernel("cell_gated_lstm", source=1)
OPERATOR = make_operator(KERNEL)


class Cell(GatedCell):
    """The form of the peephole LSTM in which c(t-1) takes the place of h(t-1) altogether, through whole matrices::

        i, f, o = sigmoid(W x(t) + U c(t-1) + b)        c(t) = f c(t-1) + i tanh(W x(t) + b)
        h(t) = o tanh(c(t))

    A reading of Gers & Schmidhuber 2001 that has spread through textbooks and encyclopedias; the paper's own peepholes are those of the
    cell ``peephole``. A quarter fewer recurrent weights than in the LSTM, because the cell's input sees the frame only.
    """

    blocks = BLOCKS["gate"]
    recurrent = ("i", "f", "o")
    operator = staticmethod(OPERATOR)

    def matrices(self) -> list[Tensor]:
        """One matrix (4H, H), whose rows for g are zeros."""
        gates, out = self.weight_hh_l0.split([2 * self.hidden, self.hidden])
        return [torch.cat([gates, torch.zeros_like(out), out])]
