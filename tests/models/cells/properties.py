"""What holds for a recurrent cell whatever its equations; frames are (B, T, D), lengths (B,)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from recognizer.models.recurrence import Pass, Recurrence, State


def shake(module: torch.nn.Module, seed: int = 0, scale: float = 0.6) -> None:
    """Draw all weights anew, those too that start at zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * scale)


def draw_batch(inputs: int, lengths: tuple[int, ...] = (7, 0, 4, 1), frames: int = 8, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Frames (B, ``frames``, ``inputs``) float64, not zero in padding, and their lengths."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(lengths), frames, inputs, generator=generator, dtype=torch.float64), torch.tensor(lengths)


def draw_state(cell: Recurrence, frames: Tensor, seed: int = 2) -> State:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) for tensor in cell.initial(frames))


def close(own: Tensor | State | None, other: Tensor | State | None, tolerance: float = 1e-11) -> None:
    torch.testing.assert_close(own, other, atol=tolerance, rtol=tolerance)


def compare_gradients(cell: Recurrence, own: Pass, other: Pass, lengths: Tensor, leaves: list[Tensor], tolerance: float = 1e-10) -> None:
    """Real frames and final states are alike, and so are the gradients of both by all leaves and weights."""
    real = (torch.arange(own.outputs.shape[1]) < lengths[:, None])[:, :, None]
    close(own.outputs * real, other.outputs * real, tolerance)
    close(own.state, other.state, tolerance)
    leaves = [*leaves, *cell.parameters()]
    gradients = []
    for run in (own, other):
        assert run.state is not None
        generator = torch.Generator().manual_seed(3)
        parts = [run.outputs * real, *run.state]
        loss = sum((part * torch.randn(part.shape, generator=generator, dtype=part.dtype)).sum() for part in parts)
        gradients.append(torch.autograd.grad(loss, leaves))
    close(*gradients, tolerance)
    assert all(gradient.abs().max() > 1e-4 for gradient in gradients[0])


def check_chunks(cell: Recurrence, frames: Tensor, lengths: Tensor, cuts: tuple[int, ...]) -> None:
    """Cut at ``cuts`` and run with the state carried over, gradients included: as in one run."""
    frames = frames.clone().requires_grad_()
    state = tuple(tensor.requires_grad_() for tensor in draw_state(cell, frames))
    whole = cell(frames, lengths, state, carry=True)
    outputs, carried = [], state
    for start, stop in zip((0, *cuts), (*cuts, frames.shape[1]), strict=True):
        part = cell(frames[:, start:stop], (lengths - start).clamp(0, stop - start), carried, carry=True)
        outputs.append(part.outputs)
        carried = part.state
    compare_gradients(cell, whole, Pass(torch.cat(outputs, dim=1), carried), lengths, [frames, *state])


def check_batch_invariance(cell: Recurrence, frames: Tensor, lengths: Tensor) -> None:
    """Each item alone is as in its batch, whatever its padding; without frames it keeps its state to the last bit."""
    state = draw_state(cell, frames)
    batch = cell(frames, lengths, state, carry=True)
    loud = torch.where((torch.arange(frames.shape[1]) < lengths[:, None])[:, :, None], frames, 1e3)
    for item, length in enumerate(lengths.tolist()):
        own = tuple(tensor[item : item + 1] for tensor in batch.state)
        initial = tuple(tensor[item : item + 1] for tensor in state)
        if length == 0:
            assert all(torch.equal(after, before) for after, before in zip(own, initial, strict=True))
            continue
        alone = cell(frames[item : item + 1, :length], lengths[item : item + 1], initial, carry=True)
        close(batch.outputs[item, :length], alone.outputs[0])
        close(own, alone.state)
    close(cell(loud, lengths, state, carry=True).state, batch.state)


def check_bf16(cell: Recurrence, frames: Tensor, lengths: Tensor, tolerance: float) -> None:
    """Under autocast outputs stay near, states are float32 and gradients finite."""
    exact = cell.double()(frames, lengths, carry=True)
    cell.float()
    with torch.autocast("cpu", torch.bfloat16):
        run = cell(frames.float(), lengths, carry=True)
    real = (torch.arange(frames.shape[1]) < lengths[:, None])[:, :, None]
    assert all(tensor.dtype == torch.float32 for tensor in run.state)
    error = float(((run.outputs.double() - exact.outputs) * real).detach().abs().max())
    assert 0 < error < tolerance
    (run.outputs * real).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in cell.parameters())


class Bare(torch.nn.Module):
    """A cell that gives a plain tuple, since a program's file knows no others."""

    def __init__(self, cell: Recurrence) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, frames: Tensor, lengths: Tensor, state: State) -> tuple[Tensor, ...]:
        outputs, after, _ = self.cell(frames, lengths, state, carry=True)
        return outputs, *after


def check_export(cell: Recurrence, frames: Tensor, lengths: Tensor, folder: Path) -> None:
    """Weights and exported programs come back from their files and give the same."""
    bare = Bare(cell.eval())
    arguments = (frames, lengths, draw_state(cell, frames))
    expected = bare(*arguments)
    torch.export.save(torch.export.export(bare, arguments), folder / "cell.pt2")
    close(tuple(torch.export.load(folder / "cell.pt2").module()(*arguments)), expected)
    torch.save(cell.state_dict(), folder / "weights.pt")
    shake(cell, seed=9)
    assert not torch.allclose(bare(*arguments)[0], expected[0])
    cell.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    close(bare(*arguments), expected)
