"""What the tests of gated cells share: an unrolled reference, the cell fed with what comes beside the frames, runs of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from recognizer.models.gated import Kernel, _run_plain
from recognizer.models.gated_cell import GatedCell
from recognizer.models.recurrence import Pass, Recurrence, State
from tests.models.cells import properties

Step = Callable[[Tensor, State, Tensor | None], State]  # a frame (D,), the state of one sequence, its below (H,) or gap ()


class Fed(Recurrence):
    """A cell whose ``below`` or ``gaps`` are the last columns of its frames, so that whatever holds for frames can be asked of them."""

    def __init__(self, cell: GatedCell) -> None:
        super().__init__()
        self.cell, self.hidden = cell, cell.hidden
        self.beside = cell.hidden if cell.reads_below else int(cell.reads_gaps)
        self.inputs = cell.inputs + self.beside

    def initial(self, frames: Tensor) -> State:
        return self.cell.initial(frames)

    def forward(self, frames: Tensor, lengths: Tensor, state: State | None = None, carry: bool = False, **_: None) -> Pass:  # type: ignore[override]
        frames, beside = frames.split([self.cell.inputs, self.beside], dim=2)
        below = beside if self.cell.reads_below else None
        gaps = beside[:, :, 0].abs() if self.cell.reads_gaps else None
        return self.cell(frames, lengths, state, carry, below, gaps)


def unroll(cell: GatedCell, step: Step, frames: Tensor, lengths: Tensor, state: State) -> Pass:
    """Each sequence alone, frame by frame, with zoneout's expectation; frames as :class:`Fed` takes them."""
    outputs, ends, share = [], [], cell.settings.zoneout
    for item, length in enumerate(lengths.tolist()):
        now, rows = tuple(tensor[item] for tensor in state), []
        for frame in frames[item, :length]:
            x, beside = frame[: cell.inputs], frame[cell.inputs :]
            after = step(x, now, beside if cell.reads_below else beside[0].abs() if cell.reads_gaps else None)
            now = tuple((1 - share) * new + share * old for new, old in zip(after, now, strict=True))
            rows.append(now[0])
        outputs.append(torch.stack(rows + [torch.zeros_like(state[0][item])] * (frames.shape[1] - length)))
        ends.append(now)
    return Pass(torch.stack(outputs), tuple(torch.stack(parts) for parts in zip(*ends, strict=True)))


def start(cell: Recurrence, frames: Tensor, state: State | None = None) -> list[Tensor]:
    """Leaves: the frames and the state, drawn unless it is given."""
    drawn = properties.draw_state(cell, frames) if state is None else state
    return [tensor.detach().clone().requires_grad_() for tensor in (frames, *drawn)]


def check_equations(cell: GatedCell, step: Step, state: State | None = None) -> None:
    """Forward and all gradients are those of the equations, in float64."""
    fed = Fed(cell.eval())
    frames, lengths = properties.draw_batch(fed.inputs)
    frames, *given = start(fed, frames, state)
    own, other = fed(frames, lengths, tuple(given), carry=True), unroll(cell, step, frames, lengths, tuple(given))
    properties.compare_gradients(fed, own, other, lengths, [frames, *given])
    assert fed(frames, lengths).state is None


def check_gradients(cell: GatedCell, state: State | None = None) -> None:
    """The gradients of real frames and final states by frames, states and weights are the differences' quotients."""
    fed = Fed(cell)
    frames, lengths = properties.draw_batch(fed.inputs, (3, 2), 3)
    frames, *given = start(fed, frames, None if state is None else tuple(tensor[:2] for tensor in state))
    names, values = zip(*fed.named_parameters(), strict=True)

    def run(frames: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        weights, state = dict(zip(names, others, strict=False)), others[len(names) :]
        done = torch.func.functional_call(fed, weights, (frames, lengths, state, True))
        return done.outputs[0], done.outputs[1, :2], *done.state

    assert torch.autograd.gradcheck(run, (frames, *(value.detach().requires_grad_() for value in values), *given))


def check_plain(monkeypatch: pytest.MonkeyPatch, cell: GatedCell, kernel: Kernel, state: State | None = None) -> None:
    """The step in tensor operations is the compiled one."""
    fed = Fed(cell.eval())
    frames, lengths = properties.draw_batch(fed.inputs)
    frames, *given = start(fed, frames, state)
    own = fed(frames, lengths, tuple(given), carry=True)
    monkeypatch.setattr(type(cell), "operator", staticmethod(lambda *arguments: _run_plain(kernel, *arguments)))
    properties.compare_gradients(fed, own, fed(frames, lengths, tuple(given), carry=True), lengths, [frames, *given])


def check_float32(cell: GatedCell, frames: int = 60) -> None:
    """Outputs and gradients of float32 lie near those of float64, over rows of more than one vector register."""
    fed = Fed(cell)
    batch, lengths = properties.draw_batch(fed.inputs, (frames, frames // 2), frames)
    runs = []
    for dtype in (torch.float64, torch.float32):
        leaf = batch.to(dtype).requires_grad_()
        done = fed.to(dtype)(leaf, lengths, carry=True)
        real = (torch.arange(frames) < lengths[:, None])[:, :, None]
        assert done.outputs.dtype == dtype and all(tensor.dtype == dtype for tensor in done.state)
        gradients = torch.autograd.grad((done.outputs * real).square().sum(), [leaf, *fed.parameters()])
        runs.append([(done.outputs * real).double(), *(gradient.double() for gradient in gradients)])
    for exact, near in zip(*runs, strict=True):
        assert float((exact - near).detach().abs().max()) < 3e-5 * float(exact.detach().abs().max())


def check_runs(cell: GatedCell, folder: Path, tolerance: float = 0.1) -> None:
    """Chunks, items alone, bfloat16 and export: as for every cell. What is not a number stays in its sequence and is not lost."""
    fed = Fed(cell)
    frames, lengths = properties.draw_batch(fed.inputs)
    properties.check_chunks(fed, frames, lengths, (2, 3, 7))
    properties.check_batch_invariance(fed, frames, lengths)
    properties.check_bf16(fed, frames, lengths, tolerance)
    for dtype in (torch.float32, torch.float64):
        broken = frames.to(dtype, copy=True)
        broken[0, 2, 0] = torch.nan
        outputs = fed.to(dtype)(broken, lengths).outputs.isnan()
        assert not outputs[0, :2].any() and outputs[0, 2:].all() and not outputs[1:].any()
    properties.check_export(fed.double(), frames, lengths, folder)
