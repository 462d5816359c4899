"""A cell composed from parts: which gates, activations and connections of the LSTM it has."""

from __future__ import annotations

import torch
from torch import Tensor

from recognizer.config import CellSettings
from recognizer.models.kernels.activations import ONE, ZERO, Array, add_product, compiled, tanh_sum
from recognizer.models.kernels.driver import CellKernel, KernelRunner, States
from recognizer.models.kernels.lstm import BLOCKS, cell_gradient, open_output, output_gradient, peephole_gate, peephole_gradient
from recognizer.models.recurrent_cell import GatedCell

# Rows of the element-wise weights: peepholes of i, f and o, then one for each choice, the same in all its columns
INPUT_GATE, FORGET_GATE, OUTPUT_GATE, INPUT_ACTIVATION, OUTPUT_ACTIVATION = range(3, 8)
FORGET = {"gate": 1.0, "none": 0.0, "coupled": -1.0}


@compiled
def _forward(t: int, projected: Array, products: Array, states: Array, saved: Array, weights: Array) -> None:
    n, parts = states.shape[3], weights[:, 0]
    for b in range(states.shape[2]):
        x, r, gates = projected[t, b], products[b], saved[t % saved.shape[0], b]
        c_before, c, h = states[1, t, b], states[1, t + 1, b], states[0, t + 1, b]
        i, f, g, o, squashed = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n : 4 * n], gates[4 * n :]
        i[:] = ONE
        f[:] = ONE
        o[:] = ONE
        if parts[INPUT_GATE] > ZERO:
            peephole_gate(x[:n], r[:n], weights[0], c_before, i)
        if parts[FORGET_GATE] > ZERO:
            peephole_gate(x[n : 2 * n], r[n : 2 * n], weights[1], c_before, f)
        elif parts[FORGET_GATE] < ZERO:
            for k in range(n):
                f[k] = ONE - i[k]
        if parts[INPUT_ACTIVATION] > ZERO:
            tanh_sum(x[2 * n : 3 * n], r[2 * n : 3 * n], g)
        else:
            for k in range(n):
                g[k] = x[2 * n + k] + r[2 * n + k]
        for k in range(n):
            c[k] = f[k] * c_before[k] + i[k] * g[k]
        if parts[OUTPUT_GATE] > ZERO:
            peephole_gate(x[3 * n :], r[3 * n :], weights[2], c, o)
        open_output(c, o, squashed, h)
        if parts[OUTPUT_ACTIVATION] == ZERO:
            squashed[:] = c
            for k in range(n):
                h[k] = o[k] * c[k]


@compiled
def _backward(
    t: int, projected: Array, products: Array, states: Array, saved: Array, weights: Array,
    d_after: Array, d_before: Array, d_projected: Array, d_products: Array, d_weights: Array,
) -> None:  # fmt: skip
    n, parts = states.shape[3], weights[:, 0]
    for b in range(states.shape[2]):
        gates, c_before, d = saved[t, b], states[1, t, b], d_projected[t, b]
        i, f, g, o, squashed = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n : 4 * n], gates[4 * n :]
        di, df, dg, do = d[:n], d[n : 2 * n], d[2 * n : 3 * n], d[3 * n :]
        dh, dc, dc_before = d_after[0, b], d_after[1, b], d_before[1, b]
        d_before[0, b] = 0
        if parts[OUTPUT_ACTIVATION] > ZERO:
            output_gradient(dh, gates, do, dc)
        else:
            for k in range(n):
                do[k] = dh[k] * squashed[k] * o[k] * (ONE - o[k])
            for k in range(n):
                dc[k] += dh[k] * o[k]
        add_product(do, weights[2], dc)
        cell_gradient(dc, gates, c_before, d, dc_before)  # of a gate that is 1 the gradient comes out as 0
        if parts[FORGET_GATE] < ZERO:
            for k in range(n):
                di[k] = dc[k] * (g[k] - c_before[k]) * i[k] * (ONE - i[k])
            df[:] = 0
        if parts[INPUT_ACTIVATION] == ZERO:
            for k in range(n):
                dg[k] = dc[k] * i[k]
        peephole_gradient(df, c_before, weights[1], dc_before, d_weights[1])
        peephole_gradient(di, c_before, weights[0], dc_before, d_weights[0])
        for k in range(n):
            d_weights[2, k] += do[k] * (f[k] * c_before[k] + i[k] * g[k])


def _plain(x: Tensor, products: list[Tensor], states: States, weights: Tensor) -> States:
    i, f, g, o = (x + products[0]).chunk(4, dim=1)
    before = states[1]
    i = torch.where(weights[INPUT_GATE] > 0, torch.sigmoid(i + weights[0] * before), 1)
    f = torch.where(weights[FORGET_GATE] > 0, torch.sigmoid(f + weights[1] * before), torch.where(weights[FORGET_GATE] < 0, 1 - i, 1))
    c = f * before + i * torch.where(weights[INPUT_ACTIVATION] > 0, torch.tanh(g), g)
    o = torch.where(weights[OUTPUT_GATE] > 0, torch.sigmoid(o + weights[2] * c), 1)
    return o * torch.where(weights[OUTPUT_ACTIVATION] > 0, torch.tanh(c), c), c


class Cell(GatedCell):
    """The LSTM or what is left of it without some of its parts, as ``settings.parts`` says (Greff et al. 2017; Bayer et al. 2009)::

        i = sigmoid(W x(t) + R h(t-1) + p c(t-1) + b) or 1        f = sigmoid(W x(t) + R h(t-1) + p c(t-1) + b) or 1 - i or 1
        g = tanh(a) or a, a = W x(t) + R h(t-1) + b               o = sigmoid(W x(t) + R h(t-1) + p c(t) + b) or 1
        c(t) = f c(t-1) + i g                                     h(t) = o tanh(c(t)) or o c(t)

    R may be missing in the gates or in g, and p in all. A part that is not there has no weights. Without a tanh nothing bounds c or h:
    training with a large rate may fail. The LSTMs with and without peepholes, the one of 1997 and the one with coupled gates are such cells,
    and have faster files of their own.
    """

    runner = KernelRunner(CellKernel("composed_lstm", _forward, _backward, _plain, ("i", "f", "g", "o", ""), same_gradient=True))
    choices: Tensor

    def __init__(self, inputs: int, hidden: int, settings: CellSettings) -> None:
        parts = settings.parts
        present = {"i": parts.input_gate, "f": parts.forget_gate == "gate", "g": True, "o": parts.output_gate}
        self.blocks = tuple(name for name in BLOCKS["gate"] if present[name])
        self.recurrent_names = tuple(name for name in self.blocks if (parts.recurrent_input if name == "g" else parts.recurrent_gates))
        self.recurrent_blocks = len(self.recurrent_names)
        self.gates = tuple(name for name in self.blocks if name != "g")
        self.peepholes = len(self.gates) if parts.peepholes else 0
        super().__init__(inputs, hidden, settings)
        numbers = (parts.input_gate, FORGET[parts.forget_gate], parts.output_gate, parts.input_activation, parts.output_activation)
        self.register_buffer("choices", torch.tensor(numbers, dtype=torch.float32)[:, None], persistent=False)

    def matrices(self) -> list[Tensor]:
        """One matrix (4H, H), with zeros where there is no connection."""
        return [self._spread(self.weight_hh_l0, self.recurrent_names, BLOCKS["gate"])]

    def weights(self) -> Tensor:
        """(8, H): peepholes, zero where there are none, and the choices."""
        peepholes = self.weight_hh_l0.new_zeros(3, self.hidden)
        if self.peephole_l0 is not None:
            peepholes = self._spread(self.peephole_l0.flatten(), self.gates, ("i", "f", "o")).view(3, -1)
        return torch.cat([peepholes, self.choices.expand(-1, self.hidden)])

    def project(self, frames: Tensor, below: Tensor | None, gaps: Tensor | None) -> Tensor:
        """(T, B, D) to (T, B, 4H), with zeros for gates that are not there."""
        projected = super().project(frames, below, gaps)
        return self._spread(projected.movedim(2, 0), self.blocks, BLOCKS["gate"]).movedim(0, 2)

    def _spread(self, rows: Tensor, names: tuple[str, ...], places: tuple[str, ...]) -> Tensor:
        """Blocks of H rows with these names, in the order of ``places``, which has zeros where there is no such block."""
        blocks = dict(zip(names, rows.split(self.hidden), strict=True)) if names else {}
        zeros = rows.new_zeros(self.hidden, *rows.shape[1:])
        return torch.cat([blocks.get(name, zeros) for name in places])
