"""The composed cell: with the right parts it is the other LSTMs, and without others what the equations leave."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product

import pytest
import torch

from recognizer.config import CellParts, CellSettings
from recognizer.errors import ConfigError
from recognizer.models.cells import build_cell
from tests.models.cells import properties
from tests.models.cells.references import HIDDEN, INPUTS, composed

ALIKE = {
    "lstm": CellParts(), "peephole": CellParts(peepholes=True), "lstm_1997": CellParts(forget_gate="none"),
    "coupled": CellParts(forget_gate="coupled", peepholes=True),
}  # fmt: skip
EVERY = [
    CellParts(i, f, *others) for i, f, *others in product((True, False), ("gate", "coupled", "none"), *[(True, False)] * 6) if i or f != "coupled"
]


def make(parts: CellParts, hidden: int = HIDDEN):
    cell = build_cell("composed", INPUTS, hidden, CellSettings(parts=parts)).double()
    properties.shake(cell, scale=0.4)
    return cell


@pytest.mark.parametrize("name", ALIKE)
def test_it_is_the_cell_of_the_file(name: str) -> None:
    cell = build_cell(name, INPUTS, HIDDEN, CellSettings()).double()
    properties.shake(cell)
    weights = {key: value for key, value in cell.state_dict().items() if "bias" not in key}
    weights["bias_l0"] = sum(value for key, value in cell.state_dict().items() if "bias" in key)
    if name == "coupled":
        weights["peephole_l0"] = weights["peephole_l0"][[0, 2]]  # the row of the missing gate
    own = make(ALIKE[name])
    own.load_state_dict(weights)
    frames, lengths = properties.draw_batch(INPUTS)
    state = properties.draw_state(cell, frames)
    real = properties.real_frames(frames, lengths)
    done, expected = own(frames, lengths, state, carry=True), cell(frames, lengths, state, carry=True)
    properties.close(done.outputs * real, expected.outputs * real)
    properties.close(done.state, expected.state)


@pytest.mark.parametrize("parts", random.Random(1).sample(EVERY, 40), ids=str)
def test_without_parts_it_is_what_the_equations_leave(parts: CellParts, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = make(parts)
    frames, lengths = properties.draw_batch(INPUTS, (4, 2), 4)
    given = properties.leaves(cell, frames)
    expected = properties.unroll(cell, composed(cell), given[0], lengths, tuple(given[1:]))
    real = properties.real_frames(frames, lengths)
    for plain in (False, True):
        with monkeypatch.context() as patch:
            if plain:
                patch.setattr(type(cell.runner), "__call__", type(cell.runner).plain)
            done = cell(given[0], lengths, tuple(given[1:]), carry=True)
        pairs = []
        for run in (done, expected):
            loss = (run.outputs * real).square().sum() + sum(part.sum() for part in run.state)
            pairs.append(torch.autograd.grad(loss, [*given, *cell.parameters()], allow_unused=True, materialize_grads=True, retain_graph=True))
        properties.close(done.outputs * real, expected.outputs * real)
        properties.close(tuple(pairs[0]), tuple(pairs[1]))


def test_parts_that_are_missing_have_no_weights() -> None:
    def count(parts: CellParts) -> int:
        return sum(parameter.numel() for parameter in make(parts, 5).parameters())

    whole, block = count(CellParts()), 5 * (INPUTS + 5 + 1)
    assert whole == 4 * block
    assert count(CellParts(input_gate=False)) == count(CellParts(forget_gate="coupled")) == count(CellParts(output_gate=False)) == 3 * block
    assert count(CellParts(recurrent_gates=False)) == whole - 3 * 25 and count(CellParts(recurrent_input=False)) == whole - 25
    assert count(CellParts(peepholes=True)) == whole + 3 * 5
    bare = CellParts(False, "none", False, recurrent_input=False)
    assert count(bare) == 5 * (INPUTS + 1)
    frames, lengths = properties.draw_batch(INPUTS, (6,), 6)
    summed = make(replace(bare, input_activation=False, output_activation=False), 5)
    properties.close(summed(frames, lengths).outputs, (frames @ summed.weight_ih_l0.T + summed.bias_l0).cumsum(1))


def test_the_forget_gate_starts_open_if_asked_for() -> None:
    torch.manual_seed(0)
    plain = build_cell("composed", INPUTS, HIDDEN, CellSettings(parts=CellParts(input_gate=False)))
    torch.manual_seed(0)
    open_ = build_cell("composed", INPUTS, HIDDEN, CellSettings(forget_bias=2.0, parts=CellParts(input_gate=False)))
    assert torch.equal(open_.bias_l0, plain.bias_l0 + torch.tensor([2.0] * HIDDEN + [0.0] * 2 * HIDDEN))


def test_parts_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"forget_gate.*coupled needs input_gate=true"):
        CellParts(input_gate=False, forget_gate="coupled")
    with pytest.raises(ConfigError, match="'coupld' is not one of gate, coupled, none; did you mean 'coupled'"):
        CellParts(forget_gate="coupld")
