"""The highway LSTM: against the peephole LSTM where there is no layer below, and what goes from layer to layer."""

from __future__ import annotations

import torch

from recognizer.config import CellSettings
from recognizer.models.cells.highway import Cell
from recognizer.models.cells.peephole import Cell as Peephole
from tests.models.cells import properties
from tests.models.cells.references import INPUTS, make

HIDDEN = 5


def test_with_no_layer_below_it_is_the_peephole_lstm() -> None:
    cell, peephole = make("highway", zoneout=0.2).eval(), Peephole(INPUTS, HIDDEN, CellSettings(zoneout=0.2)).double().eval()
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


def test_nothing_below_is_no_layer_below() -> None:
    cell = make("highway")
    frames, lengths = properties.draw_batch(INPUTS)
    zeros = frames.new_zeros(*frames.shape[:2], HIDDEN)
    properties.close(cell(frames, lengths, below=zeros).outputs, cell(frames, lengths).outputs)


def test_shows_its_cells_to_the_layer_above() -> None:
    lower, upper = make("highway"), Cell(HIDDEN, HIDDEN, CellSettings()).double()
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
