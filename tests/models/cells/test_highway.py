"""The highway LSTM against its equations, and against the peephole LSTM where there is no layer below."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from recognizer.config import CellSettings
from recognizer.models.cells.highway import KERNEL, Cell
from recognizer.models.cells.peephole import Cell as Peephole
from recognizer.models.recurrence import State
from tests.models.cells import helpers, properties

INPUTS, HIDDEN = 3, 5


def make(hidden: int = HIDDEN, **settings: float) -> Cell:
    cell = Cell(INPUTS, hidden, CellSettings(**settings)).double()
    properties.shake(cell)
    return cell


def step(cell: Cell) -> helpers.Step:
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


@pytest.mark.parametrize("zoneout", [0.0, 0.3])
def test_equals_the_equations_forward_and_backward(zoneout: float) -> None:
    cell = make(zoneout=zoneout)
    helpers.check_equations(cell, step(cell))


def test_gradients() -> None:
    helpers.check_gradients(make(2))


def test_plain_step(monkeypatch: pytest.MonkeyPatch) -> None:
    helpers.check_plain(monkeypatch, make(), KERNEL)


def test_float32() -> None:
    helpers.check_float32(make(37))


def test_runs(tmp_path: Path) -> None:
    helpers.check_runs(make(), tmp_path)


def test_with_no_layer_below_it_is_the_peephole_lstm(tmp_path: Path) -> None:
    cell, peephole = make(zoneout=0.2).eval(), Peephole(INPUTS, HIDDEN, CellSettings(zoneout=0.2)).double().eval()
    rows = 4 * HIDDEN
    with torch.no_grad():
        for own, other in zip(peephole.parameters(), cell.parameters(), strict=True):
            own.copy_(other[: len(own)])
    frames, lengths = properties.draw_batch(INPUTS)
    state = properties.draw_state(cell, frames)
    own, other = cell(frames, lengths, state, carry=True), peephole(frames, lengths, state, carry=True)
    properties.close((own.outputs, *own.state), (other.outputs, *other.state), 0)
    own.outputs.square().sum().backward()
    other.outputs.square().sum().backward()
    properties.close(cell.weight_ih_l0.grad[:rows], peephole.weight_ih_l0.grad, 0)
    properties.close(cell.peephole_l0.grad[:3], peephole.peephole_l0.grad, 0)
    assert not cell.weight_ih_l0.grad[rows:].any() and not cell.bias_l0.grad[rows:].any() and not cell.peephole_l0.grad[3:].any()
    properties.check_export(cell, frames, lengths, tmp_path)


def test_nothing_below_is_no_layer_below() -> None:
    cell = make()
    frames, lengths = properties.draw_batch(INPUTS)
    zeros = frames.new_zeros(*frames.shape[:2], HIDDEN)
    properties.close(cell(frames, lengths, below=zeros).outputs, cell(frames, lengths).outputs)


def test_shows_its_cells_to_the_layer_above() -> None:
    lower, upper = make(), Cell(HIDDEN, HIDDEN, CellSettings()).double()
    frames, lengths = properties.draw_batch(INPUTS, (6, 6), 6)
    below = lower(frames, lengths, carry=True)
    properties.close(below.cells[:, -1], below.state[1], 0)
    properties.close(below.outputs.sign(), below.cells.sign(), 0)  # h = o tanh(c)
    with torch.no_grad():  # the depth gate wide open, all others shut: cells go through as they are
        upper.weight_ih_l0.zero_()
        upper.weight_hh_l0.zero_()
        upper.peephole_l0.zero_()
        upper.bias_l0.copy_(torch.tensor([-50.0, -50, 0, 0, 50], dtype=torch.float64).repeat_interleave(HIDDEN))
    properties.close(upper(below.outputs, lengths, below=below.cells).cells, below.cells)
