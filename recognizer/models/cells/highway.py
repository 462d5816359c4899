"""The LSTM whose cells take in those of the layer below."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from recognizer.models.cells.peephole import Cell as Peephole
from recognizer.models.kernels.activations import ONE, Array, add_product, compiled, sigmoid, tanh_sum
from recognizer.models.kernels.driver import CellKernel, KernelRunner, States
from recognizer.models.kernels.lstm import cell_gradient, open_output, output_gradient, peephole_gate, peephole_gradient
from recognizer.models.recurrent_cell import GatedCell


@compiled
def _forward(t: int, projected: Array, products: Array, states: Array, saved: Array, weights: Array) -> None:
    n = states.shape[3]
    for b in range(states.shape[2]):
        x, r, gates = projected[t, b], products[b], saved[t % saved.shape[0], b]
        c_before, c, h, below = states[1, t, b], states[1, t + 1, b], states[0, t + 1, b], x[5 * n :]
        i, f, g, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n : 4 * n]
        squashed, d = gates[4 * n : 5 * n], gates[5 * n :]
        peephole_gate(x[:n], r[:n], weights[0], c_before, i)
        peephole_gate(x[n : 2 * n], r[n : 2 * n], weights[1], c_before, f)
        for k in range(n):
            d[k] = sigmoid(x[4 * n + k] + weights[3, k] * c_before[k] + weights[4, k] * below[k])
        tanh_sum(x[2 * n : 3 * n], r[2 * n : 3 * n], g)
        for k in range(n):
            c[k] = f[k] * c_before[k] + i[k] * g[k] + d[k] * below[k]
        peephole_gate(x[3 * n : 4 * n], r[3 * n :], weights[2], c, o)
        open_output(c, o, squashed, h)


@compiled
def _backward(
    t: int, projected: Array, products: Array, states: Array, saved: Array, weights: Array,
    d_after: Array, d_before: Array, d_projected: Array, d_products: Array, d_weights: Array,
) -> None:  # fmt: skip
    n = states.shape[3]
    for b in range(states.shape[2]):
        gates, c_before, below = saved[t, b], states[1, t, b], projected[t, b, 5 * n :]
        i, f, g, d = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[5 * n :]
        d_gates, dc, dc_before = d_projected[t, b], d_after[1, b], d_before[1, b]
        do, dd, d_below = d_gates[3 * n : 4 * n], d_gates[4 * n : 5 * n], d_gates[5 * n :]
        d_before[0, b] = 0
        output_gradient(d_after[0, b], gates, do, dc)
        add_product(do, weights[2], dc)
        cell_gradient(dc, gates, c_before, d_gates, dc_before)
        for k in range(n):
            dd[k] = dc[k] * below[k] * d[k] * (ONE - d[k])
        for k in range(n):
            d_below[k] = dc[k] * d[k]
        peephole_gradient(d_gates[:n], c_before, weights[0], dc_before, d_weights[0])
        peephole_gradient(d_gates[n : 2 * n], c_before, weights[1], dc_before, d_weights[1])
        for k in range(n):
            d_weights[2, k] += do[k] * (f[k] * c_before[k] + i[k] * g[k] + d[k] * below[k])
        peephole_gradient(dd, c_before, weights[3], dc_before, d_weights[3])
        peephole_gradient(dd, below, weights[4], d_below, d_weights[4])
        d_products[t, b] = d_gates[: 4 * n]


def _plain(x: Tensor, products: list[Tensor], states: States, weights: Tensor) -> States:
    x_i, x_f, x_g, x_o, x_d, below = x.chunk(6, dim=1)
    r_i, r_f, r_g, r_o = products[0].chunk(4, dim=1)
    before = states[1]
    i = torch.sigmoid(x_i + r_i + weights[0] * before)
    f = torch.sigmoid(x_f + r_f + weights[1] * before)
    d = torch.sigmoid(x_d + weights[3] * before + weights[4] * below)
    c = d * below + f * before + i * torch.tanh(x_g + r_g)
    return torch.sigmoid(x_o + r_o + weights[2] * c) * torch.tanh(c), c


class Cell(GatedCell):
    """Highway LSTM (Zhang et al. 2016, "Highway long short-term memory RNNs for distant speech recognition"; depth-gated: Yao et al. 2015)::

        c(t) = d c'(t) + f c(t-1) + i g        d = sigmoid(W x(t) + p c(t-1) + p' c'(t) + b)

    and all else as in the cell ``peephole``. c' are the cells of the layer below, through which they reach the layers above without being
    squashed. The depth gate d does not see h(t-1). With no layer below, c' = 0 and this is the peephole LSTM; d's weights are idle.
    """

    shows_cells = True
    reads_below = True
    blocks = ("i", "f", "g", "o", "d")
    recurrent_blocks = 4  # d has none
    peepholes = 5  # of i, f, o and d on c, of d on c'
    runner = KernelRunner(CellKernel("highway_lstm", _forward, _backward, _plain, ("i", "f", "g", "o", "", "d")))

    def choose_runner(self, projected: Tensor) -> KernelRunner:
        """That of the peephole LSTM where the projected input has its four blocks only."""
        return Peephole.runner if projected.shape[2] == 4 * self.hidden else self.runner

    def project(self, frames: Tensor, below: Tensor | None, gaps: Tensor | None) -> Tensor:
        """(T, B, D) to (T, B, 4H), or with ``below`` to (T, B, 6H): the depth gate's block and ``below`` itself come last."""
        width = 4 * self.hidden
        projected = functional.linear(frames, self.weight_ih_l0[:width], self.bias_l0[:width])
        if below is None:
            return projected
        depth = functional.linear(frames, self.weight_ih_l0[width:], self.bias_l0[width:])  # apart it is faster: with 250 cells 3/4 of the time
        return torch.cat([projected.to(below.dtype), depth.to(below.dtype), below], dim=2)
