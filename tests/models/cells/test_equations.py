"""The cells with compiled kernels against their equations, and what holds for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recognizer.config import CellSettings
from recognizer.models.cells.lstm import Cell
from recognizer.models.kernels.driver import KernelRunner
from tests.models.cells import properties
from tests.models.cells.properties import WithInputs, draw_batch
from tests.models.cells.references import CASES, make

every_case = pytest.mark.parametrize("name", CASES)
with_zoneout = [name for name in CASES if name != "slstm"]


def start(cell: WithInputs) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Frames, lengths, and the frames and a state as leaves."""
    frames, lengths = draw_batch(cell.inputs)
    given = properties.leaves(cell, frames)
    return given[0], lengths, given


def make_any(name: str, **settings: float) -> properties.CompiledCell:
    if name != "lstm":
        return make(name, **settings)
    cell = Cell(3, 5, CellSettings(**settings)).double()
    properties.shake(cell)
    return cell


@pytest.mark.parametrize(("name", "zoneout"), [*((name, 0.0) for name in CASES), *((name, 0.3) for name in with_zoneout)])
def test_equals_the_equations_forward_and_backward(name: str, zoneout: float) -> None:
    cell = WithInputs(make(name, zoneout=zoneout).eval())
    frames, lengths, given = start(cell)
    state = tuple(given[1:])
    expected = properties.unroll(cell.cell, CASES[name].step(cell.cell), frames, lengths, state)
    properties.compare_gradients(cell, cell(frames, lengths, state, carry=True), expected, lengths, given)
    assert cell(frames, lengths).state is None


@pytest.mark.parametrize("name", ["gru", "highway", "layer_norm", "slstm", "time_aware"])  # a kernel of each kind
def test_gradients_are_quotients_of_differences(name: str) -> None:
    properties.check_gradients(WithInputs(make(name, CASES[name].few)))


@every_case
def test_plain_steps_are_the_compiled_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on other devices, here on the CPU, with zoneout and recurrent dropout."""
    cell = WithInputs(make(name, zoneout=0.2 if name in with_zoneout else 0.0, recurrent_dropout=0.4).train())
    frames, lengths, given = start(cell)
    torch.manual_seed(4)
    compiled = cell(frames, lengths, tuple(given[1:]), carry=True)
    monkeypatch.setattr(KernelRunner, "__call__", KernelRunner.plain)
    torch.manual_seed(4)
    properties.compare_gradients(cell, compiled, cell(frames, lengths, tuple(given[1:]), carry=True), lengths, given)


@every_case
def test_float32_is_near_float64(name: str) -> None:
    properties.check_float32(WithInputs(make(name, CASES[name].many)))


@every_case
def test_chunks_batches_precision_and_export(name: str, tmp_path: Path) -> None:
    cell = WithInputs(make(name))
    frames, lengths = draw_batch(cell.inputs)
    properties.check_chunks(cell, frames, lengths)
    properties.check_batch_invariance(cell, frames, lengths)
    properties.check_bf16(cell, frames, lengths, CASES[name].coarse)
    if name != "conv_lstm":  # there it spreads by half a kernel a frame
        properties.check_nan(cell, frames, lengths)
    properties.check_export(cell.double(), frames, lengths, tmp_path)


@pytest.mark.parametrize("name", ["lstm", *with_zoneout])
def test_zoneout_keeps_whole_states_and_its_mean_in_evaluation(name: str) -> None:
    plain, cell = (WithInputs(made) for made in (make_any(name), make_any(name, zoneout=0.5)))
    frames, lengths = draw_batch(cell.inputs, (1, 1), 1)
    state = properties.draw_state(cell, frames)
    new = plain(frames, lengths, state, carry=True).state
    torch.manual_seed(0)
    trained = cell.train()(frames, lengths, state, carry=True).state
    for before, after, drawn in zip(state, new, trained, strict=True):
        assert (torch.isclose(drawn, before) | torch.isclose(drawn, after)).all()
    assert any(torch.isclose(d, b).any() and torch.isclose(d, a).any() for b, a, d in zip(state, new, trained, strict=True))
    mean = cell.eval()(frames, lengths, state, carry=True).state
    torch.testing.assert_close(mean, tuple((b + a) / 2 for b, a in zip(state, new, strict=True)))


@pytest.mark.parametrize("name", ["lstm", *CASES])
def test_recurrent_dropout_drops_the_same_cells_in_every_frame(name: str) -> None:
    cell = WithInputs(make_any(name, recurrent_dropout=0.5).train())
    frames, lengths = draw_batch(cell.inputs, (6, 6), 6)

    def run(frames: torch.Tensor, lengths: torch.Tensor, state: properties.State | None = None) -> properties.CellOutput:
        torch.manual_seed(1)
        return cell(frames, lengths, state, carry=True)

    first, ahead = run(frames, lengths).outputs, run(frames[:, :3], lengths - 3)
    torch.testing.assert_close(ahead.outputs, first[:, :3])
    torch.testing.assert_close(run(frames[:, 3:], lengths - 3, ahead.state).outputs, first[:, 3:])  # the mask of the first chunk again
    off = cell.eval()(frames, lengths).outputs
    torch.testing.assert_close(off, WithInputs(make_any(name))(frames, lengths).outputs, atol=1e-12, rtol=0)
    assert not torch.allclose(off, first)


@pytest.mark.parametrize("name", ["lstm", "peephole", "gru"])
def test_recurrent_dropout_scales_the_state_that_the_recurrent_weights_read(name: str) -> None:
    cell, other = make_any(name, recurrent_dropout=0.5).train(), make_any(name)
    frames, lengths = draw_batch(3, (8,))
    torch.manual_seed(3)
    outputs = cell(frames, lengths).outputs
    torch.manual_seed(3)
    factors = torch.bernoulli(torch.full((1, 5), 0.5, dtype=torch.float64)) / 0.5
    assert 0 < (factors > 0).sum() < 5
    with torch.no_grad():
        other.weight_hh_l0.mul_(factors)
    torch.testing.assert_close(outputs, other(frames, lengths).outputs)
