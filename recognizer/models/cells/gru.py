"""The gated recurrent unit."""

from __future__ import annotations

import torch
from torch import Tensor

from recognizer.config import CellSettings
from recognizer.models.kernels.activations import ONE, Array, compiled, sigmoid_sum, tanh
from recognizer.models.kernels.driver import CellKernel, KernelRunner, States
from recognizer.models.recurrent_cell import GatedCell


@compiled
def _forward(t: int, projected: Array, products: Array, states: Array, saved: Array, weights: Array) -> None:
    n = states.shape[3]
    for b in range(states.shape[2]):
        x, product, gates = projected[t, b], products[b], saved[t % saved.shape[0], b]
        r, z, new, inner = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
        before, h, x_new, product_new = states[0, t, b], states[0, t + 1, b], x[2 * n :], product[2 * n :]
        sigmoid_sum(x[: 2 * n], product[: 2 * n], gates[: 2 * n])
        for k in range(n):
            inner[k] = product_new[k] + weights[0, k]
        for k in range(n):
            new[k] = tanh(x_new[k] + r[k] * inner[k])
        for k in range(n):
            h[k] = new[k] + z[k] * (before[k] - new[k])


@compiled
def _backward(
    t: int, projected: Array, products: Array, states: Array, saved: Array, weights: Array,
    d_after: Array, d_before: Array, d_projected: Array, d_products: Array, d_weights: Array,
) -> None:  # fmt: skip
    n = states.shape[3]
    for b in range(states.shape[2]):
        gates, before, d, d_product = saved[t, b], states[0, t, b], d_projected[t, b], d_products[t, b]
        r, z, new, inner = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
        dr, dz, d_new, d_inner = d[:n], d[n : 2 * n], d[2 * n :], d_product[2 * n :]
        dh, dh_before = d_after[0, b], d_before[0, b]
        for k in range(n):
            dz[k] = dh[k] * (before[k] - new[k]) * z[k] * (ONE - z[k])
        for k in range(n):
            d_new[k] = dh[k] * (ONE - z[k]) * (ONE - new[k] * new[k])
        for k in range(n):
            d_inner[k] = d_new[k] * r[k]
        for k in range(n):
            dr[k] = d_new[k] * inner[k] * r[k] * (ONE - r[k])
        for k in range(n):
            dh_before[k] = dh[k] * z[k]
        d_product[: 2 * n] = d[: 2 * n]
        for k in range(n):
            d_weights[0, k] += d_inner[k]


def _plain(x: Tensor, products: list[Tensor], states: States, weights: Tensor) -> States:
    x_r, x_z, x_new = x.chunk(3, dim=1)
    p_r, p_z, p_new = products[0].chunk(3, dim=1)
    z = torch.sigmoid(x_z + p_z)
    new = torch.tanh(x_new + torch.sigmoid(x_r + p_r) * (p_new + weights[0]))
    return ((1 - z) * new + z * states[0],)


class Cell(GatedCell):
    """Gated recurrent unit (Cho et al. 2014), in the form of ``torch.nn.GRU`` whose reset gate acts after the matrix product::

        r, z = sigmoid(W x(t) + R h(t-1) + b)        n = tanh(W x(t) + b + r (R h(t-1) + b'))
        h(t) = (1 - z) n + z h(t-1)

    The state is (h,).
    """

    blocks = ("r", "z", "n")
    num_states = 1
    peepholes = 1  # not a peephole: b'
    runner = KernelRunner(CellKernel("gru", _forward, _backward, _plain, ("r", "z", "n", ""), states=1))

    def __init__(self, inputs: int, hidden: int, settings: CellSettings) -> None:
        super().__init__(inputs, hidden, settings)
        with torch.no_grad():  # a forget gate that stays open is an update gate that stays shut
            self.bias_l0[hidden : 2 * hidden] += settings.forget_bias
