"""The LSTM on torch's kernels, and the cells that compute the same as torch's where they can."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recognizer.config import CellSettings
from recognizer.models.cells import build_cell
from recognizer.models.encoder import VariationalDropout
from tests.models.cells.properties import draw_batch, draw_state

INPUTS, HIDDEN = 3, 5


def test_peephole_without_peepholes_is_the_lstm() -> None:
    torch.manual_seed(0)
    lstm, cell = build_cell("lstm", INPUTS, HIDDEN).double(), build_cell("peephole", INPUTS, HIDDEN).double()
    with torch.no_grad():
        cell.weight_ih_l0.copy_(lstm.weight_ih_l0)
        cell.weight_hh_l0.copy_(lstm.weight_hh_l0)
        cell.bias_l0.copy_(lstm.bias_ih_l0 + lstm.bias_hh_l0)
        cell.peephole_l0.zero_()
    frames, lengths = draw_batch(INPUTS)[0], torch.full((4,), 8)
    state = draw_state(cell, frames)
    own, other, carried = cell(frames, lengths, state, carry=True), lstm(frames, lengths, state), lstm(frames, lengths, state, carry=True)
    outputs, final = nn.LSTM.forward(lstm, frames, (state[0][None], state[1][None]))
    for done in (own.outputs, other.outputs, carried.outputs):
        torch.testing.assert_close(done, outputs, atol=1e-14, rtol=0)
    for done in (own.state, carried.state):
        torch.testing.assert_close(done, (final[0][0], final[1][0]), atol=1e-14, rtol=0)


def test_gru_is_that_of_torch() -> None:
    torch.manual_seed(0)
    cell, peer = build_cell("gru", INPUTS, HIDDEN).double(), nn.GRU(INPUTS, HIDDEN, batch_first=True).double()
    with torch.no_grad():
        peer.weight_ih_l0.copy_(cell.weight_ih_l0)
        peer.weight_hh_l0.copy_(cell.weight_hh_l0)
        peer.bias_ih_l0.copy_(cell.bias_l0)
        peer.bias_hh_l0.zero_()
        peer.bias_hh_l0[2 * HIDDEN :].copy_(cell.peephole_l0[0])
    frames, lengths = draw_batch(INPUTS)
    torch.testing.assert_close(cell(frames, lengths).outputs, peer(frames)[0], atol=1e-14, rtol=0)


def test_in_clean_epochs_the_lstm_learns_in_training_mode_without_noise() -> None:
    """Only what draws is in evaluation mode then."""
    cell = build_cell("lstm", INPUTS, HIDDEN, CellSettings(zoneout=0.3, recurrent_dropout=0.5)).double().train()
    frames, lengths = draw_batch(INPUTS)
    assert not torch.allclose(cell(frames, lengths).outputs, cell(frames, lengths).outputs)
    for module in cell.modules():
        if isinstance(module, VariationalDropout):
            module.eval()
    clean = cell(frames, lengths).outputs
    assert cell.training and torch.equal(clean, cell.eval()(frames, lengths).outputs)


@pytest.mark.parametrize("name", ["lstm", "peephole", "cell_gated", "conv_lstm", "slstm"])
def test_forget_bias_opens_the_forget_gate_only(name: str) -> None:
    made = []
    for bias in (0.0, 2.5):
        torch.manual_seed(0)
        made.append(build_cell(name, 4, 4, CellSettings(forget_bias=bias, positions=1, kernel=3)))
    key = {"lstm": "bias_ih_l0", "conv_lstm": "bias"}.get(name, "bias_l0")
    changed = (made[1].get_parameter(key) - made[0].get_parameter(key)).view(4, 4)
    torch.testing.assert_close(changed, torch.tensor([0, 2.5, 0, 0])[:, None].expand(4, 4))


@pytest.mark.parametrize("name", ["layer_norm", "cell_gated", "lstm"])
def test_gradients_of_new_cells_vanish_over_long_sequences(name: str) -> None:
    """Also of those whose weights have grown to four times what they were: gradients do not explode."""
    for factor in (1, 4):
        torch.manual_seed(0)
        cell = build_cell(name, 64, 64)
        with torch.no_grad():
            for parameter in cell.parameters():
                parameter *= factor if parameter.ndim > 1 else 1
        frames = (0.4 * torch.randn(2, 100, 64) + 0.4 * torch.randn(2, 1, 64)).requires_grad_()
        cell(frames, torch.tensor([100, 100])).outputs[:, -1].sum().backward()
        sizes = frames.grad.norm(dim=2).mean(dim=0)
        assert sizes[0] < 1e-4 * sizes[-1]
