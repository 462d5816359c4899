"""The LSTM family and the GRU against references written frame by frame from the equations."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from recognizer.config import CellSettings
from recognizer.models.cells import build_cell
from recognizer.models.gated import _run_plain
from recognizer.models.recurrence import Pass, State
from recognizer.models.sequence_dropout import SequenceDropout
from tests.models.cells.properties import (
    check_batch_invariance,
    check_bf16,
    check_chunks,
    check_export,
    compare_gradients,
    draw_batch,
    draw_state,
    shake,
)

INPUTS, HIDDEN = 3, 5
Reference = Callable[[Tensor, State, Callable[[str], Tensor]], State]


def lstm(x: Tensor, state: State, p: Callable[[str], Tensor], forget: str = "gate", peepholes: bool = True) -> State:
    h, c = state
    see = (lambda k: p("peephole_l0")[k]) if peepholes else (lambda k: torch.zeros(HIDDEN, dtype=x.dtype))
    blocks = ["i", "f", "g", "o"] if forget == "gate" else ["i", "g", "o"]
    at = {name: (x @ p("weight_ih_l0").T + h @ p("weight_hh_l0").T + p("bias_l0"))[:, k * HIDDEN : (k + 1) * HIDDEN] for k, name in enumerate(blocks)}
    i = 1 / (1 + torch.exp(-(at["i"] + see(0) * c)))
    f = {"gate": lambda: 1 / (1 + torch.exp(-(at["f"] + see(1) * c))), "none": lambda: torch.ones_like(i), "coupled": lambda: 1 - i}[forget]()
    new = f * c + i * torch.tanh(at["g"])
    return torch.tanh(new) / (1 + torch.exp(-(at["o"] + see(2) * new))), new


def cell_gated(x: Tensor, state: State, p: Callable[[str], Tensor]) -> State:
    _, c = state
    wi, wf, wg, wo = p("weight_ih_l0").chunk(4)
    ui, uf, uo = p("weight_hh_l0").chunk(3)
    bi, bf, bg, bo = p("bias_l0").chunk(4)
    new = torch.sigmoid(x @ wf.T + c @ uf.T + bf) * c + torch.sigmoid(x @ wi.T + c @ ui.T + bi) * torch.tanh(x @ wg.T + bg)
    return torch.sigmoid(x @ wo.T + c @ uo.T + bo) * torch.tanh(new), new


def gru(x: Tensor, state: State, p: Callable[[str], Tensor]) -> State:
    (h,) = state
    (wr, wz, wn), (ur, uz, un), (br, bz, bn) = p("weight_ih_l0").chunk(3), p("weight_hh_l0").chunk(3), p("bias_l0").chunk(3)
    r, z = torch.sigmoid(x @ wr.T + h @ ur.T + br), torch.sigmoid(x @ wz.T + h @ uz.T + bz)
    n = torch.tanh(x @ wn.T + bn + r * (h @ un.T + p("peephole_l0")[0]))
    return ((1 - z) * n + z * h,)


REFERENCES: dict[str, Reference] = {
    "peephole": lstm,
    "lstm_1997": lambda x, state, p: lstm(x, state, p, "none", False),
    "coupled": lambda x, state, p: lstm(x, state, p, "coupled"),
    "cell_gated": cell_gated,
    "gru": gru,
}
every_cell = pytest.mark.parametrize("name", REFERENCES)


def make(name: str, settings: CellSettings | None = None) -> nn.Module:
    cell = build_cell(name, INPUTS, HIDDEN, settings).double()
    shake(cell)
    return cell


def run_reference(name: str, cell: nn.Module, frames: Tensor, lengths: Tensor, state: State) -> Pass:
    """Each sequence alone, frame by frame."""
    outputs = torch.zeros(*frames.shape[:2], HIDDEN, dtype=frames.dtype)
    finals = []
    for item, length in enumerate(lengths.tolist()):
        at = tuple(tensor[item : item + 1] for tensor in state)
        rows = []
        for t in range(length):
            at = REFERENCES[name](frames[item : item + 1, t], at, lambda key: dict(cell.named_parameters())[key])
            rows.append(at[0])
        if rows:
            outputs = outputs.index_put((torch.tensor([item]), torch.arange(length)), torch.cat(rows))
        finals.append(at)
    return Pass(outputs, tuple(torch.cat(parts) for parts in zip(*finals, strict=True)))


@every_cell
def test_equals_the_equations_forward_and_backward(name: str) -> None:
    cell = make(name)
    frames, lengths = draw_batch(INPUTS)
    frames.requires_grad_()
    state = tuple(tensor.requires_grad_() for tensor in draw_state(cell, frames))
    compare_gradients(cell, cell(frames, lengths, state, carry=True), run_reference(name, cell, frames, lengths, state), lengths, [frames, *state])


@every_cell
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    cell = make(name, CellSettings(zoneout=0.3))
    cell.eval()  # zoneout's expectation: the gradient passes through blended states too
    frames, lengths = draw_batch(INPUTS, (3, 1), 3)
    frames.requires_grad_()
    parameters = list(cell.parameters())
    assert torch.autograd.gradcheck(lambda f, *_: cell(f, lengths, carry=True).state, (frames, *parameters), atol=1e-7)


@every_cell
def test_chunks_batches_precision_and_files(name: str, tmp_path: Path) -> None:
    frames, lengths = draw_batch(INPUTS)
    check_chunks(make(name), frames, lengths, (2, 5))
    check_batch_invariance(make(name), frames, lengths)
    check_bf16(make(name), frames, lengths, 0.05)
    check_export(make(name), frames, lengths, tmp_path)


@every_cell
def test_plain_steps_are_the_compiled_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on other devices, here on the CPU, with zoneout and recurrent dropout."""
    cell = make(name, CellSettings(zoneout=0.2, recurrent_dropout=0.4)).train()
    frames, lengths = draw_batch(INPUTS)
    torch.manual_seed(4)
    compiled = cell(frames, lengths, carry=True)
    kernel = import_module(type(cell).__module__).KERNEL
    monkeypatch.setattr(type(cell), "operator", staticmethod(lambda *arguments: _run_plain(kernel, *arguments)))
    torch.manual_seed(4)
    compare_gradients(cell, compiled, cell(frames, lengths, carry=True), lengths, [])


def test_peephole_without_peepholes_is_the_lstm() -> None:
    torch.manual_seed(0)
    lstm_cell, cell = build_cell("lstm", INPUTS, HIDDEN).double(), build_cell("peephole", INPUTS, HIDDEN).double()
    with torch.no_grad():
        cell.weight_ih_l0.copy_(lstm_cell.weight_ih_l0)
        cell.weight_hh_l0.copy_(lstm_cell.weight_hh_l0)
        cell.bias_l0.copy_(lstm_cell.bias_ih_l0 + lstm_cell.bias_hh_l0)
        cell.peephole_l0.zero_()
    frames, _ = draw_batch(INPUTS)
    lengths = torch.full((4,), 8)
    state = draw_state(cell, frames)
    own, other = cell(frames, lengths, state, carry=True), lstm_cell(frames, lengths, state)
    torch.testing.assert_close(own.outputs, other.outputs, atol=1e-14, rtol=0)
    packed = nn.LSTM.forward(lstm_cell, frames, (state[0][None], state[1][None]))
    torch.testing.assert_close(own.state, (packed[1][0][0], packed[1][1][0]), atol=1e-14, rtol=0)
    carried = lstm_cell(frames, lengths, state, carry=True)
    torch.testing.assert_close(carried.state, own.state, atol=1e-14, rtol=0)
    torch.testing.assert_close(carried.outputs, other.outputs, atol=1e-14, rtol=0)


def test_gru_is_the_frameworks() -> None:
    torch.manual_seed(0)
    cell, framework = build_cell("gru", INPUTS, HIDDEN).double(), nn.GRU(INPUTS, HIDDEN, batch_first=True).double()
    with torch.no_grad():
        framework.weight_ih_l0.copy_(cell.weight_ih_l0)
        framework.weight_hh_l0.copy_(cell.weight_hh_l0)
        framework.bias_ih_l0.copy_(cell.bias_l0)
        framework.bias_hh_l0.zero_()
        framework.bias_hh_l0[2 * HIDDEN :].copy_(cell.peephole_l0[0])
    frames, lengths = draw_batch(INPUTS)
    torch.testing.assert_close(cell(frames, lengths).outputs, framework(frames)[0], atol=1e-14, rtol=0)


@pytest.mark.parametrize("name", ["lstm", *REFERENCES])
def test_zoneout_keeps_whole_states_and_its_mean_in_evaluation(name: str) -> None:
    frames, lengths = torch.randn(2, 1, INPUTS, dtype=torch.float64), torch.tensor([1, 1])
    plain, cell = make(name), make(name, CellSettings(zoneout=0.5))
    state = draw_state(cell, frames)
    new = plain(frames, lengths, state, carry=True).state
    torch.manual_seed(0)
    trained = cell.train()(frames, lengths, state, carry=True).state
    for before, after, drawn in zip(state, new, trained, strict=True):
        assert (torch.isclose(drawn, before) | torch.isclose(drawn, after)).all()
    assert any(torch.isclose(d, b).any() and torch.isclose(d, a).any() for b, a, d in zip(state, new, trained, strict=True))
    mean = cell.eval()(frames, lengths, state, carry=True).state
    torch.testing.assert_close(mean, tuple((b + a) / 2 for b, a in zip(state, new, strict=True)))


@pytest.mark.parametrize("name", ["lstm", *REFERENCES])
def test_recurrent_dropout_drops_the_same_cells_in_every_frame(name: str) -> None:
    """With weights that pass a dropped cell on, and nothing else: outputs of the other sequences' own cells do not change."""
    cell = make(name, CellSettings(recurrent_dropout=0.5)).train()
    frames, lengths = draw_batch(INPUTS, (6, 6), 6)
    torch.manual_seed(1)
    first = cell(frames, lengths).outputs
    torch.manual_seed(1)
    assert torch.equal(cell(frames, lengths).outputs, first)
    torch.manual_seed(1)
    ahead = cell(frames[:, :3], lengths.clamp_max(3), carry=True)
    torch.testing.assert_close(ahead.outputs, first[:, :3])
    torch.manual_seed(1)
    torch.testing.assert_close(cell(frames[:, 3:], lengths - 3, ahead.state).outputs, first[:, 3:])  # the mask of the first chunk again
    off = cell.eval()(frames, lengths).outputs
    assert torch.equal(off, make(name)(frames, lengths).outputs) or torch.allclose(off, make(name)(frames, lengths).outputs, atol=1e-12)
    assert not torch.allclose(off, first)


def test_the_lstm_learns_in_training_mode_with_its_chance_silenced() -> None:
    """As in epochs without dropout, when only what draws is in evaluation mode."""
    cell = make("lstm", CellSettings(zoneout=0.3, recurrent_dropout=0.5)).train()
    frames, lengths = draw_batch(INPUTS)
    assert not torch.allclose(cell(frames, lengths).outputs, cell(frames, lengths).outputs)
    for module in cell.modules():
        if isinstance(module, SequenceDropout):
            module.eval()
    silenced = cell(frames, lengths).outputs
    assert cell.training and torch.equal(silenced, cell.eval()(frames, lengths).outputs)


def test_forget_bias_opens_the_gate() -> None:
    for name in ("lstm", "peephole", "cell_gated"):
        torch.manual_seed(0)
        plain = build_cell(name, INPUTS, HIDDEN)
        torch.manual_seed(0)
        open_cell = build_cell(name, INPUTS, HIDDEN, CellSettings(forget_bias=2.5))
        key = "bias_ih_l0" if name == "lstm" else "bias_l0"
        changed = getattr(open_cell, key) - getattr(plain, key)
        assert torch.allclose(changed[HIDDEN : 2 * HIDDEN], torch.tensor(2.5)) and not changed[:HIDDEN].any() and not changed[2 * HIDDEN :].any()


@pytest.mark.parametrize("name", ["layer_norm", "cell_gated", "lstm"])
def test_new_cells_do_not_hear_what_is_long_gone(name: str) -> None:
    """Nor do those whose weights have grown to four times what they were, so that gradients do not explode over long sequences."""
    for factor in (1, 4):
        torch.manual_seed(0)
        cell = build_cell(name, 64, 64)
        with torch.no_grad():
            for parameter in cell.parameters():
                parameter *= factor if parameter.ndim > 1 else 1
        frames = (0.4 * torch.randn(2, 100, 64) + 0.4 * torch.randn(2, 1, 64)).requires_grad_()  # a voice and what it says
        cell(frames, torch.tensor([100, 100])).outputs[:, -1].sum().backward()
        sizes = frames.grad.norm(dim=2).mean(dim=0)
        assert sizes[0] < 1e-4 * sizes[-1]


def test_not_a_number_goes_through() -> None:
    cell = build_cell("peephole", INPUTS, HIDDEN)
    frames = torch.zeros(1, 4, INPUTS)
    frames[0, 2, 1] = float("nan")
    outputs = cell(frames, torch.tensor([4])).outputs
    assert not outputs[0, :2].isnan().any() and outputs[0, 2:].isnan().all()
