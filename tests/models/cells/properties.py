"""What holds for a recurrent cell whatever its equations; frames are (B, T, D), lengths (B,)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from recognizer.models.recurrent_cell import CellOutput, CompiledCell, RecurrentCell, State

Step = Callable[[Tensor, State, Tensor | None], State]  # a frame (D,), the state of one sequence, its below (H,) or gap ()


def shake(module: torch.nn.Module, seed: int = 0, scale: float = 0.6) -> None:
    """Draw all weights anew, also those that start at zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * scale)


def draw_batch(inputs: int, lengths: tuple[int, ...] = (7, 0, 4, 1), frames: int = 8, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Frames (B, ``frames``, ``inputs``) float64, not zero in padding, and their lengths."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(lengths), frames, inputs, generator=generator, dtype=torch.float64), torch.tensor(lengths)


def draw_state(cell: RecurrentCell, frames: Tensor, seed: int = 2) -> State:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) for tensor in cell.initial(frames))


def real_frames(outputs: Tensor, lengths: Tensor) -> Tensor:
    return (torch.arange(outputs.shape[1]) < lengths[:, None])[:, :, None]


def close(own: Tensor | State | None, other: Tensor | State | None, tolerance: float = 1e-11) -> None:
    torch.testing.assert_close(own, other, atol=tolerance, rtol=tolerance)


class WithInputs(RecurrentCell):
    """A cell whose ``below`` or ``gaps`` are the last columns of its frames, so that the same checks serve for all cells."""

    def __init__(self, cell: RecurrentCell) -> None:
        super().__init__()
        self.cell, self.hidden = cell, cell.hidden
        self.others = cell.hidden if cell.reads_below else int(cell.reads_gaps)
        self.inputs = cell.inputs + self.others

    def initial(self, frames: Tensor) -> State:
        return self.cell.initial(frames)

    def forward(self, frames: Tensor, lengths: Tensor, state: State | None = None, carry: bool = False, **_: None) -> CellOutput:  # type: ignore[override]
        frames, others = frames.split([self.cell.inputs, self.others], dim=2)
        below = others if self.cell.reads_below else None
        gaps = others[:, :, 0].abs() if self.cell.reads_gaps else None
        return self.cell(frames, lengths, state, carry, below, gaps)


def unroll(cell: CompiledCell, step: Step, frames: Tensor, lengths: Tensor, state: State) -> CellOutput:
    """Each sequence alone, frame by frame, with zoneout's expectation; frames as :class:`WithInputs` takes them."""
    outputs, ends, share = [], [], cell.settings.zoneout
    for item, length in enumerate(lengths.tolist()):
        now, rows = tuple(tensor[item] for tensor in state), []
        for frame in frames[item, :length]:
            x, others = frame[: cell.inputs], frame[cell.inputs :]
            after = step(x, now, others if cell.reads_below else others[0].abs() if cell.reads_gaps else None)
            now = tuple((1 - share) * new + share * old for new, old in zip(after, now, strict=True))
            rows.append(now[0])
        outputs.append(torch.stack(rows + [torch.zeros_like(state[0][item])] * (frames.shape[1] - length)))
        ends.append(now)
    return CellOutput(torch.stack(outputs), tuple(torch.stack(parts) for parts in zip(*ends, strict=True)))


def leaves(cell: RecurrentCell, frames: Tensor) -> list[Tensor]:
    """The frames and a drawn state, to ask gradients of."""
    return [tensor.detach().clone().requires_grad_() for tensor in (frames, *draw_state(cell, frames))]


def compare_gradients(
    cell: RecurrentCell, own: CellOutput, other: CellOutput, lengths: Tensor, leaves: list[Tensor], tolerance: float = 1e-10
) -> None:
    """Real frames and final states are equal, and so are the gradients of both by all leaves and weights."""
    real = real_frames(own.outputs, lengths)
    close(own.outputs * real, other.outputs * real, tolerance)
    close(own.state, other.state, tolerance)
    gradients = []
    for run in (own, other):
        assert run.state is not None
        generator = torch.Generator().manual_seed(3)
        parts = [run.outputs * real, *run.state]
        loss = sum((part * torch.randn(part.shape, generator=generator, dtype=part.dtype)).sum() for part in parts)
        gradients.append(torch.autograd.grad(loss, [*leaves, *cell.parameters()]))
    close(*gradients, tolerance)
    assert all(gradient.abs().max() > 1e-4 for gradient in gradients[0])


def check_gradients(cell: RecurrentCell) -> None:
    """The gradients of real frames and final states by frames, states and weights are quotients of differences."""
    frames, lengths = draw_batch(cell.inputs, (3, 2), 3)
    frames, *given = leaves(cell, frames)
    names, values = zip(*cell.named_parameters(), strict=True)

    def run(frames: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        weights, state = dict(zip(names, others, strict=False)), others[len(names) :]
        done = torch.func.functional_call(cell, weights, (frames, lengths, state, True))
        return done.outputs[0], done.outputs[1, :2], *done.state

    assert torch.autograd.gradcheck(run, (frames, *(value.detach().requires_grad_() for value in values), *given))


def check_float32(cell: RecurrentCell, frames: int = 60) -> None:
    """Outputs and gradients of float32 are near those of float64, over rows of more than one vector register."""
    batch, lengths = draw_batch(cell.inputs, (frames, frames // 2), frames)
    runs = []
    for dtype in (torch.float64, torch.float32):
        leaf = batch.to(dtype).requires_grad_()
        done = cell.to(dtype)(leaf, lengths, carry=True)
        outputs = done.outputs * real_frames(done.outputs, lengths)
        assert done.outputs.dtype == dtype and all(tensor.dtype == dtype for tensor in done.state)
        gradients = torch.autograd.grad(outputs.square().sum(), [leaf, *cell.parameters()])
        runs.append([outputs.double(), *(gradient.double() for gradient in gradients)])
    for exact, near in zip(*runs, strict=True):
        assert float((exact - near).detach().abs().max()) < 3e-5 * float(exact.detach().abs().max())


def check_chunks(cell: RecurrentCell, frames: Tensor, lengths: Tensor, cuts: tuple[int, ...] = (2, 3, 7)) -> None:
    """Cut at ``cuts`` and run with the state carried over, gradients included: as in one run."""
    frames, *state = leaves(cell, frames)
    whole = cell(frames, lengths, tuple(state), carry=True)
    outputs, carried = [], tuple(state)
    for start, stop in zip((0, *cuts), (*cuts, frames.shape[1]), strict=True):
        part = cell(frames[:, start:stop], (lengths - start).clamp(0, stop - start), carried, carry=True)
        outputs.append(part.outputs)
        carried = part.state
    compare_gradients(cell, whole, CellOutput(torch.cat(outputs, dim=1), carried), lengths, [frames, *state])


def check_batch_invariance(cell: RecurrentCell, frames: Tensor, lengths: Tensor) -> None:
    """Each item alone is as in its batch, whatever its padding; without frames it keeps its state to the last bit."""
    state = draw_state(cell, frames)
    batch = cell(frames, lengths, state, carry=True)
    for item, length in enumerate(lengths.tolist()):
        own = tuple(tensor[item : item + 1] for tensor in batch.state)
        initial = tuple(tensor[item : item + 1] for tensor in state)
        if length == 0:
            assert all(torch.equal(after, before) for after, before in zip(own, initial, strict=True))
            continue
        alone = cell(frames[item : item + 1, :length], lengths[item : item + 1], initial, carry=True)
        close(batch.outputs[item, :length], alone.outputs[0])
        close(own, alone.state)
    loud = torch.where(real_frames(frames, lengths), frames, 1e3)
    close(cell(loud, lengths, state, carry=True).state, batch.state)


def check_bf16(cell: RecurrentCell, frames: Tensor, lengths: Tensor, tolerance: float) -> None:
    """Under autocast outputs stay near, states are float32 and gradients finite."""
    exact = cell.double()(frames, lengths, carry=True)
    cell.float()
    with torch.autocast("cpu", torch.bfloat16):
        run = cell(frames.float(), lengths, carry=True)
    real = real_frames(frames, lengths)
    assert all(tensor.dtype == torch.float32 for tensor in run.state)
    error = float(((run.outputs.double() - exact.outputs) * real).detach().abs().max())
    assert 0 < error < tolerance
    (run.outputs * real).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in cell.parameters())


def check_nan(cell: RecurrentCell, frames: Tensor, lengths: Tensor) -> None:
    """A value that is not a number stays in its sequence and is not lost."""
    for dtype in (torch.float32, torch.float64):
        broken = frames.to(dtype, copy=True)
        broken[0, 2, 0] = torch.nan
        outputs = cell.to(dtype)(broken, lengths).outputs.isnan()
        assert not outputs[0, :2].any() and outputs[0, 2:].all() and not outputs[1:].any()


class Bare(torch.nn.Module):
    """A cell that gives a plain tuple, since a program's file knows no others."""

    def __init__(self, cell: RecurrentCell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, frames: Tensor, lengths: Tensor, state: State) -> tuple[Tensor, ...]:
        outputs, after, _ = self.cell(frames, lengths, state, carry=True)
        return outputs, *after


def check_export(cell: RecurrentCell, frames: Tensor, lengths: Tensor, folder: Path) -> None:
    """An exported program comes back from its file and gives the same."""
    bare = Bare(cell.eval())
    arguments = (frames, lengths, draw_state(cell, frames))
    torch.export.save(torch.export.export(bare, arguments), folder / "cell.pt2")
    close(tuple(torch.export.load(folder / "cell.pt2").module()(*arguments)), bare(*arguments))
