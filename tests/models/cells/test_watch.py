"""What cells show of their inside: gates by the equations, states that obey them, and the output that the cell gives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recognizer.config import CellSettings, cell_names
from recognizer.models.cells import build_cell
from recognizer.models.recurrence import Pass, Recurrence
from tests.models.cells.properties import draw_batch, shake

INPUTS = HIDDEN = 8
SETTINGS = CellSettings(heads=2, positions=4, kernel=3)
SHOWN = {
    "lstm": "i f g o c h", "peephole": "i f g o c h", "cell_gated": "i f g o c h", "lstm_1997": "i g o c h", "coupled": "i g o c h",
    "gru": "r z n h", "conv_lstm": "i f g o c h", "layer_norm": "i f g o c h", "time_aware": "i f g o s c h", "slstm": "i' f' z o c n m h",
    "highway": "i f g o c h",  # without a layer below there is no depth gate
}  # fmt: skip


def make(name: str) -> Recurrence:
    cell = build_cell(name, INPUTS, HIDDEN, SETTINGS).double().eval()
    shake(cell, scale=0.5)
    return cell


def before(states: Tensor) -> Tensor:
    """The states in front of each frame, from zeros."""
    return torch.cat([torch.zeros_like(states[:, :1]), states[:, :-1]], dim=1)


def weights(cell: Recurrence, *names: str) -> list[Tensor]:
    return [cell.get_parameter(name).detach() for name in names]


@pytest.mark.parametrize("name", cell_names())
def test_the_output_is_that_of_the_cell(name: str) -> None:
    cell = make(name)
    frames, lengths = draw_batch(INPUTS, (8, 5))
    seen, done = cell.watch(frames, lengths), cell(frames, lengths)
    assert list(seen)[-1] == "h" and not any(tensor.requires_grad for tensor in seen.values())
    real = (torch.arange(8) < lengths[:, None])[:, :, None]
    torch.testing.assert_close(seen["h"] * real, done.outputs.detach() * real, atol=1e-12, rtol=0)
    assert name not in SHOWN or list(seen) == SHOWN[name].split()
    assert all(tensor.shape[:2] == frames.shape[:2] for tensor in seen.values())


@pytest.mark.parametrize("name", ["lstm", "peephole", "lstm_1997", "coupled", "conv_lstm"])
def test_states_follow_from_gates(name: str) -> None:
    seen = make(name).watch(*draw_batch(INPUTS, (8, 8)))
    forget = seen["f"] if "f" in seen else 1 - seen["i"] if name == "coupled" else 1
    torch.testing.assert_close(seen["c"], forget * before(seen["c"]) + seen["i"] * seen["g"], atol=1e-12, rtol=0)
    torch.testing.assert_close(seen["h"], seen["o"] * torch.tanh(seen["c"]), atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["lstm", "peephole"])
def test_gates_of_the_lstm(name: str) -> None:
    cell = make(name)
    frames, lengths = draw_batch(INPUTS, (8, 8))
    seen = cell.watch(frames, lengths)
    into, back = weights(cell, "weight_ih_l0", "weight_hh_l0")
    bias = sum(weights(cell, *("bias_ih_l0", "bias_hh_l0") if name == "lstm" else ("bias_l0",)))
    see = torch.zeros(3, HIDDEN) if name == "lstm" else cell.get_parameter("peephole_l0").detach()
    i, f, g, o = (frames @ into.T + before(seen["h"]) @ back.T + bias).split(HIDDEN, dim=2)
    expected = {
        "i": 1 / (1 + torch.exp(-i - see[0] * before(seen["c"]))),
        "f": 1 / (1 + torch.exp(-f - see[1] * before(seen["c"]))),
        "g": torch.tanh(g),
        "o": 1 / (1 + torch.exp(-o - see[2] * seen["c"])),
    }
    torch.testing.assert_close({gate: seen[gate] for gate in expected}, expected, atol=1e-12, rtol=0)


def test_gates_of_the_gru() -> None:
    cell = make("gru")
    frames, lengths = draw_batch(INPUTS, (8, 8))
    seen = cell.watch(frames, lengths)
    into, back, bias, inner = weights(cell, "weight_ih_l0", "weight_hh_l0", "bias_l0", "peephole_l0")
    x, r = (frames @ into.T + bias).split(HIDDEN, dim=2), (before(seen["h"]) @ back.T).split(HIDDEN, dim=2)
    reset, update = 1 / (1 + torch.exp(-x[0] - r[0])), 1 / (1 + torch.exp(-x[1] - r[1]))
    expected = {"r": reset, "z": update, "n": torch.tanh(x[2] + reset * (r[2] + inner[0]))}
    torch.testing.assert_close({gate: seen[gate] for gate in expected}, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(seen["h"], (1 - update) * expected["n"] + update * before(seen["h"]), atol=1e-12, rtol=0)


def test_gates_of_the_matrix_memory() -> None:
    cell = make("mlstm")
    frames, lengths = draw_batch(INPUTS, (8, 8))
    seen = cell.watch(frames, lengths)
    gate, gate_bias, project, project_bias = weights(cell, "gates.weight", "gates.bias", "projection.weight", "projection.bias")
    gates = frames @ gate.T + gate_bias
    assert list(seen) == ["log i", "f", "o", "h"] and seen["f"].shape == (2, 8, 2)
    torch.testing.assert_close(seen["log i"], gates[:, :, :2], atol=1e-12, rtol=0)
    torch.testing.assert_close(seen["f"], 1 / (1 + torch.exp(-gates[:, :, 2:])), atol=1e-12, rtol=0)
    opening = (frames @ project.T + project_bias)[:, :, -HIDDEN:]
    torch.testing.assert_close(seen["o"], 1 / (1 + torch.exp(-opening)), atol=1e-12, rtol=0)


def test_a_cell_of_which_nothing_is_known() -> None:
    class Sum(Recurrence):
        def forward(self, frames, lengths, state=None, carry=False, below=None, gaps=None):  # type: ignore[no-untyped-def, override]
            return Pass(frames.cumsum(1), None, frames)

    frames, lengths = draw_batch(2)
    assert list(Sum().watch(frames, lengths)) == ["c", "h"]
