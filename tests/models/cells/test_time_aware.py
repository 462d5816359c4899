"""The time-aware LSTM: what gaps do, and against the LSTM where no time goes by."""

from __future__ import annotations

import pytest
import torch

from recognizer.config import CellSettings
from recognizer.models.cells.lstm import Cell as Lstm
from recognizer.models.recurrent_cell import run_in_chunks
from tests.models.cells import properties
from tests.models.cells.references import INPUTS, make

HIDDEN = 5


def test_after_no_time_it_is_the_lstm() -> None:
    cell, lstm = make("time_aware"), Lstm(INPUTS, HIDDEN, CellSettings()).double()
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(cell.weight_ih_l0)
        lstm.weight_hh_l0.copy_(cell.weight_hh_l0)
        lstm.bias_ih_l0.copy_(cell.bias_l0)
        lstm.bias_hh_l0.zero_()
    frames, lengths = properties.draw_batch(INPUTS, (6, 6), 6)
    state = properties.draw_state(cell, frames)
    properties.close(cell(frames, lengths, state, gaps=torch.zeros(2, 6)).outputs, lstm(frames, lengths, state).outputs)


def test_no_gaps_are_gaps_of_one() -> None:
    cell = make("time_aware")
    frames, lengths = properties.draw_batch(INPUTS)
    properties.close(cell(frames, lengths).outputs, cell(frames, lengths, gaps=torch.ones(frames.shape[:2])).outputs, 0)


@pytest.mark.parametrize(("gap", "left"), [(0, 1), (1, 0.7615), (10, 0.3932), (100, 0.2159)])
def test_what_is_left_of_the_short_term_memory(gap: float, left: float) -> None:
    cell = make("time_aware")
    with torch.no_grad():
        cell.weight_ih_l0.zero_()
        cell.weight_hh_l0.zero_()
        cell.bias_l0.copy_(torch.tensor([-50.0, 50, 0, 0], dtype=torch.float64).repeat_interleave(HIDDEN))  # nothing in, all kept
    before = torch.full((1, HIDDEN), 0.8, dtype=torch.float64)
    short = torch.tanh(before @ cell.weight_cc_l0.T + cell.peephole_l0)
    after = cell(torch.zeros(1, 1, INPUTS).double(), torch.tensor([1]), (before, before), carry=True, gaps=torch.tensor([[gap]])).state[1]
    properties.close((after - (before - short)) / short, torch.full_like(short, left), 1e-4)


def test_chunks_take_their_own_gaps() -> None:
    cell = make("time_aware")
    frames, lengths = properties.draw_batch(INPUTS)
    gaps = torch.rand(frames.shape[:2], generator=torch.Generator().manual_seed(4)) * 50
    whole = cell(frames, lengths, carry=True, gaps=gaps)
    parts = run_in_chunks(cell, frames, lengths, 3, gaps=gaps)
    properties.close(parts.state, whole.state)
    assert not torch.allclose(whole.state[1], cell(frames, lengths, carry=True).state[1], atol=1e-2)
