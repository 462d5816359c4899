"""The convolutional LSTM against its equations, step by step, with the convolution written as a sum."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from recognizer.config import CellSettings
from recognizer.errors import ConfigError
from recognizer.models.cells.conv_lstm import Cell
from recognizer.models.cells.peephole import KERNEL, OPERATOR
from recognizer.models.gated import _run_plain
from recognizer.models.recurrence import Pass, Recurrence, State
from tests.models.cells import properties

POSITIONS, BELOW, CHANNELS = 4, 3, 2
INPUTS, HIDDEN = BELOW * POSITIONS, CHANNELS * POSITIONS


def make(peepholes: bool = True, kernel: int = 3, positions: int = POSITIONS, **others: float) -> Cell:
    cell = Cell(INPUTS, HIDDEN, CellSettings(peepholes=peepholes, kernel=kernel, positions=positions, **others)).double()
    properties.shake(cell)
    return cell


def convolve(kernel: Tensor, maps: Tensor) -> Tensor:
    """(C', C, K) over (B, C, P): out(c', p) = sum over c and k of kernel(c', c, k) maps(c, p + k - (K - 1) / 2)."""
    batch, positions = maps.shape[0], maps.shape[2]
    out = maps.new_zeros(batch, kernel.shape[0], positions)
    columns = []
    for p in range(positions):
        column = out[:, :, p]
        for k in range(kernel.shape[2]):
            q = p + k - kernel.shape[2] // 2
            if 0 <= q < positions:
                column = column + maps[:, :, q] @ kernel[:, :, k].T
        columns.append(column)
    return torch.stack(columns, dim=2)


def step_through(cell: Cell, frames: Tensor, lengths: Tensor, state: State, kept: Tensor | float = 1.0, zones: Tensor | None = None) -> Pass:
    """Equations 3 of Shi et al. 2015, gate by gate; a sequence's state stands still behind its end."""
    h, c = (tensor.view(-1, CHANNELS, POSITIONS) for tensor in state)
    w_x, w_h = cell.input_kernel.chunk(4), cell.hidden_kernel.chunk(4)
    b = [part[None, :, None] for part in cell.bias.chunk(4)]
    p_i, p_f, p_o = cell.peepholes if cell.peepholes is not None else torch.zeros(3, CHANNELS, POSITIONS, dtype=torch.float64)
    outputs = []
    for t in range(frames.shape[1]):
        x = frames[:, t].reshape(-1, BELOW, POSITIONS)
        sums = [convolve(w_x[gate], x) + convolve(w_h[gate], h * kept) + b[gate] for gate in range(4)]
        i, f = torch.sigmoid(sums[0] + p_i * c), torch.sigmoid(sums[1] + p_f * c)
        new_c = f * c + i * torch.tanh(sums[2])
        new_h = torch.sigmoid(sums[3] + p_o * new_c) * torch.tanh(new_c)
        if zones is not None:
            new_h, new_c = zones[0, t] * h + (1 - zones[0, t]) * new_h, zones[1, t] * c + (1 - zones[1, t]) * new_c
        outputs.append(new_h.flatten(1))
        real = (t < lengths)[:, None, None]
        h, c = torch.where(real, new_h, h), torch.where(real, new_c, c)
    return Pass(torch.stack(outputs, dim=1), (h.flatten(1), c.flatten(1)))


@pytest.mark.parametrize("kernel", [1, 3, 9])
@pytest.mark.parametrize("peepholes", [True, False])
def test_equals_the_equations_forward_and_backward(peepholes: bool, kernel: int) -> None:
    cell = make(peepholes, kernel)
    frames, lengths = properties.draw_batch(INPUTS)
    frames.requires_grad_()
    state = tuple(tensor.requires_grad_() for tensor in properties.draw_state(cell, frames))
    own, other = cell(frames, lengths, state, carry=True), step_through(cell, frames, lengths, state)
    properties.compare_gradients(cell, own, other, lengths, [frames, *state])
    assert cell(frames, lengths).state is None


@pytest.mark.parametrize("peepholes", [True, False])
def test_gradcheck_with_dropout_and_zoneout(peepholes: bool) -> None:
    torch.manual_seed(4)
    shape = (2, HIDDEN)
    drives, initial = torch.randn(3, 2, 4 * HIDDEN).double(), torch.randn(2, *shape).double()
    kernel, weights = torch.randn(4 * CHANNELS, CHANNELS, 3).double(), torch.randn(3, HIDDEN).double() * peepholes
    factors, zones = (torch.rand(shape) > 0.5).double() * 2, torch.rand(2, 3, *shape).double()
    arguments = tuple(tensor.requires_grad_() for tensor in (drives, kernel, weights, initial))
    for chance in ((zones.new_empty(0),) * 2, (zones, factors)):
        assert torch.autograd.gradcheck(lambda d, k, w, i, chance=chance: OPERATOR(d, [k], w, i, *chance), arguments)


def test_dropout_and_zoneout_follow_their_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = make(zoneout=0.3, recurrent_dropout=0.4)
    frames, lengths = properties.draw_batch(INPUTS)
    state = properties.draw_state(cell, frames)
    drawn: list[Tensor] = []
    bernoulli = torch.bernoulli
    monkeypatch.setattr(torch, "bernoulli", lambda share: drawn.append(bernoulli(share)) or drawn[-1])
    own = cell(frames, lengths, state, carry=True)
    monkeypatch.undo()
    zones, kept = drawn[0].unflatten(3, (CHANNELS, POSITIONS)), drawn[1].unflatten(1, (CHANNELS, POSITIONS)) / 0.6
    assert set(kept.unique().tolist()) == {0.0, 1 / 0.6} and set(zones.unique().tolist()) == {0.0, 1.0}
    assert kept.shape == (4, CHANNELS, POSITIONS) and zones.shape == (2, 8, 4, CHANNELS, POSITIONS)
    other = step_through(cell, frames, lengths, state, kept, zones)
    properties.close(own.outputs[0, :7], other.outputs[0, :7])
    properties.close(own.state, other.state)
    cell.eval()
    own = cell(frames, lengths, state, carry=True)
    other = step_through(cell, frames, lengths, state, zones=torch.full((2, 8), 0.3, dtype=torch.float64))
    properties.close(own.outputs[0, :7], other.outputs[0, :7])
    properties.close(own.state, other.state)


def test_plain_steps_are_the_compiled_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on other devices, here on the CPU, with zoneout and recurrent dropout."""
    cell = make(zoneout=0.2, recurrent_dropout=0.4)
    frames, lengths = properties.draw_batch(INPUTS)
    torch.manual_seed(4)
    compiled = cell(frames, lengths, carry=True)
    monkeypatch.setattr("recognizer.models.cells.conv_lstm.OPERATOR", lambda *arguments: _run_plain(KERNEL, *arguments))
    torch.manual_seed(4)
    properties.compare_gradients(cell, compiled, cell(frames, lengths, carry=True), lengths, [])


def test_a_frame_holds_channel_after_channel() -> None:
    cell = make(peepholes=False)
    frames = torch.zeros(1, 1, INPUTS, dtype=torch.float64)
    frames[0, 0, POSITIONS + 1] = 1.0  # channel 1, position 1
    lengths = torch.tensor([1])
    with torch.no_grad():
        cell.bias.zero_()
        cell.input_kernel[:, [0, 2]] = 0  # channel 1 alone is read
    maps = cell(frames, lengths).outputs[0, 0].view(CHANNELS, POSITIONS)
    assert (maps[:, :3] != 0).all() and (maps[:, 3] == 0).all()  # positions 0 to 2 see it through a kernel of 3


def test_two_directions_are_a_map_for_the_next_layer() -> None:
    joined = Cell(2 * HIDDEN, HIDDEN, CellSettings(kernel=3, positions=POSITIONS))
    assert joined.input_kernel.shape == (4 * CHANNELS, 2 * CHANNELS, 3)


@pytest.mark.parametrize("check", [properties.check_batch_invariance, lambda *given: properties.check_chunks(*given, (1, 2, 6))])
def test_chunks_and_batches(check: object) -> None:
    check(make(), *properties.draw_batch(INPUTS))  # type: ignore[operator]


def test_bf16() -> None:
    cell: Recurrence = make()
    properties.check_bf16(cell, *properties.draw_batch(INPUTS), 0.03)


def test_export(tmp_path: Path) -> None:
    properties.check_export(make(), *properties.draw_batch(INPUTS), tmp_path)


def test_starting_weights() -> None:
    torch.manual_seed(0)
    cell = Cell(INPUTS, HIDDEN, CellSettings(kernel=3, forget_bias=2.0, positions=POSITIONS))
    bound = 1 / (CHANNELS * 3) ** 0.5
    assert (cell.bias[CHANNELS : 2 * CHANNELS] > 2 - bound).all() and (cell.bias[:CHANNELS].abs() < bound).all()
    assert not cell.peepholes.any() and cell.hidden_kernel.abs().max() < bound < 2 * cell.hidden_kernel.abs().max()


@pytest.mark.parametrize("positions", [0, 3, 8])  # 3 divides the frame only, 8 the hidden size only
def test_refuses_positions_that_do_not_fit(positions: int) -> None:
    wanted = "the 12 entries of a frame and model.hidden=8: the number of mel bands or rows, 4 or a divisor of it"
    with pytest.raises(ConfigError, match=f"model.recurrent.positions: {positions} must divide {wanted}"):
        make(positions=positions)
