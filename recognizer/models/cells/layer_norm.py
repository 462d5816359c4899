"""The LSTM with layer normalisation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import CellSettings
from recognizer.models.activation_kernel import compiled, sigmoid, tanh
from recognizer.models.gated import Kernel, States, make_operator
from recognizer.models.gated_cell import GatedCell
from recognizer.models.lstm_kernel import ONE

EPSILON = 1e-5  # added to a variance: h and c start at zero
RECURRENT_GAIN = 0.1  # at the start


@compiled
def _forward(t: int, projected: np.ndarray, products: np.ndarray, states: np.ndarray, kept: np.ndarray, weights: np.ndarray) -> None:
    n = states.shape[3]
    for b in range(states.shape[2]):
        x, r, gates = projected[t, b], products[b], kept[t % kept.shape[0], b]
        c_before, c, h = states[1, t, b], states[1, t + 1, b], states[0, t + 1, b]
        i, f, g, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n : 4 * n]
        squashed, raw = gates[4 * n : 5 * n], gates[5 * n :]
        mean, scale = _moments(r)
        _gate(x[:n], r[:n], weights[0], mean, scale, i)
        _gate(x[n : 2 * n], r[n : 2 * n], weights[1], mean, scale, f)
        _squash(x[2 * n : 3 * n], r[2 * n : 3 * n], weights[2], mean, scale, g)
        _gate(x[3 * n :], r[3 * n :], weights[3], mean, scale, o)
        for k in range(n):
            raw[k] = f[k] * c_before[k] + i[k] * g[k]
        c[:] = raw
        mean, scale = _moments(raw)
        _squash(weights[5], raw, weights[4], mean, scale, squashed)
        for k in range(n):
            h[k] = o[k] * squashed[k]


@compiled
def _backward(
    t: int, projected: np.ndarray, products: np.ndarray, states: np.ndarray, kept: np.ndarray, weights: np.ndarray,
    d_after: np.ndarray, d_before: np.ndarray, d_projected: np.ndarray, d_products: np.ndarray, d_weights: np.ndarray,
) -> None:  # fmt: skip
    n = states.shape[3]
    for b in range(states.shape[2]):
        gates, c_before, d, d_product = kept[t, b], states[1, t, b], d_projected[t, b], d_products[t, b]
        i, f, g, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n : 4 * n]
        squashed, raw = gates[4 * n : 5 * n], gates[5 * n :]
        di, df, dg, do = d[:n], d[n : 2 * n], d[2 * n : 3 * n], d[3 * n :]
        dh, dc, dc_before = d_after[0, b], d_after[1, b], d_before[1, b]
        d_before[0, b] = 0
        for k in range(n):
            do[k] = dh[k] * squashed[k] * o[k] * (ONE - o[k])
        for k in range(n):  # from here on dh is the gradient of what tanh was applied to
            dh[k] *= o[k] * (ONE - squashed[k] * squashed[k])
        mean, scale = _moments(raw)
        for k in range(n):
            d_weights[5, k] += dh[k]
        _learn(raw, dh, mean, scale, d_weights[4])
        for k in range(n):
            dh[k] *= weights[4, k]
        _pass_norm(raw, mean, scale, dh)
        for k in range(n):
            dc[k] += dh[k]
        for k in range(n):
            dc_before[k] = dc[k] * f[k]
        for k in range(n):
            di[k] = dc[k] * g[k] * i[k] * (ONE - i[k])
        for k in range(n):
            df[k] = dc[k] * c_before[k] * f[k] * (ONE - f[k])
        for k in range(n):
            dg[k] = dc[k] * i[k] * (ONE - g[k] * g[k])
        r = products[t, b]
        mean, scale = _moments(r)
        for block in range(4):
            start = block * n
            _learn(r[start : start + n], d[start : start + n], mean, scale, d_weights[block])
            for k in range(n):
                d_product[start + k] = d[start + k] * weights[block, k]
        _pass_norm(r, mean, scale, d_product)


@compiled
def _moments(row: np.ndarray) -> tuple[float, float]:
    """Mean, and one over the standard deviation."""
    number = row.dtype.type
    total = number(0)
    for k in range(len(row)):
        total += row[k]
    mean = total / number(len(row))
    spread = number(0)
    for k in range(len(row)):
        spread += (row[k] - mean) * (row[k] - mean)
    return mean, ONE / np.sqrt(spread / number(len(row)) + number(EPSILON))


@compiled
def _gate(x: np.ndarray, row: np.ndarray, gain: np.ndarray, mean: float, scale: float, out: np.ndarray) -> None:
    for k in range(len(out)):
        out[k] = sigmoid(x[k] + gain[k] * ((row[k] - mean) * scale))


@compiled
def _squash(x: np.ndarray, row: np.ndarray, gain: np.ndarray, mean: float, scale: float, out: np.ndarray) -> None:
    for k in range(len(out)):
        out[k] = tanh(x[k] + gain[k] * ((row[k] - mean) * scale))


@compiled
def _learn(row: np.ndarray, d: np.ndarray, mean: float, scale: float, d_gain: np.ndarray) -> None:
    for k in range(len(d)):
        d_gain[k] += d[k] * ((row[k] - mean) * scale)


@compiled
def _pass_norm(row: np.ndarray, mean: float, scale: float, d: np.ndarray) -> None:
    """Turn the gradient of a normalised row into that of the row, in place."""
    number = row.dtype.type
    total, along = number(0), number(0)
    for k in range(len(d)):
        total += d[k]
    for k in range(len(d)):
        along += d[k] * ((row[k] - mean) * scale)
    total, along = total / number(len(d)), along / number(len(d))
    for k in range(len(d)):
        d[k] = scale * (d[k] - total - (row[k] - mean) * scale * along)


def _plain(x: Tensor, products: list[Tensor], states: States, weights: Tensor) -> States:
    size = weights.shape[1]
    normed = functional.layer_norm(products[0], (4 * size,), weights[:4].flatten(), eps=EPSILON)
    i, f, g, o = (x + normed).chunk(4, dim=1)
    c = torch.sigmoid(f) * states[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(functional.layer_norm(c, (size,), weights[4], weights[5], EPSILON)), c


KERNEL = Kernel("layer_norm_lstm", 2, (0,), 6, _forward, _backward, _plain, same_gradient=False, names=("i", "f", "g", "o"))
OPERATOR = make_operator(KERNEL)


class Cell(GatedCell):
    """Layer-normalised LSTM (Ba, Kiros & Hinton 2016, arXiv 1607.06450, equations 20 to 22)::

        i, f, o = sigmoid(a)       g = tanh(a)       a = LN(W x(t)) + LN(R h(t-1)) + b
        c(t) = f c(t-1) + i g      h(t) = o tanh(LN(c(t)) + b')

    LN takes a vector's mean from it, divides by its standard deviation and multiplies by a gain of its own for each element; W x and
    R h are vectors of the four blocks together, 4H long. The biases of the paper's two LN within a add up to b, which is kept alone.
    Gains start at 1, but those of R h at 0.1, where Cooijmans et al. 2017 (arXiv 1603.09025, section 4) start all three of their batch
    normalisation: R h would else weigh as much as W x from the first step, and gradients come close to growing with time. From an output
    of 208 cells to a frame 300 earlier they fall to a hundredth with gains of 1 and grow 70,000 times with gains of 1.5.
    """

    blocks = ("i", "f", "g", "o")
    operator = staticmethod(OPERATOR)

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
        """(T, B, D) to (T, B, 4H), normalised."""
        projected = functional.linear(frames, self.weight_ih_l0)
        return functional.layer_norm(projected, projected.shape[2:], self.gain_ih_l0, self.bias_l0, EPSILON)
