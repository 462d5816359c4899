"""The LSTM whose gates see the cell state through peepholes."""

from __future__ import annotations

from recognizer.models.kernels.driver import KernelRunner
from recognizer.models.kernels.lstm import BLOCKS, lstm_kernel
from recognizer.models.recurrent_cell import GatedCell


class Cell(GatedCell):
    """LSTM with forget gate and peepholes (Gers & Schmidhuber 2000; Gers, Schraudolph & Schmidhuber 2002), as in Graves 2013::

        i = sigmoid(W x(t) + R h(t-1) + p c(t-1) + b)        f = sigmoid(W x(t) + R h(t-1) + p c(t-1) + b)
        c(t) = f c(t-1) + i tanh(W x(t) + R h(t-1) + b)
        o = sigmoid(W x(t) + R h(t-1) + p c(t) + b)          h(t) = o tanh(c(t))

    Every W, R, b and p is its gate's own; p weighs cell by cell.
    """

    blocks = BLOCKS["gate"]
    peepholes = 3
    runner = KernelRunner(lstm_kernel("peephole_lstm"))
