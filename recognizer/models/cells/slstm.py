"""sLSTM: exponential input gates, a normalizer, recurrent weights within heads."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recognizer.config import CellSettings
from recognizer.config.schema import require
from recognizer.models.kernels.activations import ONE, ZERO, Array, compiled, exp, log_sigmoid, sigmoid, sigmoid_sum, tanh_sum
from recognizer.models.kernels.driver import CellKernel, KernelRunner, States
from recognizer.models.recurrent_cell import GatedCell

LOG_ZERO = np.float32(-np.inf)  # logarithm of what an empty memory weighs


@compiled
def _forward(t: int, projected: Array, products: Array, states: Array, saved: Array, weights: Array) -> None:
    n = states.shape[3]
    for b in range(states.shape[2]):
        x, r, gates = projected[t, b], products[b], saved[t % saved.shape[0], b]
        c_before, n_before, m_before = states[1, t, b], states[2, t, b], states[3, t, b]
        h, c, normalizer, m = states[0, t + 1, b], states[1, t + 1, b], states[2, t + 1, b], states[3, t + 1, b]
        i, f, z, o, shut = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n : 4 * n], gates[4 * n :]
        old, new = z, o  # logarithms of what the memory and the frame weigh, until z and o are due
        for k in range(n):
            f[k] = x[n + k] + r[n + k]
        for k in range(n):
            old[k] = log_sigmoid(f[k]) + m_before[k] if n_before[k] != ZERO else LOG_ZERO
        for k in range(n):
            shut[k] = sigmoid(-f[k])
        for k in range(n):
            new[k] = x[k] + r[k]
        for k in range(n):
            m[k] = old[k] if old[k] > new[k] else new[k]
        for k in range(n):  # either gate is 1 after division by exp(m), and this is the other
            i[k] = exp(-np.abs(old[k] - new[k]))
        for k in range(n):
            f[k] = ONE if old[k] > new[k] else i[k]
        for k in range(n):
            i[k] = i[k] if old[k] > new[k] else ONE
        tanh_sum(x[2 * n : 3 * n], r[2 * n : 3 * n], z)
        sigmoid_sum(x[3 * n :], r[3 * n :], o)
        for k in range(n):
            c[k] = f[k] * c_before[k] + i[k] * z[k]
        for k in range(n):
            normalizer[k] = f[k] * n_before[k] + i[k]
        for k in range(n):
            h[k] = o[k] * c[k] / normalizer[k]


@compiled
def _backward(
    t: int, projected: Array, products: Array, states: Array, saved: Array, weights: Array,
    d_after: Array, d_before: Array, d_projected: Array, d_products: Array, d_weights: Array,
) -> None:  # fmt: skip
    n = states.shape[3]
    for b in range(states.shape[2]):
        gates, d, c_before, n_before = saved[t, b], d_projected[t, b], states[1, t, b], states[2, t, b]
        c, normalizer = states[1, t + 1, b], states[2, t + 1, b]
        i, f, z, o, shut = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n : 4 * n], gates[4 * n :]
        di, df, dz, do = d[:n], d[n : 2 * n], d[2 * n : 3 * n], d[3 * n :]
        dh, dc, dn, dm = d_after[0, b], d_after[1, b], d_after[2, b], d_after[3, b]
        dc_before, dn_before, dm_before = d_before[1, b], d_before[2, b], d_before[3, b]
        d_before[0, b] = 0
        for k in range(n):  # from here on dh is the gradient of c(t)
            dh[k] *= o[k] / normalizer[k]
        for k in range(n):
            dn[k] -= dh[k] * c[k] / normalizer[k]
        for k in range(n):
            do[k] = dh[k] * c[k] * (ONE - o[k])
        for k in range(n):
            dc[k] += dh[k]
        for k in range(n):
            dc_before[k] = dc[k] * f[k]
        for k in range(n):
            dn_before[k] = dn[k] * f[k]
        for k in range(n):
            dz[k] = dc[k] * i[k] * (ONE - z[k] * z[k])
        for k in range(n):  # of the logarithms, as if m did not depend on them
            di[k] = (dc[k] * z[k] + dn[k]) * i[k]
        for k in range(n):
            dm_before[k] = (dc[k] * c_before[k] + dn[k] * n_before[k]) * f[k]
        for k in range(n):  # what moves m moves the gate that is not 1, the other way
            df[k] = dm[k] - di[k] if f[k] == ONE else dm_before[k]
        for k in range(n):
            di[k] = di[k] if f[k] == ONE else dm[k] - dm_before[k]
        for k in range(n):
            dm_before[k] = df[k]
        for k in range(n):
            df[k] *= shut[k]


def _plain(x: Tensor, products: list[Tensor], states: States, weights: Tensor) -> States:
    i, f, z, o = (x + products[0]).chunk(4, dim=1)
    _, c_before, n_before, m_before = states
    old = (functional.logsigmoid(f) + m_before).masked_fill(n_before == 0, -torch.inf)
    m = torch.maximum(old, i)
    i, f = torch.exp(i - m), torch.exp(old - m)
    c, n = f * c_before + i * torch.tanh(z), f * n_before + i
    return torch.sigmoid(o) * c / n, c, n, m


class Cell(GatedCell):
    """sLSTM (Beck et al. 2024, arXiv 2405.04517, equations 8 to 17)::

        m(t) = max(log f + m(t-1), a)        f' = exp(log f + m(t-1) - m(t))        c(t) = f' c(t-1) + i' z        h(t) = o c(t) / n(t)
        a = W x(t) + R h(t-1) + b            i' = exp(a - m(t))                     n(t) = f' n(t-1) + i'
        f, o = sigmoid(W x(t) + R h(t-1) + b)                                       z = tanh(W x(t) + R h(t-1) + b)

    The input gate is exp(a). Of the paper's two forget gates, exponential or logistic, this is the logistic one, as in its authors' code.
    m does nothing but keep the exponentials from overflowing. The state is (h, c, n, m); where n is zero nothing has been stored and
    m(t-1) counts as minus infinity, so that a memory of zeros is an empty one and n(t) at least 1 from its first frame on. R joins the
    cells of one head only: ``settings.heads`` blocks of size H / heads on its diagonal.

    Raises:
        ConfigError: heads that do not divide H; zoneout, because c and n are on the scale of m, and zoneout would mix numbers
            of different scales.
    """

    blocks = ("i", "f", "z", "o")
    num_states = 4
    runner = KernelRunner(CellKernel("slstm", _forward, _backward, _plain, ("i'", "f'", "z", "o", ""), states=4, same_gradient=True))

    def __init__(self, inputs: int, hidden: int, settings: CellSettings) -> None:
        heads = settings.heads
        require(hidden % heads == 0, "model.recurrent.heads", f"{heads} heads do not divide model.hidden_size={hidden}")
        require(settings.zoneout == 0, "model.recurrent.zoneout", "must be 0: c and n of slstm mean nothing with an m of another frame")
        super().__init__(inputs, hidden, settings)
        self.weight_hh_l0 = self._draw(4, heads, hidden // heads, hidden // heads)

    def matrices(self) -> list[Tensor]:
        """One matrix (4H, H), zero outside the heads."""
        return [torch.cat([torch.block_diag(*block) for block in self.weight_hh_l0])]
