"""The equations of the cells with compiled kernels: one frame of one sequence, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from recognizer.config import CellParts, CellSettings
from recognizer.models.cells import build_cell
from recognizer.models.recurrent_cell import State
from tests.models.cells import properties
from tests.models.cells.properties import Step

INPUTS, HIDDEN = 3, 5


@dataclass(frozen=True)
class Case:
    """A cell to be tested.

    Attributes:
        step: gives the equations with a cell's weights.
        inputs, hidden: D and H.
        few: H where every derivative is compared with quotients of differences.
        many: H of more than one vector register, and no whole number of them.
        settings: without which the tests would see less.
        coarse: largest error under bfloat16.
    """

    step: Callable[[Any], Step]
    inputs: int = INPUTS
    hidden: int = HIDDEN
    few: int = 3
    many: int = 37
    settings: dict[str, Any] = field(default_factory=dict)
    coarse: float = 0.1


def make(name: str, hidden: int | None = None, **settings: Any) -> Any:
    """The cell of a case with weights drawn anew."""
    case = CASES[name]
    cell = build_cell(name, case.inputs, hidden or case.hidden, CellSettings(**case.settings | settings)).double()
    properties.shake(cell)
    return cell


def lstm(cell: Any, forget: str = "gate", peepholes: bool = True) -> Step:
    """Gers, Schraudolph & Schmidhuber 2002; without forget gate Hochreiter & Schmidhuber 1997; coupled: Greff et al. 2017."""

    def run(x: Tensor, state: State, _: Tensor | None) -> State:
        h, c = state
        p = cell.peephole_l0 if peepholes else torch.zeros(3, len(c), dtype=x.dtype)
        blocks = (cell.weight_ih_l0 @ x + cell.weight_hh_l0 @ h + cell.bias_l0).view(-1, len(c))
        i = torch.sigmoid(blocks[0] + p[0] * c)
        f = torch.sigmoid(blocks[1] + p[1] * c) if forget == "gate" else torch.ones_like(i) if forget == "none" else 1 - i
        new = f * c + i * torch.tanh(blocks[-2])
        return torch.sigmoid(blocks[-1] + p[2] * new) * torch.tanh(new), new

    return run


def composed(cell: Any) -> Step:
    """Greff et al. 2017: an LSTM without the parts that the settings take from it."""
    parts, order = cell.settings.parts, [gate for gate in "ifo" if gate in cell.blocks]

    def run(x: Tensor, state: State, _: Tensor | None) -> State:
        h, c = state
        a = dict(zip(cell.blocks, (cell.weight_ih_l0 @ x + cell.bias_l0).view(-1, len(c)), strict=True))
        fed = [name for name in cell.blocks if (parts.recurrent_input if name == "g" else parts.recurrent_gates)]
        for place, name in enumerate(fed):
            a[name] = a[name] + cell.weight_hh_l0.view(len(fed), len(c), len(c))[place] @ h

        def gate(name: str, seen: Tensor) -> Tensor:
            peephole = cell.peephole_l0[order.index(name)] if parts.peepholes else 0
            return torch.sigmoid(a[name] + peephole * seen)

        i = gate("i", c) if parts.input_gate else torch.ones_like(c)
        f = {"gate": lambda: gate("f", c), "coupled": lambda: 1 - i, "none": lambda: torch.ones_like(c)}[parts.forget_gate]()
        new = f * c + i * (a["g"].tanh() if parts.input_activation else a["g"])
        o = gate("o", new) if parts.output_gate else torch.ones_like(c)
        return o * (new.tanh() if parts.output_activation else new), new

    return run


def cell_gated(cell: Any) -> Step:
    """A peephole LSTM with c(t-1) in place of h(t-1)."""

    def run(x: Tensor, state: State, _: Tensor | None) -> State:
        _, c = state
        w_i, w_f, w_g, w_o = (cell.weight_ih_l0 @ x + cell.bias_l0).chunk(4)
        u_i, u_f, u_o = (cell.weight_hh_l0 @ c).chunk(3)
        new = torch.sigmoid(w_f + u_f) * c + torch.sigmoid(w_i + u_i) * torch.tanh(w_g)
        return torch.sigmoid(w_o + u_o) * torch.tanh(new), new

    return run


def gru(cell: Any) -> Step:
    """Cho et al. 2014, with the reset gate behind the matrix product."""

    def run(x: Tensor, state: State, _: Tensor | None) -> State:
        (h,) = state
        w_r, w_z, w_n = (cell.weight_ih_l0 @ x + cell.bias_l0).chunk(3)
        u_r, u_z, u_n = (cell.weight_hh_l0 @ h).chunk(3)
        r, z = torch.sigmoid(w_r + u_r), torch.sigmoid(w_z + u_z)
        return ((1 - z) * torch.tanh(w_n + r * (u_n + cell.peephole_l0[0])) + z * h,)

    return run


def highway(cell: Any) -> Step:
    """Zhang et al. 2016: a peephole LSTM whose cell adds d times that of the layer below."""

    def run(x: Tensor, state: State, below: Tensor | None) -> State:
        assert below is not None
        h, c_before = state
        w_i, w_f, w_g, w_o, w_d = (cell.weight_ih_l0 @ x + cell.bias_l0).chunk(5)
        r_i, r_f, r_g, r_o = (cell.weight_hh_l0 @ h).chunk(4)
        p_i, p_f, p_o, p_d, l_d = cell.peephole_l0
        d = torch.sigmoid(w_d + p_d * c_before + l_d * below)
        i, f = torch.sigmoid(w_i + r_i + p_i * c_before), torch.sigmoid(w_f + r_f + p_f * c_before)
        c = d * below + f * c_before + i * torch.tanh(w_g + r_g)
        return torch.sigmoid(w_o + r_o + p_o * c) * torch.tanh(c), c

    return run


def layer_norm(cell: Any) -> Step:
    """Equations 20 to 22 of Ba, Kiros & Hinton 2016."""

    def normalize(a: Tensor) -> Tensor:
        mean = a.sum() / len(a)
        return (a - mean) / (((a - mean) ** 2).sum() / len(a) + 1e-5) ** 0.5

    def run(x: Tensor, state: State, _: Tensor | None) -> State:
        h, c = state
        a = cell.gain_hh_l0 * normalize(cell.weight_hh_l0 @ h) + cell.gain_ih_l0 * normalize(cell.weight_ih_l0 @ x) + cell.bias_l0
        i, f, g, o = a.view(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(cell.gain_c_l0 * normalize(c) + cell.bias_c_l0), c

    return run


def time_aware(cell: Any) -> Step:
    """Section 3.2 of Baytas et al. 2017."""

    def run(x: Tensor, state: State, gap: Tensor | None) -> State:
        assert gap is not None
        h, c_before = state
        short = torch.tanh(cell.weight_cc_l0 @ c_before + cell.peephole_l0[0])
        adjusted = (c_before - short) + short / torch.log(math.e + gap)
        i, f, g, o = (cell.weight_ih_l0 @ x + cell.weight_hh_l0 @ h + cell.bias_l0).chunk(4)
        c = torch.sigmoid(f) * adjusted + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    return run


def slstm(cell: Any) -> Step:
    """Equations 8 to 17 of Beck et al. 2024, with the logistic forget gate."""

    def run(x: Tensor, state: State, _: Tensor | None) -> State:
        h, c, n, m_before = state
        i, f, z, o = project_heads(cell, x, h)
        log_f = torch.sigmoid(f).log()
        m = torch.maximum(log_f + m_before, i)
        c = (log_f + m_before - m).exp() * c + (i - m).exp() * torch.tanh(z)
        n = (log_f + m_before - m).exp() * n + (i - m).exp()
        return torch.sigmoid(o) * c / n, c, n, m

    return run


def project_heads(cell: Any, x: Tensor, h: Tensor) -> list[Tensor]:
    """W x + R h + b of an sLSTM for i, f, z and o, head by head."""
    heads = h.view(cell.settings.heads, -1)
    products = [torch.cat([block @ part for block, part in zip(blocks, heads, strict=True)]) for blocks in cell.weight_hh_l0]
    return [w + r for w, r in zip((cell.weight_ih_l0 @ x + cell.bias_l0).chunk(4), products, strict=True)]


def conv_lstm(cell: Any) -> Step:
    """Equations 3 of Shi et al. 2015; a state or frame holds channel after channel."""

    def convolve(kernel: Tensor, flat: Tensor) -> Tensor:
        """out(c', p) = sum over c and k of kernel(c', c, k) maps(c, p + k - (K - 1) / 2)."""
        maps, half = flat.view(kernel.shape[1], -1), kernel.shape[2] // 2
        padded = torch.nn.functional.pad(maps, (half, half))
        columns = [(kernel * padded[:, p : p + kernel.shape[2]]).sum((1, 2)) for p in range(maps.shape[1])]
        return torch.stack(columns, dim=1).flatten()

    def run(x: Tensor, state: State, _: Tensor | None) -> State:
        h, c = state
        bias = cell.bias.repeat_interleave(cell.settings.positions)
        i, f, g, o = (convolve(cell.input_kernel, x) + convolve(cell.hidden_kernel, h) + bias).chunk(4)
        p_i, p_f, p_o = torch.zeros(3, len(c), dtype=x.dtype) if cell.peepholes is None else cell.peepholes.flatten(1)
        new = torch.sigmoid(f + p_f * c) * c + torch.sigmoid(i + p_i * c) * torch.tanh(g)
        return torch.sigmoid(o + p_o * new) * torch.tanh(new), new

    return run


CASES = {
    "peephole": Case(lstm, coarse=0.05),
    "lstm_1997": Case(lambda cell: lstm(cell, "none", peepholes=False), coarse=0.05),
    "coupled": Case(lambda cell: lstm(cell, "coupled"), coarse=0.05),
    "composed": Case(composed, settings={"parts": CellParts(input_gate=False, peepholes=True)}),
    "cell_gated": Case(cell_gated, coarse=0.05),
    "gru": Case(gru, coarse=0.05),
    "highway": Case(highway, few=2),
    "layer_norm": Case(layer_norm, coarse=0.2),
    "slstm": Case(slstm, hidden=6, few=4, many=38, settings={"heads": 2}, coarse=0.2),
    "time_aware": Case(time_aware),
    "conv_lstm": Case(conv_lstm, inputs=8, hidden=8, few=4, many=36, settings={"positions": 4, "kernel": 3}, coarse=0.03),
}
