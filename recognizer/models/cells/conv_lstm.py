"""Convolutional LSTM over frames that are maps of positions by channels (Shi et al. 2015, arXiv 1506.04214)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import CellSettings
from recognizer.models.cells.peephole import OPERATOR
from recognizer.models.gated_cell import run_gated, watch_gated
from recognizer.models.recurrence import Pass, Recurrence, State, last_states
from recognizer.strict import require


class Cell(Recurrence):
    """One direction of a layer whose products with weights are convolutions over P positions, equations 3 of the paper.

    ::

        i(t) = sigmoid(Wxi * x(t) + Whi * h(t-1) + Wci o c(t-1) + bi)
        f(t) = sigmoid(Wxf * x(t) + Whf * h(t-1) + Wcf o c(t-1) + bf)
        c(t) = f(t) o c(t-1) + i(t) o tanh(Wxc * x(t) + Whc * h(t-1) + bc)
        o(t) = sigmoid(Wxo * x(t) + Who * h(t-1) + Wco o c(t) + bo)
        h(t) = o(t) o tanh(c(t))

    ``*`` convolves over positions with zeros beyond the ends; ``o`` is the product of entries. The Wc are the peepholes, one weight
    for each channel and position; they start at zero. Positions are mel bands or rows of a line.

    A frame holds channel after channel, each with all its positions: entry ``c * P + p``. Features lie so (bands, then their differences),
    and two directions joined are again a map, of twice the channels: layers can be stacked at any depth. It is the peephole LSTM whose
    recurrent matrix is made of convolutions.

    Args:
        inputs: D, a multiple of P.
        hidden: H, a multiple of P; H / P channels.
        settings: ``positions`` P; ``kernel`` K; ``peepholes``; ``forget_bias``, added to bf at the start; ``recurrent_dropout``, of
            entries of h(t-1) where convolutions read it, the same in all frames (Gal & Ghahramani 2016); ``zoneout``, the probability
            of an entry of h or c to stay what it was, their mean outside of training (Krueger et al. 2017).

    Raises:
        ConfigError: sizes that are no multiples of the positions.
    """

    def __init__(self, inputs: int, hidden: int, settings: CellSettings) -> None:
        super().__init__()
        self.inputs, self.hidden = inputs, hidden
        positions, kernel = settings.positions, settings.kernel
        fits = positions > 0 and inputs % positions == 0 == hidden % positions
        require(fits, "model.recurrent.positions", f"{positions} must divide the {inputs} entries of a frame and model.hidden={hidden}: "
            f"the number of mel bands or rows, {math.gcd(inputs, hidden)} or a divisor of it")  # fmt: skip
        channels, below = hidden // positions, inputs // positions
        self.positions, self.channels, self.settings = positions, channels, settings
        self.input_kernel = nn.Parameter(torch.empty(4 * channels, below, kernel))  # gates i, f, g, o
        self.hidden_kernel = nn.Parameter(torch.empty(4 * channels, channels, kernel))
        self.bias = nn.Parameter(torch.empty(4 * channels))
        self.peepholes = nn.Parameter(torch.zeros(3, channels, positions)) if settings.peepholes else None  # of i, f and o
        for parameter, fan in ((self.input_kernel, below), (self.hidden_kernel, channels), (self.bias, channels)):
            nn.init.uniform_(parameter, -1 / (fan * kernel) ** 0.5, 1 / (fan * kernel) ** 0.5)
        with torch.no_grad():
            self.bias[channels : 2 * channels] += settings.forget_bias

    def initial(self, frames: Tensor) -> State:
        """Hidden and cell state (B, H), zero."""
        return (self.bias.new_zeros(frames.shape[0], self.hidden),) * 2

    def forward(
        self, frames: Tensor, lengths: Tensor, state: State | None = None, carry: bool = False,
        below: Tensor | None = None, gaps: Tensor | None = None,
    ) -> Pass:  # fmt: skip
        """See :meth:`Recurrence.forward`; ``below`` and ``gaps`` are not read. All but the convolution of the inputs is float32 under autocast."""
        state = self.initial(frames) if state is None else state
        states = run_gated(OPERATOR, self._project(frames), [self.hidden_kernel], self._weights(), state, self.settings, self.training)
        final = tuple(last_states(every, before, lengths) for every, before in zip(states, state, strict=True)) if carry else None
        return Pass(states[0], final)

    def watch(self, frames: Tensor, lengths: Tensor, below: Tensor | None = None, gaps: Tensor | None = None) -> dict[str, Tensor]:
        """As :class:`Recurrence` says."""
        return watch_gated(OPERATOR, self._project(frames), [self.hidden_kernel], self._weights(), self.initial(frames), self.settings)

    def _project(self, frames: Tensor) -> Tensor:
        """(B, T, D) to (T, B, 4H)."""
        batch, steps, _ = frames.shape
        maps = frames.transpose(0, 1).reshape(steps * batch, -1, self.positions)
        drives = functional.conv1d(maps, self.input_kernel, self.bias, padding=self.input_kernel.shape[2] // 2)
        return drives.reshape(steps, batch, 4 * self.hidden)

    def _weights(self) -> Tensor:
        """Peepholes of i, f and o, (3, H)."""
        return self.bias.new_zeros(3, self.hidden) if self.peepholes is None else self.peepholes.flatten(1)
