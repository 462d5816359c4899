"""Convolutional LSTM over frames that are maps of positions by channels (Shi et al. 2015, arXiv 1506.04214)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import CellSettings
from recognizer.models.conv_recurrence import conv_recurrence
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
    and two directions joined are again a map, of twice the channels: layers can be stacked at any depth.

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
        self.positions, self.channels, self.size = positions, channels, kernel
        self.zoneout, self.recurrent_dropout = settings.zoneout, settings.recurrent_dropout
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
        dtype = torch.float64 if self.bias.dtype == torch.float64 else torch.float32
        zeros = torch.zeros(frames.shape[0], self.hidden, dtype=dtype, device=frames.device)
        return zeros, zeros.clone()

    def forward(
        self, frames: Tensor, lengths: Tensor, state: State | None = None, carry: bool = False,
        below: Tensor | None = None, gaps: Tensor | None = None,
    ) -> Pass:  # fmt: skip
        """See :meth:`Recurrence.forward`; ``below`` and ``gaps`` are not read. All but the convolution of the inputs is float32 under autocast."""
        hidden, cell = self.initial(frames) if state is None else state
        outputs, cells, _ = self._run(frames, hidden, cell)
        return Pass(outputs, (last_states(outputs, hidden, lengths), last_states(cells, cell, lengths)) if carry else None)

    def watch(self, frames: Tensor, lengths: Tensor, below: Tensor | None = None, gaps: Tensor | None = None) -> dict[str, Tensor]:
        """As :class:`Recurrence` says."""
        with torch.no_grad():
            outputs, cells, gates = self._run(frames, *self.initial(frames))
        return dict(zip("ifgo", gates.unbind(2), strict=True)) | {"c": cells, "h": outputs}

    def _run(self, frames: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden and cell states (B, T, H), and the gates i, f, g, o (B, T, 4, H)."""
        batch, steps, _ = frames.shape
        shape = (self.channels, self.positions)
        maps = frames.transpose(0, 1).reshape(steps * batch, -1, self.positions)
        drives = functional.conv1d(maps, self.input_kernel, self.bias, padding=self.size // 2).to(hidden.dtype)
        peepholes = None if self.peepholes is None else self.peepholes.to(hidden.dtype)
        outputs, cells, gates = conv_recurrence(
            drives.view(steps, batch, 4, *shape), hidden.view(batch, *shape), cell.view(batch, *shape), self.hidden_kernel.to(hidden.dtype),
            peepholes, self._draw_kept(hidden), self._draw_zones(hidden, steps),
        )  # fmt: skip
        return outputs.flatten(2).transpose(0, 1), cells.flatten(2).transpose(0, 1), gates.flatten(3).transpose(0, 1)

    def _draw_kept(self, hidden: Tensor) -> Tensor | None:
        if not self.training or self.recurrent_dropout == 0:
            return None
        kept = (torch.rand_like(hidden) >= self.recurrent_dropout).to(hidden.dtype) / (1 - self.recurrent_dropout)
        return kept.view(-1, self.channels, self.positions)

    def _draw_zones(self, hidden: Tensor, steps: int) -> Tensor | None:
        if self.zoneout == 0:
            return None
        shape = (2, steps, hidden.shape[0], self.channels, self.positions)
        if not self.training:
            return hidden.new_full((), self.zoneout).expand(shape)
        return (torch.rand(shape, device=hidden.device) < self.zoneout).to(hidden.dtype)
