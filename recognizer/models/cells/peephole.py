"""The LSTM whose gates see the cell state."""

from __future__ import annotations

from recognizer.models.gated import make_operator
from recognizer.models.gated_cell import GatedCell
from recognizer.models.lstm_kernel import BLOCKS, lstm_kernel

KERNEL = lstm_kernel("peephole_lstm")
OPERATOR = make_operator(KERNEL)


class Cell(GatedCell):
    """LSTM with forget gate and peepholes (Gers & Schmidhuber 2000; Gers, Schraudolph & Schmidhuber 2002), as in Graves 2013::

        i = sigmoid(W x(t) + R h(t-1) + p c(t-1) + b)        f = sigmoid(W x(t) + R h(t-1) + p c(t-1) + b)
        c(t) = f c(t-1) + i tanh(W x(t) + R h(t-1) + b)
        o = sigmoid(W x(t) + R h(t-1) + p c(t) + b)          h(t) = o tanh(c(t))

    Every W, R, b and p is its gate's own; p weighs cell by cell.
    """

    blocks = BLOCKS["gate"]
    peepholes = 3
    operator = staticmethod(OPERATOR)
