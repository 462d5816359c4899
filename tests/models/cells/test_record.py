"""What cells record: gates by the equations, states that obey them, and the output that the cell gives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recognizer.config import CellSettings, cell_names
from recognizer.models.cells import build_cell
from recognizer.models.recurrent_cell import CellOutput, RecurrentCell
from tests.models.cells.properties import draw_batch, real_frames, shake

INPUTS = HIDDEN = 8
SETTINGS = CellSettings(heads=2, positions=4, kernel=3)
NAMES = {
    "lstm": "i f g o c h", "peephole": "i f g o c h", "cell_gated": "i f g o c h", "composed": "i f g o c h", "lstm_1997": "i g o c h",
    "coupled": "i g o c h",
    "gru": "r z n h", "conv_lstm": "i f g o c h", "layer_norm": "i f g o c h", "time_aware": "i f g o s c h", "slstm": "i' f' z o c n m h",
    "mlstm": "log i f o h", "highway": "i f g o c h",  # without a layer below there is no depth gate
}  # fmt: skip


def make(name: str) -> RecurrentCell:
    cell = build_cell(name, INPUTS, HIDDEN, SETTINGS).double().eval()
    shake(cell, scale=0.5)
    return cell


def before(states: Tensor) -> Tensor:
    """The states in front of each frame, from zeros."""
    return torch.cat([torch.zeros_like(states[:, :1]), states[:, :-1]], dim=1)


def equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", cell_names())
def test_the_output_is_that_of_the_cell(name: str) -> None:
    cell = make(name)
    frames, lengths = draw_batch(INPUTS, (8, 5))
    seen, done = cell.record(frames, lengths), cell(frames, lengths)
    assert " ".join(seen) == NAMES.get(name, " ".join(seen)) and list(seen)[-1] == "h"
    real = real_frames(frames, lengths)
    equal(seen["h"] * real, done.outputs.detach() * real)
    assert all(tensor.shape[:2] == frames.shape[:2] and not tensor.requires_grad for tensor in seen.values())


@pytest.mark.parametrize("name", ["lstm", "peephole", "lstm_1997", "coupled", "conv_lstm"])
def test_states_follow_from_gates(name: str) -> None:
    seen = make(name).record(*draw_batch(INPUTS, (8, 8)))
    forget = seen["f"] if "f" in seen else 1 - seen["i"] if name == "coupled" else 1
    equal(seen["c"], forget * before(seen["c"]) + seen["i"] * seen["g"])
    equal(seen["h"], seen["o"] * torch.tanh(seen["c"]))


@pytest.mark.parametrize("name", ["lstm", "peephole"])
def test_gates_of_the_lstm(name: str) -> None:
    cell = make(name)
    frames, lengths = draw_batch(INPUTS, (8, 8))
    seen, weights = cell.record(frames, lengths), {key: value.detach() for key, value in cell.named_parameters()}
    bias = sum(value for key, value in weights.items() if key.startswith("bias"))
    p = weights.get("peephole_l0", torch.zeros(3, HIDDEN))
    i, f, g, o = (frames @ weights["weight_ih_l0"].T + before(seen["h"]) @ weights["weight_hh_l0"].T + bias).split(HIDDEN, dim=2)
    equal(seen["i"], torch.sigmoid(i + p[0] * before(seen["c"])))
    equal(seen["f"], torch.sigmoid(f + p[1] * before(seen["c"])))
    equal(seen["g"], torch.tanh(g))
    equal(seen["o"], torch.sigmoid(o + p[2] * seen["c"]))


def test_gates_of_the_gru() -> None:
    seen = make("gru").record(*draw_batch(INPUTS, (8, 8)))
    equal(seen["h"], (1 - seen["z"]) * seen["n"] + seen["z"] * before(seen["h"]))


def test_gates_of_the_mlstm() -> None:
    cell = make("mlstm")
    frames, lengths = draw_batch(INPUTS, (8, 8))
    seen = cell.record(frames, lengths)
    gates = cell.gates(frames).detach()
    equal(seen["log i"], gates[:, :, :2])
    equal(seen["f"], torch.sigmoid(gates[:, :, 2:]))
    equal(seen["o"], torch.sigmoid(cell.projection(frames).detach()[:, :, -HIDDEN:]))


def test_a_cell_that_records_nothing_of_its_own() -> None:
    class Sum(RecurrentCell):
        def forward(self, frames, lengths, state=None, carry=False, below=None, gaps=None):  # type: ignore[no-untyped-def, override]
            return CellOutput(frames.cumsum(1), None, frames)

    frames, lengths = draw_batch(2)
    assert list(Sum().record(frames, lengths)) == ["c", "h"]
