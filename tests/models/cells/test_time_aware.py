"""The time-aware LSTM against its equations, and against the LSTM where no time goes by."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from recognizer.config import CellSettings
from recognizer.models.cells.lstm import Cell as Lstm
from recognizer.models.cells.time_aware import KERNEL, Cell
from recognizer.models.recurrence import State, run_in_chunks
from tests.models.cells import helpers, properties

INPUTS, HIDDEN = 3, 5


def make(hidden: int = HIDDEN, **settings: float) -> Cell:
    cell = Cell(INPUTS, hidden, CellSettings(**settings)).double()
    properties.shake(cell)
    return cell


def step(cell: Cell) -> helpers.Step:
    """Section 3.2 of Baytas et al. 2017."""

    def run(x: Tensor, state: State, gap: Tensor | None) -> State:
        assert gap is not None and cell.peephole_l0 is not None
        h, c_before = state
        short = torch.tanh(cell.weight_cc_l0 @ c_before + cell.peephole_l0[0])
        discounted = short / torch.log(math.e + gap)
        adjusted = (c_before - short) + discounted
        i, f, g, o = (cell.weight_ih_l0 @ x + cell.weight_hh_l0 @ h + cell.bias_l0).chunk(4)
        c = torch.sigmoid(f) * adjusted + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

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
    helpers.check_runs(make(), tmp_path)


def test_after_no_time_it_is_the_lstm() -> None:
    cell, lstm = make(), Lstm(INPUTS, HIDDEN, CellSettings()).double()
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(cell.weight_ih_l0)
        lstm.weight_hh_l0.copy_(cell.weight_hh_l0)
        lstm.bias_ih_l0.copy_(cell.bias_l0)
        lstm.bias_hh_l0.zero_()
    frames, lengths = properties.draw_batch(INPUTS, (6, 6), 6)
    state = properties.draw_state(cell, frames)
    properties.close(cell(frames, lengths, state, gaps=torch.zeros(2, 6)).outputs, lstm(frames, lengths, state).outputs)


def test_no_gaps_are_gaps_of_one() -> None:
    cell = make()
    frames, lengths = properties.draw_batch(INPUTS)
    properties.close(cell(frames, lengths).outputs, cell(frames, lengths, gaps=torch.ones(frames.shape[:2])).outputs, 0)


@pytest.mark.parametrize(("gap", "left"), [(0, 1), (1, 0.7615), (10, 0.3932), (100, 0.2159)])
def test_what_is_left_of_the_short_term_memory(gap: float, left: float) -> None:
    cell = make()
    with torch.no_grad():
        cell.weight_ih_l0.zero_()
        cell.weight_hh_l0.zero_()
        cell.bias_l0.copy_(torch.tensor([-50.0, 50, 0, 0], dtype=torch.float64).repeat_interleave(HIDDEN))  # nothing in, all kept
    before = torch.full((1, HIDDEN), 0.8, dtype=torch.float64)
    short = torch.tanh(before @ cell.weight_cc_l0.T + cell.peephole_l0)
    after = cell(torch.zeros(1, 1, INPUTS).double(), torch.tensor([1]), (before, before), carry=True, gaps=torch.tensor([[gap]])).state[1]
    properties.close((after - (before - short)) / short, torch.full_like(short, left), 1e-4)


def test_chunks_take_their_own_gaps() -> None:
    cell = make()
    frames, lengths = properties.draw_batch(INPUTS)
    gaps = torch.rand(frames.shape[:2], generator=torch.Generator().manual_seed(4)) * 50
    whole = cell(frames, lengths, carry=True, gaps=gaps)
    parts = run_in_chunks(cell, frames, lengths, 3, gaps=gaps)
    properties.close(parts.state, whole.state)
    assert not torch.allclose(whole.state[1], cell(frames, lengths, carry=True).state[1], atol=1e-2)
