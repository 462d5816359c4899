"""The LSTM with layer normalization."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import CellSettings
from recognizer.models.kernels.activations import ONE, Array, add_product, compiled, sigmoid_sum, tanh_sum
from recognizer.models.kernels.driver import CellKernel, KernelRunner, States
from recognizer.models.kernels.lstm import cell_gradient
from recognizer.models.recurrent_cell import GatedCell

EPSILON = 1e-5  # added to a variance: h and c start at zero
RECURRENT_GAIN = 0.1  # at the start


@compiled
def _forward(t: int, projected: Array, products: Array, states: Array, saved: Array, weights: Array) -> None:
    n = states.shape[3]
    gains = weights[:4].reshape(4 * n)
    for b in range(states.shape[2]):
        x, r, gates = projected[t, b], products[b], saved[t % saved.shape[0], b]
        c_before, c, h = states[1, t, b], states[1, t + 1, b], states[0, t + 1, b]
        i, f, g, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n : 4 * n]
        squashed, raw = gates[4 * n : 5 * n], gates[5 * n :]
        mean, scale = _moments(r)
        for k in range(4 * n):
            r[k] = gains[k] * ((r[k] - mean) * scale)
        sigmoid_sum(x[: 2 * n], r[: 2 * n], gates[: 2 * n])
        tanh_sum(x[2 * n : 3 * n], r[2 * n : 3 * n], g)
        sigmoid_sum(x[3 * n :], r[3 * n :], o)
        for k in range(n):
            raw[k] = f[k] * c_before[k] + i[k] * g[k]
        c[:] = raw
        mean, scale = _moments(raw)
        for k in range(n):
            h[k] = weights[4, k] * ((raw[k] - mean) * scale)
        tanh_sum(weights[5], h, squashed)
        for k in range(n):
            h[k] = o[k] * squashed[k]


@compiled
def _backward(
    t: int, projected: Array, products: Array, states: Array, saved: Array, weights: Array,
    d_after: Array, d_before: Array, d_projected: Array, d_products: Array, d_weights: Array,
) -> None:  # fmt: skip
    n = states.shape[3]
    gains, d_gains, normed = weights[:4].reshape(4 * n), d_weights[:4].reshape(4 * n), np.empty_like(products[t, 0])
    for b in range(states.shape[2]):
        gates, d, d_product = saved[t, b], d_projected[t, b], d_products[t, b]
        o, squashed, raw, do = gates[3 * n : 4 * n], gates[4 * n : 5 * n], gates[5 * n :], d[3 * n :]
        dh, dc, dc_before = d_after[0, b], d_after[1, b], d_before[1, b]
        d_before[0, b] = 0
        for k in range(n):
            do[k] = dh[k] * squashed[k] * o[k] * (ONE - o[k])
        for k in range(n):  # from here on dh is the gradient of what tanh was applied to
            dh[k] *= o[k] * (ONE - squashed[k] * squashed[k])
        for k in range(n):
            d_weights[5, k] += dh[k]
        _normalize_gradient(raw, weights[4], dh, normed[:n], dc_before, d_weights[4])
        for k in range(n):
            dc[k] += dc_before[k]
        cell_gradient(dc, gates, states[1, t, b], d, dc_before)
        _normalize_gradient(products[t, b], gains, d, normed, d_product, d_gains)


@compiled
def _moments(row: Array) -> tuple[float, float]:
    """Mean, and one over the standard deviation."""
    number = row.dtype.type
    total, spread = number(0), number(0)
    for k in range(len(row)):
        total += row[k]
    mean = total / number(len(row))
    for k in range(len(row)):
        spread += (row[k] - mean) * (row[k] - mean)
    return mean, ONE / np.sqrt(spread / number(len(row)) + number(EPSILON))


@compiled
def _normalize_gradient(row: Array, gain: Array, d: Array, normed: Array, d_row: Array, d_gain: Array) -> None:
    """From the gradient ``d`` of a normalized row times its gain, write that of the row and add to that of the gain; ``normed`` is room."""
    number = row.dtype.type
    mean, scale = _moments(row)
    for k in range(len(row)):
        normed[k] = (row[k] - mean) * scale
    add_product(d, normed, d_gain)
    total, along = number(0), number(0)
    for k in range(len(row)):
        d_row[k] = d[k] * gain[k]
    for k in range(len(row)):
        total += d_row[k]
    for k in range(len(row)):
        along += d_row[k] * normed[k]
    total, along = total / number(len(row)), along / number(len(row))
    for k in range(len(row)):
        d_row[k] = scale * (d_row[k] - total - normed[k] * along)


def _plain(x: Tensor, products: list[Tensor], states: States, weights: Tensor) -> States:
    size = weights.shape[1]
    normed = functional.layer_norm(products[0], (4 * size,), weights[:4].flatten(), eps=EPSILON)
    i, f, g, o = (x + normed).chunk(4, dim=1)
    c = torch.sigmoid(f) * states[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(functional.layer_norm(c, (size,), weights[4], weights[5], EPSILON)), c


class Cell(GatedCell):
    """Layer-normalized LSTM (Ba, Kiros & Hinton 2016, arXiv 1607.06450, equations 20 to 22)::

        i, f, o = sigmoid(a)       g = tanh(a)       a = LN(W x(t)) + LN(R h(t-1)) + b
        c(t) = f c(t-1) + i g      h(t) = o tanh(LN(c(t)) + b')

    LN takes a vector's mean from it, divides by its standard deviation and multiplies by a gain of its own for each element; W x and
    R h are vectors of the four blocks together, 4H long. The biases of the paper's two LN within a add up to b, which is kept alone.
    Gains start at 1, but those of R h at 0.1, where Cooijmans et al. 2017 (arXiv 1603.09025, section 4) start all three of their batch
    normalization: R h would else weigh as much as W x from the first step, and gradients come close to growing with time. From an output
    of 208 cells to a frame 300 earlier they fall to a hundredth with gains of 1 and grow 70,000 times with gains of 1.5.
    """

    blocks = ("i", "f", "g", "o")
    runner = KernelRunner(CellKernel("layer_norm_lstm", _forward, _backward, _plain, ("i", "f", "g", "o", "", "")))

    def __init__(self, inputs: int, hidden: int, settings: CellSettings) -> None:
        super().__init__(inputs, hidden, settings)
        self.gain_ih_l0 = nn.Parameter(torch.ones(4 * hidden))
        self.gain_hh_l0 = nn.Parameter(torch.full((4 * hidden,), RECURRENT_GAIN))
        self.gain_c_l0 = nn.Parameter(torch.ones(hidden))
        self.bias_c_l0 = nn.Parameter(torch.zeros(hidden))

    def weights(self) -> Tensor:
        """(6, H): gains of the recurrent product, gain and bias of the cell state."""
        return torch.cat([self.gain_hh_l0.view(4, -1), self.gain_c_l0[None], self.bias_c_l0[None]])

    def project(self, frames: Tensor, below: Tensor | None, gaps: Tensor | None) -> Tensor:
        """(T, B, D) to (T, B, 4H), normalized."""
        projected = functional.linear(frames, self.weight_ih_l0)
        return functional.layer_norm(projected, projected.shape[2:], self.gain_ih_l0, self.bias_l0, EPSILON)
