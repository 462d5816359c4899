"""The layer-normalised LSTM: what normalisation does, and how it starts."""

from __future__ import annotations

import torch

from recognizer.config import CellSettings
from recognizer.models.cells.layer_norm import Cell
from tests.models.cells import properties
from tests.models.cells.references import INPUTS, make

HIDDEN = 5


def test_the_scale_of_weights_does_not_matter() -> None:
    cell = make("layer_norm")
    frames, lengths = properties.draw_batch(INPUTS, (6, 6), 6)
    before = cell(frames, lengths, properties.draw_state(cell, frames)).outputs
    with torch.no_grad():
        cell.weight_ih_l0 *= 1000
        cell.weight_hh_l0 *= 1000
    torch.testing.assert_close(cell(frames, lengths, properties.draw_state(cell, frames)).outputs, before, atol=1e-3, rtol=0)


def test_starts_with_its_gains_and_an_open_forget_gate() -> None:
    torch.manual_seed(0)
    cell = Cell(INPUTS, HIDDEN, CellSettings(forget_bias=2))
    assert all((gain == 1).all() for gain in (cell.gain_ih_l0, cell.gain_c_l0)) and not cell.bias_c_l0.any()
    assert torch.equal(cell.gain_hh_l0, torch.full((4 * HIDDEN,), 0.1))
    assert (cell.bias_l0.view(4, HIDDEN) > 1.5).any(dim=1).tolist() == [False, True, False, False]
    assert not cell(torch.zeros(1, 2, INPUTS), torch.tensor([2])).outputs.isnan().any()
