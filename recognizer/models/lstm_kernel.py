"""The arithmetic of one frame of the LSTM family: with or without forget gate, coupled gates, peepholes.

Loops are short and write to one array each, because a compiler gives up on vectorising a loop over more arrays than it can prove
to lie apart; all of them stay in the first cache.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from recognizer.models.activation_kernel import compiled, sigmoid, squash_sum, tanh
from recognizer.models.gated import Kernel, States, Step

ONE = np.float32(1)  # a plain 1 is an integer, and an integer with a float32 makes a float64
Forget = Literal["gate", "none", "coupled"]
BLOCKS: dict[Forget, tuple[str, ...]] = {"gate": ("i", "f", "g", "o"), "none": ("i", "g", "o"), "coupled": ("i", "g", "o")}


def lstm_kernel(name: str, forget: Forget = "gate", source: int = 0) -> Kernel:
    """An LSTM with states h, c, pre-activations in the order of BLOCKS, and peepholes for i, f and o (3, H).

    Args:
        name: of the operator.
        forget: by a gate of its own, not at all (f = 1), or by what the input gate leaves (f = 1 - i).
        source: the state in the recurrent product, h (0) or c (1).
    """

    def plain(x: Tensor, products: list[Tensor], states: States, weights: Tensor) -> States:
        blocks = dict(zip(BLOCKS[forget], (x + products[0]).chunk(len(BLOCKS[forget]), dim=1), strict=True))
        before = states[1]
        i = torch.sigmoid(blocks["i"] + weights[0] * before)
        f = torch.sigmoid(blocks["f"] + weights[1] * before) if forget == "gate" else torch.ones_like(i) if forget == "none" else 1 - i
        c = f * before + i * torch.tanh(blocks["g"])
        return torch.sigmoid(blocks["o"] + weights[2] * c) * torch.tanh(c), c

    triton = {"gate": "forget", "none": "none", "coupled": "coupled"}[forget] if source == 0 else None
    names = tuple(gate if gate in BLOCKS[forget] else "" for gate in BLOCKS["gate"])
    return Kernel(name, 2, (source,), 5, *_steps(forget), plain, triton=triton, names=names)


def _steps(forget: Forget) -> tuple[Step, Step]:
    """Forward and backward step; ``kept`` holds i, f, g, o and tanh(c)."""
    has_gate, coupled = forget == "gate", forget == "coupled"
    shift = 1 if has_gate else 0  # blocks between i and g

    @compiled
    def forward(t: int, projected: np.ndarray, products: np.ndarray, states: np.ndarray, kept: np.ndarray, weights: np.ndarray) -> None:
        n = states.shape[3]
        cell, out = (1 + shift) * n, (2 + shift) * n
        for b in range(states.shape[2]):
            x, r, gates = projected[t, b], products[b], kept[t % kept.shape[0], b]
            c_before, c, h = states[1, t, b], states[1, t + 1, b], states[0, t + 1, b]
            i, f, g, o, squashed = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n : 4 * n], gates[4 * n :]
            open_gate(x[:n], r[:n], weights[0], c_before, i)
            if has_gate:
                open_gate(x[n : 2 * n], r[n : 2 * n], weights[1], c_before, f)
            elif coupled:
                for k in range(n):
                    f[k] = ONE - i[k]
            else:
                f[:] = 1
            squash_sum(x[cell : cell + n], r[cell : cell + n], g)
            for k in range(n):
                c[k] = f[k] * c_before[k] + i[k] * g[k]
            open_gate(x[out:], r[out:], weights[2], c, o)
            give_out(c, o, squashed, h)

    @compiled
    def backward(
        t: int, projected: np.ndarray, products: np.ndarray, states: np.ndarray, kept: np.ndarray, weights: np.ndarray,
        d_after: np.ndarray, d_before: np.ndarray, d_projected: np.ndarray, d_products: np.ndarray, d_weights: np.ndarray,
    ) -> None:  # fmt: skip
        n = states.shape[3]
        cell, out = (1 + shift) * n, (2 + shift) * n
        for b in range(states.shape[2]):
            gates, c_before, d = kept[t, b], states[1, t, b], d_projected[t, b]
            i, f, g, o, squashed = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n : 4 * n], gates[4 * n :]
            di, dg, do = d[:n], d[cell : cell + n], d[out:]
            dh, dc, dc_before = d_after[0, b], d_after[1, b], d_before[1, b]
            d_before[0, b] = 0
            for k in range(n):
                do[k] = dh[k] * squashed[k] * o[k] * (ONE - o[k])
            for k in range(n):
                dc[k] += dh[k] * o[k] * (ONE - squashed[k] * squashed[k])
            for k in range(n):
                dc[k] += do[k] * weights[2, k]
            for k in range(n):
                dc_before[k] = dc[k] * f[k]
            if has_gate:
                df = d[n : 2 * n]
                for k in range(n):
                    df[k] = dc[k] * c_before[k] * f[k] * (ONE - f[k])
                for k in range(n):
                    dc_before[k] += df[k] * weights[1, k]
                for k in range(n):
                    d_weights[1, k] += df[k] * c_before[k]
            for k in range(n):
                di[k] = dc[k] * (g[k] - c_before[k] if coupled else g[k]) * i[k] * (ONE - i[k])
            for k in range(n):
                dg[k] = dc[k] * i[k] * (ONE - g[k] * g[k])
            for k in range(n):
                dc_before[k] += di[k] * weights[0, k]
            for k in range(n):
                d_weights[0, k] += di[k] * c_before[k]
            for k in range(n):
                d_weights[2, k] += do[k] * (f[k] * c_before[k] + i[k] * g[k])

    return forward, backward


@compiled
def open_gate(x: np.ndarray, r: np.ndarray, peephole: np.ndarray, c: np.ndarray, out: np.ndarray) -> None:
    """A gate that sees the cell state: sigmoid(x + r + p c), entry by entry."""
    for k in range(len(out)):
        out[k] = sigmoid(x[k] + r[k] + peephole[k] * c[k])


@compiled
def give_out(c: np.ndarray, o: np.ndarray, squashed: np.ndarray, h: np.ndarray) -> None:
    """What the cells show through their output gate: ``squashed`` = tanh(c), h = o tanh(c)."""
    for k in range(len(h)):
        squashed[k] = tanh(c[k])
    for k in range(len(h)):
        h[k] = o[k] * squashed[k]
