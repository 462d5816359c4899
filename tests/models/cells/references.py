"""The cells that have a kernel of their own, and their equations: one frame of one sequence, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from recognizer.config import CellSettings
from recognizer.models.cells import build_cell
from recognizer.models.gated_cell import GatedCell
from recognizer.models.recurrence import State
from tests.models.cells import properties
from tests.models.cells.helpers import Step

INPUTS = 3


@dataclass(frozen=True)
class Case:
    """A cell to be tested.

    Attributes:
        step: gives the equations with a cell's weights.
        hidden: H.
        few: H where every derivative is compared with quotients of differences.
        many: H of more than one vector register, and no whole number of them.
        settings: without which the tests would see less.
        coarse: largest error under bfloat16.
    """

    step: Callable[[Any], Step]
    hidden: int = 5
    few: int = 3
    many: int = 37
    settings: dict[str, Any] = field(default_factory=dict)
    coarse: float = 0.1


def make(name: str, hidden: int | None = None, **settings: Any) -> Any:
    """The cell of a case with weights drawn anew."""
    case = CASES[name]
    cell = build_cell(name, INPUTS, hidden or case.hidden, CellSettings(**case.settings | settings)).double()
    properties.shake(cell)
    return cell


def highway(cell: GatedCell) -> Step:
    """Zhang et al. 2016: a peephole LSTM whose cell adds d times that of the layer below."""

    def run(x: Tensor, state: State, below: Tensor | None) -> State:
        assert below is not None and cell.peephole_l0 is not None
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

    def normalise(a: Tensor) -> Tensor:
        mean = a.sum() / len(a)
        return (a - mean) / (((a - mean) ** 2).sum() / len(a) + 1e-5) ** 0.5

    def run(x: Tensor, state: State, _: Tensor | None) -> State:
        h, c = state
        a = cell.gain_hh_l0 * normalise(cell.weight_hh_l0 @ h) + cell.gain_ih_l0 * normalise(cell.weight_ih_l0 @ x) + cell.bias_l0
        i, f, g, o = a.view(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(cell.gain_c_l0 * normalise(c) + cell.bias_c_l0), c

    return run


def time_aware(cell: Any) -> Step:
    """Section 3.2 of Baytas et al. 2017."""

    def run(x: Tensor, state: State, gap: Tensor | None) -> State:
        assert gap is not None
        h, c_before = state
        short = torch.tanh(cell.weight_cc_l0 @ c_before + cell.peephole_l0[0])
        discounted = short / torch.log(math.e + gap)
        adjusted = (c_before - short) + discounted
        i, f, g, o = (cell.weight_ih_l0 @ x + cell.weight_hh_l0 @ h + cell.bias_l0).chunk(4)
        c = torch.sigmoid(f) * adjusted + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    return run


def slstm(cell: GatedCell) -> Step:
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


def project_heads(cell: GatedCell, x: Tensor, h: Tensor) -> list[Tensor]:
    """W x + R h + b of an sLSTM for i, f, z and o, head by head."""
    heads = h.view(cell.settings.heads, -1)
    products = [torch.cat([block @ part for block, part in zip(blocks, heads, strict=True)]) for blocks in cell.weight_hh_l0]
    return [w + r for w, r in zip((cell.weight_ih_l0 @ x + cell.bias_l0).chunk(4), products, strict=True)]


CASES = {
    "highway": Case(highway, few=2),
    "layer_norm": Case(layer_norm, coarse=0.2),
    "slstm": Case(slstm, hidden=6, few=4, many=38, settings={"heads": 2}, coarse=0.2),
    "time_aware": Case(time_aware),
}
