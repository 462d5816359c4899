"""The LSTM of 1997, without forget gate."""

from __future__ import annotations

from recognizer.models.kernels.driver import KernelRunner
from recognizer.models.kernels.lstm import BLOCKS, lstm_kernel
from recognizer.models.recurrent_cell import GatedCell


class Cell(GatedCell):
    """LSTM as first published (Hochreiter & Schmidhuber 1997): the cell adds up and never forgets, a constant error carousel::

        i, o = sigmoid(W x(t) + R h(t-1) + b)        g = tanh(W x(t) + R h(t-1) + b)
        c(t) = c(t-1) + i g                          h(t) = o tanh(c(t))

    The paper squashes the input to [-2, 2] and cuts the gradient where it leaves a cell; here g is tanh and the gradient is whole, as in
    what followed. Cells that nothing resets saturate on long sequences (Gers et al. 2000).
    """

    blocks = BLOCKS["none"]
    runner = KernelRunner(lstm_kernel("lstm_1997", "none"))
