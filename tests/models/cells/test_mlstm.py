"""mLSTM against its equations, one frame at a time and without a stabiliser, and its three forms against each other."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from recognizer.config import CellSettings
from recognizer.errors import ConfigError
from recognizer.models.cells.mlstm import Cell
from recognizer.models.recurrent_cell import CellOutput, State
from tests.models.cells import properties

INPUTS, HIDDEN, HEADS = 5, 6, 2


def make(chunk: int = 3, heads: int = HEADS, **others: float) -> Cell:
    cell = Cell(INPUTS, HIDDEN, CellSettings(heads=heads, **others), chunk).double()
    properties.shake(cell)
    return cell


def step_through(cell: Cell, frames: Tensor, lengths: Tensor, state: State) -> CellOutput:
    """Equations 19 to 27 of Beck et al. 2024 and the norm behind them; the state is brought to the stabiliser's scale at the end only."""
    size = HIDDEN // HEADS
    w_q, w_k, w_v, w_o = cell.projection.weight.view(4, HEADS, size, INPUTS)
    b_q, b_k, b_v, b_o = cell.projection.bias.view(4, HEADS, size)
    (w_i, w_f), (b_i, b_f) = cell.gates.weight.view(2, HEADS, INPUTS), cell.gates.bias.view(2, HEADS)
    outputs, ends = [], []
    for item, length in enumerate(lengths.tolist()):
        rows, finals = [], []
        for head in range(HEADS):
            memory, normalizer, m = (tensor[item, head] for tensor in state)
            c, n = memory.T * m.exp(), normalizer * m.exp()  # C is values by keys in the paper
            row = []
            for x in frames[item, :length]:
                q, v = w_q[head] @ x + b_q[head], w_v[head] @ x + b_v[head]
                k = (w_k[head] @ x + b_k[head]) / math.sqrt(size)
                log_i, f = w_i[head] @ x + b_i[head], torch.sigmoid(w_f[head] @ x + b_f[head])
                c, n = f * c + log_i.exp() * torch.outer(v, k), f * n + log_i.exp() * k
                read = c @ q / torch.clamp_min((n @ q).abs(), 1)
                normed = (read - read.mean()) / (read.var(correction=0) + 1e-5) ** 0.5 * cell.gain.view(HEADS, size)[head]
                row.append(torch.sigmoid(w_o[head] @ x + b_o[head]) * normed)
                m = torch.maximum(f.log() + m, log_i)
            row += [torch.zeros(size, dtype=frames.dtype)] * (frames.shape[1] - length)
            rows.append(torch.stack(row))
            finals.append(((c * (-m).exp()).T, n * (-m).exp(), m))
        outputs.append(torch.cat(rows, dim=1))
        ends.append([torch.stack(parts) for parts in zip(*finals, strict=True)])
    return CellOutput(torch.stack(outputs), tuple(torch.stack(parts) for parts in zip(*ends, strict=True)))


@pytest.mark.parametrize("chunk", [1, 2, 3, 8, 100])
def test_equals_the_equations_forward_and_backward(chunk: int) -> None:
    cell = make(chunk)
    frames, lengths = properties.draw_batch(INPUTS)
    frames, *state = properties.leaves(cell, frames)
    own, other = cell(frames, lengths, tuple(state), carry=True), step_through(cell, frames, lengths, tuple(state))
    properties.compare_gradients(cell, own, other, lengths, [frames, *state])
    assert cell(frames, lengths).state is None


def test_chunks_batches_precision_and_export(tmp_path: Path) -> None:
    given = properties.draw_batch(INPUTS)
    properties.check_chunks(make(), *given, (1, 2, 6))
    properties.check_batch_invariance(make(), *given)
    properties.check_bf16(make(), *given, 0.1)
    properties.check_export(make(5), *given, tmp_path)


@pytest.mark.parametrize("chunk", [1, 4, 100])
@pytest.mark.parametrize("strength", [-300.0, 300.0])
def test_exponential_gates_neither_overflow_nor_vanish(strength: float, chunk: int) -> None:
    cell = make(chunk).float()
    with torch.no_grad():
        cell.gates.bias[:HEADS] = strength  # exp of it is beyond float32 either way
    frames, lengths = properties.draw_batch(INPUTS, (9,), 9)
    run = cell(frames.float(), lengths, carry=True)
    run.outputs.sum().backward()
    assert all(torch.isfinite(tensor).all() for tensor in (run.outputs, *run.state, *(p.grad for p in cell.parameters())))
    if strength > 0:  # the weights' common factor cancels, as in float64
        exact = make(9)
        with torch.no_grad():
            exact.gates.bias[:HEADS] = 100.0
        properties.close(run.outputs.double(), exact(frames, lengths).outputs, 1e-3)
    else:
        assert not run.outputs.any()  # far below the 1 in the denominator


def test_zeros_under_strong_gates_give_zeros() -> None:
    cell = make().float()
    with torch.no_grad():
        cell.projection.bias.zero_()
        cell.gates.bias[:HEADS] = 300.0
    run = cell(torch.zeros(1, 5, INPUTS), torch.tensor([5]))  # queries and normalizer are zero, and so is exp(-m)
    run.outputs.sum().backward()
    assert not run.outputs.any() and all(torch.isfinite(parameter.grad).all() for parameter in cell.parameters())


def test_long_sequences_are_alike_in_all_forms_in_float32() -> None:
    frames, lengths = properties.draw_batch(INPUTS, (300,), 300)
    runs = []
    for chunk in (1, 64, 300):
        cell = make(chunk).float()
        run = cell(frames.float(), lengths, carry=True)
        runs.append((run.outputs, torch.autograd.grad(run.outputs.square().sum(), list(cell.parameters()))))
    for outputs, gradients in runs[1:]:
        properties.close(outputs, runs[0][0], 1e-4)
        for own, other in zip(gradients, runs[0][1], strict=True):
            assert float((own - other).abs().max()) < 1e-4 * float(other.abs().max())


def test_starting_weights() -> None:
    cell = Cell(4, 8, CellSettings(heads=4, forget_bias=0.5))
    assert cell.gates.bias[4:].tolist() == [3.5, 4.5, 5.5, 6.5] and (cell.gain == 1).all()


def test_outputs_stay_bounded_whatever_is_read() -> None:
    """Each head's norm is that of its gains, and the output gate takes from it."""
    cell = make()
    with torch.no_grad():
        cell.projection.weight *= 100
        cell.gain.fill_(1)
    outputs = cell(*properties.draw_batch(INPUTS)).outputs.unflatten(2, (HEADS, -1))
    assert float(outputs.detach().norm(dim=3).max()) <= math.sqrt(HIDDEN / HEADS)


@pytest.mark.parametrize(("key", "value"), [("heads", 4), ("heads", HIDDEN), ("zoneout", 0.1), ("recurrent_dropout", 0.1)])
def test_refuses(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"^model.recurrent.{key}: "):
        make(**{key: value})  # type: ignore[arg-type]
