"""The LSTM that forgets with time since the frame before."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from recognizer.config import CellSettings
from recognizer.models.kernels.activations import ONE, Array, compiled, sigmoid_sum, tanh_sum
from recognizer.models.kernels.driver import CellKernel, KernelRunner, States
from recognizer.models.kernels.lstm import cell_gradient, open_output, output_gradient
from recognizer.models.recurrent_cell import GatedCell


@compiled
def _forward(t: int, projected: Array, products: Array, states: Array, saved: Array, weights: Array) -> None:
    n = states.shape[3]
    for b in range(states.shape[2]):
        x, r, gates = projected[t, b], products[b], saved[t % saved.shape[0], b]
        c_before, c, h, faded = states[1, t, b], states[1, t + 1, b], states[0, t + 1, b], ONE - projected[t, b, 4 * n]
        i, f, g, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n : 4 * n]
        squashed, short = gates[4 * n : 5 * n], gates[5 * n :]
        sigmoid_sum(x[: 2 * n], r[: 2 * n], gates[: 2 * n])
        tanh_sum(x[2 * n : 3 * n], r[2 * n : 3 * n], g)
        sigmoid_sum(x[3 * n : 4 * n], r[3 * n : 4 * n], o)
        tanh_sum(r[4 * n :], weights[0], short)
        for k in range(n):
            c[k] = f[k] * (c_before[k] - faded * short[k]) + i[k] * g[k]
        open_output(c, o, squashed, h)


@compiled
def _backward(
    t: int, projected: Array, products: Array, states: Array, saved: Array, weights: Array,
    d_after: Array, d_before: Array, d_projected: Array, d_products: Array, d_weights: Array,
) -> None:  # fmt: skip
    n = states.shape[3]
    for b in range(states.shape[2]):
        gates, c_before, d, d_product = saved[t, b], states[1, t, b], d_projected[t, b], d_products[t, b]
        short, faded, d_short = gates[5 * n :], ONE - projected[t, b, 4 * n], d_product[4 * n :]
        dc, dc_before = d_after[1, b], d_before[1, b]
        d_before[0, b] = 0
        output_gradient(d_after[0, b], gates, d[3 * n : 4 * n], dc)
        for k in range(n):  # c*
            dc_before[k] = c_before[k] - faded * short[k]
        cell_gradient(dc, gates, dc_before, d, dc_before)
        for k in range(n):
            d_short[k] = -faded * dc_before[k] * (ONE - short[k] * short[k])
        for k in range(n):
            d_weights[0, k] += d_short[k]
        d_product[: 4 * n] = d[: 4 * n]
        d_share = d.dtype.type(0)
        for k in range(n):
            d_share += dc_before[k] * short[k]
        d[4 * n] = d_share


def _plain(x: Tensor, products: list[Tensor], states: States, weights: Tensor) -> States:
    size = weights.shape[1]
    i, f, g, o = (x[:, : 4 * size] + products[0]).chunk(4, dim=1)
    short = torch.tanh(products[1] + weights[0])
    adjusted = states[1] - short + short * x[:, 4 * size :]
    c = torch.sigmoid(f) * adjusted + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


class Cell(GatedCell):
    """Time-aware LSTM, T-LSTM (Baytas et al. 2017, "Patient subtyping via time-aware LSTM networks", section 3.2)::

        s = tanh(U c(t-1) + b)        c* = (c(t-1) - s) + s / log(e + gap(t))
        i, f, o = sigmoid(W x(t) + R h(t-1) + b)        c(t) = f c* + i tanh(W x(t) + R h(t-1) + b)        h(t) = o tanh(c(t))

    What of the cell state is short-term memory, s, fades with the time since the frame before. Of the paper's two ways it fades this is
    the one for long gaps, since 1 / gap would be no fading but a rise below 1. The unit of a gap is the caller's: after 0 all of s is left
    and the cell is an LSTM without peepholes, after 1 (which is what no gaps means) 0.76 of it, after 10 0.39, after 100 0.22.
    Gaps are not negative. Gradient flows into them.
    """

    reads_gaps = True
    blocks = ("i", "f", "g", "o")
    peepholes = 1  # not a peephole: b of s
    runner = KernelRunner(CellKernel("time_aware_lstm", _forward, _backward, _plain, ("i", "f", "g", "o", "", "s"), sources=(0, 1)))

    def __init__(self, inputs: int, hidden: int, settings: CellSettings) -> None:
        super().__init__(inputs, hidden, settings)
        self.weight_cc_l0 = self._draw(hidden, hidden)

    def matrices(self) -> list[Tensor]:
        """R (4H, H) on h and U (H, H) on c."""
        return [self.weight_hh_l0, self.weight_cc_l0]

    def project(self, frames: Tensor, below: Tensor | None, gaps: Tensor | None) -> Tensor:
        """(T, B, D) to (T, B, 4H + 1); in the last column what is left of the short-term memory."""
        projected = functional.linear(frames, self.weight_ih_l0, self.bias_l0).to(self.bias_l0.dtype)
        gaps = projected.new_ones(projected.shape[:2]) if gaps is None else gaps.to(projected.dtype)
        return torch.cat([projected, 1 / torch.log(math.e + gaps)[:, :, None]], dim=2)
