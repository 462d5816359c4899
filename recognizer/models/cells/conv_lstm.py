"""Convolutional LSTM over frames that are maps of positions by channels (Shi et al. 2015, arXiv 1506.04214)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import CellSettings
from recognizer.config.schema import require
from recognizer.models.cells.peephole import Cell as Peephole
from recognizer.models.recurrent_cell import CompiledCell


class Cell(CompiledCell):
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
    recurrent matrix is made of convolutions; under autocast all but the convolution of the inputs is float32.

    Args:
        inputs: D, a multiple of P.
        hidden: H, a multiple of P; H / P channels.
        settings: ``positions`` P; ``kernel`` K; ``peepholes``; ``forget_bias``, added to bf at the start; ``recurrent_dropout``; ``zoneout``.

    Raises:
        ConfigError: sizes that are no multiples of the positions.
    """

    runner = Peephole.runner

    def __init__(self, inputs: int, hidden: int, settings: CellSettings) -> None:
        super().__init__()
        positions, kernel = settings.positions, settings.kernel
        fits = positions > 0 and inputs % positions == 0 == hidden % positions
        require(fits, "model.recurrent.positions", f"{positions} must divide the {inputs} entries of a frame and model.hidden_size={hidden}: "
            f"the number of mel bands or rows, {math.gcd(inputs, hidden)} or a divisor of it")  # fmt: skip
        self.inputs, self.hidden, self.settings = inputs, hidden, settings
        channels, below = hidden // positions, inputs // positions
        self.input_kernel = nn.Parameter(torch.empty(4 * channels, below, kernel))  # gates i, f, g, o
        self.hidden_kernel = nn.Parameter(torch.empty(4 * channels, channels, kernel))
        self.bias = nn.Parameter(torch.empty(4 * channels))
        self.peepholes = nn.Parameter(torch.zeros(3, channels, positions)) if settings.peepholes else None  # of i, f and o
        for parameter, fan in ((self.input_kernel, below), (self.hidden_kernel, channels), (self.bias, channels)):
            nn.init.uniform_(parameter, -1 / (fan * kernel) ** 0.5, 1 / (fan * kernel) ** 0.5)
        with torch.no_grad():
            self.bias[channels : 2 * channels] += settings.forget_bias

    def matrices(self) -> list[Tensor]:
        """Kernels (4C, C, K)."""
        return [self.hidden_kernel]

    def weights(self) -> Tensor:
        """Peepholes of i, f and o, (3, H)."""
        return self.bias.new_zeros(3, self.hidden) if self.peepholes is None else self.peepholes.flatten(1)

    def project(self, frames: Tensor, below: Tensor | None, gaps: Tensor | None) -> Tensor:
        """(T, B, D) to (T, B, 4H)."""
        maps = frames.flatten(0, 1).unflatten(1, (-1, self.settings.positions))
        projected: Tensor = functional.conv1d(maps, self.input_kernel, self.bias, padding=self.input_kernel.shape[2] // 2)
        return projected.reshape(*frames.shape[:2], -1)
