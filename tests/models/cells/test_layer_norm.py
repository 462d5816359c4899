"""The layer-normalised LSTM against its equations."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from recognizer.config import CellSettings
from recognizer.models.cells.layer_norm import KERNEL, Cell
from recognizer.models.recurrence import State
from tests.models.cells import helpers, properties

INPUTS, HIDDEN = 3, 5


def make(hidden: int = HIDDEN, **settings: float) -> Cell:
    cell = Cell(INPUTS, hidden, CellSettings(**settings)).double()
    properties.shake(cell)
    return cell


def normalise(a: Tensor) -> Tensor:
    mean = a.sum() / len(a)
    return (a - mean) / (((a - mean) ** 2).sum() / len(a) + 1e-5) ** 0.5


def step(cell: Cell) -> helpers.Step:
    """Equations 20 to 22 of Ba, Kiros & Hinton 2016."""

    def run(x: Tensor, state: State, _: Tensor | None) -> State:
        h, c = state
        a = cell.gain_hh_l0 * normalise(cell.weight_hh_l0 @ h) + cell.gain_ih_l0 * normalise(cell.weight_ih_l0 @ x) + cell.bias_l0
        i, f, g, o = a.view(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(cell.gain_c_l0 * normalise(c) + cell.bias_c_l0), c

    return run


@pytest.mark.parametrize("zoneout", [0.0, 0.3])
def test_equals_the_equations_forward_and_backward(zoneout: float) -> None:
    cell = make(zoneout=zoneout)
    helpers.check_equations(cell, step(cell))


def test_gradients() -> None:
    helpers.check_gradients(make(3))


def test_plain_step(monkeypatch: pytest.MonkeyPatch) -> None:
    helpers.check_plain(monkeypatch, make(), KERNEL)


def test_float32() -> None:
    helpers.check_float32(make(37))


def test_runs(tmp_path: Path) -> None:
    helpers.check_runs(make(), tmp_path, 0.2)


def test_the_scale_of_weights_does_not_matter() -> None:
    cell = make()
    frames, lengths = properties.draw_batch(INPUTS, (6, 6), 6)
    before = cell(frames, lengths, properties.draw_state(cell, frames)).outputs
    with torch.no_grad():
        cell.weight_ih_l0 *= 1000
        cell.weight_hh_l0 *= 1000
    torch.testing.assert_close(cell(frames, lengths, properties.draw_state(cell, frames)).outputs, before, atol=1e-3, rtol=0)


def test_starts_with_gains_of_one_and_an_open_forget_gate() -> None:
    torch.manual_seed(0)
    cell = Cell(INPUTS, HIDDEN, CellSettings(forget_bias=2))
    assert all((gain == 1).all() for gain in (cell.gain_ih_l0, cell.gain_hh_l0, cell.gain_c_l0)) and not cell.bias_c_l0.any()
    assert (cell.bias_l0.view(4, HIDDEN) > 1.5).any(dim=1).tolist() == [False, True, False, False]
    assert not cell(torch.zeros(1, 2, INPUTS), torch.tensor([2])).outputs.isnan().any()
