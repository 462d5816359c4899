"""The LSTM whose input and forget gate are one."""

from __future__ import annotations

from recognizer.models.kernels.driver import KernelRunner
from recognizer.models.kernels.lstm import BLOCKS, lstm_kernel
from recognizer.models.recurrent_cell import GatedCell


class Cell(GatedCell):
    """LSTM with coupled input and forget gate and peepholes (CIFG of Greff et al. 2017)::

        i = sigmoid(W x(t) + R h(t-1) + p c(t-1) + b)        c(t) = (1 - i) c(t-1) + i tanh(W x(t) + R h(t-1) + b)
        o = sigmoid(W x(t) + R h(t-1) + p c(t) + b)          h(t) = o tanh(c(t))

    A quarter fewer weights than with two gates.
    """

    blocks = BLOCKS["coupled"]
    peepholes = 3  # of i, none, o: the row of the missing gate stays unused
    runner = KernelRunner(lstm_kernel("coupled_lstm", "coupled"))
