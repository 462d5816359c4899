"""One frame of the LSTM family, forward and back: with or without a forget gate, with coupled gates, with peepholes.

Loops are short and write to one array each: a compiler does not vectorize a loop over more arrays than it can prove to lie apart, and
all of them stay in the first cache. The loops at the end are shared with the cells that have kernels of their own.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from recognizer.models.kernels.activations import ONE, Array, add_product, compiled, sigmoid, tanh, tanh_sum
from recognizer.models.kernels.driver import CellKernel, States, Step

Forget = Literal["gate", "none", "coupled"]
BLOCKS: dict[Forget, tuple[str, ...]] = {"gate": ("i", "f", "g", "o"), "none": ("i", "g", "o"), "coupled": ("i", "g", "o")}


def lstm_kernel(name: str, forget: Forget = "gate", source: int = 0) -> CellKernel:
    """An LSTM with states h and c, pre-activations in the order of ``BLOCKS``, and peepholes of i, f and o, (3, H).

    Args:
        name: of the operator.
        forget: by a gate of its own, not at all (f = 1), or coupled to the input gate (f = 1 - i).
        source: the state in the recurrent product, h (0) or c (1).
    """

    def plain(x: Tensor, products: list[Tensor], states: States, weights: Tensor) -> States:
        blocks = dict(zip(BLOCKS[forget], (x + products[0]).chunk(len(BLOCKS[forget]), dim=1), strict=True))
        before = states[1]
        i = torch.sigmoid(blocks["i"] + weights[0] * before)
        f = torch.sigmoid(blocks["f"] + weights[1] * before) if forget == "gate" else torch.ones_like(i) if forget == "none" else 1 - i
        c = f * before + i * torch.tanh(blocks["g"])
        return torch.sigmoid(blocks["o"] + weights[2] * c) * torch.tanh(c), c

    saved = (*(gate if gate in BLOCKS[forget] else "" for gate in BLOCKS["gate"]), "")
    return CellKernel(name, *_steps(forget), plain, saved, sources=(source,), same_gradient=True, triton=forget if source == 0 else None)


def _steps(forget: Forget) -> tuple[Step, Step]:
    """Forward and backward step; ``saved`` holds i, f, g, o and tanh(c)."""
    has_gate, coupled = forget == "gate", forget == "coupled"
    shift = 1 if has_gate else 0  # blocks between i and g

    @compiled
    def forward(t: int, projected: Array, products: Array, states: Array, saved: Array, weights: Array) -> None:
        n = states.shape[3]
        cell, out = (1 + shift) * n, (2 + shift) * n
        for b in range(states.shape[2]):
            x, r, gates = projected[t, b], products[b], saved[t % saved.shape[0], b]
            c_before, c, h = states[1, t, b], states[1, t + 1, b], states[0, t + 1, b]
            i, f, g, o, squashed = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n : 4 * n], gates[4 * n :]
            peephole_gate(x[:n], r[:n], weights[0], c_before, i)
            if has_gate:
                peephole_gate(x[n : 2 * n], r[n : 2 * n], weights[1], c_before, f)
            elif coupled:
                for k in range(n):
                    f[k] = ONE - i[k]
            else:
                f[:] = 1
            tanh_sum(x[cell : cell + n], r[cell : cell + n], g)
            for k in range(n):
                c[k] = f[k] * c_before[k] + i[k] * g[k]
            peephole_gate(x[out:], r[out:], weights[2], c, o)
            open_output(c, o, squashed, h)

    @compiled
    def backward(
        t: int, projected: Array, products: Array, states: Array, saved: Array, weights: Array,
        d_after: Array, d_before: Array, d_projected: Array, d_products: Array, d_weights: Array,
    ) -> None:  # fmt: skip
        n = states.shape[3]
        cell, out = (1 + shift) * n, (2 + shift) * n
        for b in range(states.shape[2]):
            gates, c_before, d = saved[t, b], states[1, t, b], d_projected[t, b]
            i, f, g = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n]
            di, dg, do = d[:n], d[cell : cell + n], d[out:]
            dc, dc_before = d_after[1, b], d_before[1, b]
            d_before[0, b] = 0
            output_gradient(d_after[0, b], gates, do, dc)
            add_product(do, weights[2], dc)
            if has_gate:
                cell_gradient(dc, gates, c_before, d, dc_before)
                peephole_gradient(d[n : 2 * n], c_before, weights[1], dc_before, d_weights[1])
            else:
                for k in range(n):
                    di[k] = dc[k] * (g[k] - c_before[k] if coupled else g[k]) * i[k] * (ONE - i[k])
                for k in range(n):
                    dg[k] = dc[k] * i[k] * (ONE - g[k] * g[k])
                for k in range(n):
                    dc_before[k] = dc[k] * f[k]
            peephole_gradient(di, c_before, weights[0], dc_before, d_weights[0])
            for k in range(n):
                d_weights[2, k] += do[k] * (f[k] * c_before[k] + i[k] * g[k])

    return forward, backward


@compiled
def peephole_gate(x: Array, r: Array, peephole: Array, c: Array, out: Array) -> None:
    """A gate that sees the cell state: sigmoid(x + r + p c)."""
    for k in range(len(out)):
        out[k] = sigmoid(x[k] + r[k] + peephole[k] * c[k])


@compiled
def peephole_gradient(d: Array, c: Array, peephole: Array, dc: Array, d_peephole: Array) -> None:
    """Add to the gradients of c and p what the gradient ``d`` before a gate makes of them."""
    add_product(d, peephole, dc)
    add_product(d, c, d_peephole)


@compiled
def open_output(c: Array, o: Array, squashed: Array, h: Array) -> None:
    """The output of the cells: ``squashed`` = tanh(c), h = o tanh(c)."""
    for k in range(len(h)):
        squashed[k] = tanh(c[k])
    for k in range(len(h)):
        h[k] = o[k] * squashed[k]


@compiled
def output_gradient(dh: Array, gates: Array, do: Array, dc: Array) -> None:
    """Back through h = o tanh(c) of ``gates`` (i, f, g, o, tanh(c), ...): write the gradient before the output gate, add to that of c."""
    n = len(dh)
    o, squashed = gates[3 * n : 4 * n], gates[4 * n : 5 * n]
    for k in range(n):
        do[k] = dh[k] * squashed[k] * o[k] * (ONE - o[k])
    for k in range(n):
        dc[k] += dh[k] * o[k] * (ONE - squashed[k] * squashed[k])


@compiled
def cell_gradient(dc: Array, gates: Array, c_before: Array, d: Array, dc_before: Array) -> None:
    """Back through c(t) = f c(t-1) + i g of ``gates`` (i, f, g, ...): write the gradients ``d`` before i, f and g, and that of c(t-1).

    ``dc_before`` may be ``c_before`` itself, which is then overwritten.
    """
    n = len(dc)
    i, f, g = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n]
    di, df, dg = d[:n], d[n : 2 * n], d[2 * n : 3 * n]
    for k in range(n):
        di[k] = dc[k] * g[k] * i[k] * (ONE - i[k])
    for k in range(n):
        df[k] = dc[k] * c_before[k] * f[k] * (ONE - f[k])
    for k in range(n):
        dg[k] = dc[k] * i[k] * (ONE - g[k] * g[k])
    for k in range(n):
        dc_before[k] = dc[k] * f[k]
