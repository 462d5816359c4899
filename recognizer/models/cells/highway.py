"""The LSTM whose cells take in those of the layer below."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recognizer.models.activation_kernel import compiled, sigmoid, squash_sum
from recognizer.models.cells.peephole import OPERATOR as PEEPHOLE
from recognizer.models.gated import Kernel, States, make_operator
from recognizer.models.gated_cell import GatedCell
from recognizer.models.lstm_kernel import ONE, give_out, open_gate


@compiled
def _forward(t: int, projected: np.ndarray, products: np.ndarray, states: np.ndarray, kept: np.ndarray, weights: np.ndarray) -> None:
    n = states.shape[3]
    for b in range(states.shape[2]):
        x, r, gates = projected[t, b], products[b], kept[t % kept.shape[0], b]
        c_before, c, h, below = states[1, t, b], states[1, t + 1, b], states[0, t + 1, b], x[5 * n :]
        i, f, g, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n : 4 * n]
        squashed, d = gates[4 * n : 5 * n], gates[5 * n :]
        open_gate(x[:n], r[:n], weights[0], c_before, i)
        open_gate(x[n : 2 * n], r[n : 2 * n], weights[1], c_before, f)
        for k in range(n):
            d[k] = sigmoid(x[4 * n + k] + weights[3, k] * c_before[k] + weights[4, k] * below[k])
        squash_sum(x[2 * n : 3 * n], r[2 * n : 3 * n], g)
        for k in range(n):
            c[k] = f[k] * c_before[k] + i[k] * g[k] + d[k] * below[k]
        open_gate(x[3 * n : 4 * n], r[3 * n :], weights[2], c, o)
        give_out(c, o, squashed, h)


@compiled
def _backward(
    t: int, projected: np.ndarray, products: np.ndarray, states: np.ndarray, kept: np.ndarray, weights: np.ndarray,
    d_after: np.ndarray, d_before: np.ndarray, d_projected: np.ndarray, d_products: np.ndarray, d_weights: np.ndarray,
) -> None:  # fmt: skip
    n = states.shape[3]
    for b in range(states.shape[2]):
        gates, c_before, below = kept[t, b], states[1, t, b], projected[t, b, 5 * n :]
        i, f, g, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n : 4 * n]
        squashed, d = gates[4 * n : 5 * n], gates[5 * n :]
        all_gates, d_product = d_projected[t, b], d_products[t, b]
        di, df, dg, do = all_gates[:n], all_gates[n : 2 * n], all_gates[2 * n : 3 * n], all_gates[3 * n : 4 * n]
        dd, d_below = all_gates[4 * n : 5 * n], all_gates[5 * n :]
        dh, dc, dc_before = d_after[0, b], d_after[1, b], d_before[1, b]
        d_before[0, b] = 0
        for k in range(n):
            do[k] = dh[k] * squashed[k] * o[k] * (ONE - o[k])
        for k in range(n):
            dc[k] += dh[k] * o[k] * (ONE - squashed[k] * squashed[k]) + do[k] * weights[2, k]
        for k in range(n):
            di[k] = dc[k] * g[k] * i[k] * (ONE - i[k])
        for k in range(n):
            df[k] = dc[k] * c_before[k] * f[k] * (ONE - f[k])
        for k in range(n):
            dg[k] = dc[k] * i[k] * (ONE - g[k] * g[k])
        for k in range(n):
            dd[k] = dc[k] * below[k] * d[k] * (ONE - d[k])
        for k in range(n):
            d_below[k] = dc[k] * d[k] + dd[k] * weights[4, k]
        for k in range(n):
            dc_before[k] = dc[k] * f[k] + di[k] * weights[0, k]
        for k in range(n):
            dc_before[k] += df[k] * weights[1, k] + dd[k] * weights[3, k]
        _learn(di, c_before, d_weights[0])
        _learn(df, c_before, d_weights[1])
        for k in range(n):
            d_weights[2, k] += do[k] * (f[k] * c_before[k] + i[k] * g[k] + d[k] * below[k])
        _learn(dd, c_before, d_weights[3])
        _learn(dd, below, d_weights[4])
        for k in range(4 * n):
            d_product[k] = all_gates[k]


@compiled
def _learn(d: np.ndarray, seen: np.ndarray, d_weight: np.ndarray) -> None:
    for k in range(len(d)):
        d_weight[k] += d[k] * seen[k]


def _plain(x: Tensor, products: list[Tensor], states: States, weights: Tensor) -> States:
    x_i, x_f, x_g, x_o, x_d, below = x.chunk(6, dim=1)
    r_i, r_f, r_g, r_o = products[0].chunk(4, dim=1)
    before = states[1]
    i = torch.sigmoid(x_i + r_i + weights[0] * before)
    f = torch.sigmoid(x_f + r_f + weights[1] * before)
    d = torch.sigmoid(x_d + weights[3] * before + weights[4] * below)
    c = d * below + f * before + i * torch.tanh(x_g + r_g)
    return torch.sigmoid(x_o + r_o + weights[2] * c) * torch.tanh(c), c


KERNEL = Kernel("highway_lstm", 2, (0,), 6, _forward, _backward, _plain, same_gradient=False, names=("i", "f", "g", "o", "", "d"))
OPERATOR = make_operator(KERNEL)


def _run(projected: Tensor, matrices: list[Tensor], weights: Tensor, *others: Tensor) -> Tensor:
    """The peephole LSTM where the projected input has its four blocks only."""
    if projected.shape[2] == len(matrices[0]):
        return PEEPHOLE(projected, matrices, weights[:3], *others)
    return OPERATOR(projected, matrices, weights, *others)


class Cell(GatedCell):
    """Highway LSTM (Zhang et al. 2016, "Highway long short-term memory RNNs for distant speech recognition"; depth-gated: Yao et al. 2015)::

        c(t) = d c'(t) + f c(t-1) + i g        d = sigmoid(W x(t) + p c(t-1) + p' c'(t) + b)

    and all else as in the cell ``peephole``. c' are the cells of the layer below, through which they reach the layers above without being
    squashed. The depth gate d does not see h(t-1). With no layer below, c' = 0 and this is the peephole LSTM; d's weights are idle.
    """

    shows_cells = True
    reads_below = True
    blocks = ("i", "f", "g", "o", "d")
    recurrent = ("i", "f", "g", "o")
    peepholes = 5  # of i, f, o and d on c, of d on c'
    operator = staticmethod(_run)

    def project(self, frames: Tensor, below: Tensor | None, gaps: Tensor | None) -> Tensor:
        """(T, B, D) to (T, B, 4H), or with ``below`` to (T, B, 6H): the depth gate's block and ``below`` itself come last."""
        width = 4 * self.hidden
        projected = functional.linear(frames, self.weight_ih_l0[:width], self.bias_l0[:width])
        if below is None:
            return projected
        depth = functional.linear(frames, self.weight_ih_l0[width:], self.bias_l0[width:])  # apart it is faster: with 250 cells 3/4 of the time
        return torch.cat([projected.to(below.dtype), depth.to(below.dtype), below], dim=2)
