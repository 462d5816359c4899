"""sLSTM: against its equations without the stabiliser, and what becomes of extreme gates."""

from __future__ import annotations

import pytest
import torch

from recognizer.errors import ConfigError
from tests.models.cells import properties
from tests.models.cells.references import INPUTS, make, project_heads

HIDDEN = 6


def test_an_empty_memory_needs_no_stabiliser() -> None:
    """From a state of zeros, c and n are those of the paper's equations without m, divided by exp(m)."""
    cell = make("slstm")
    frames, lengths = properties.draw_batch(INPUTS, (8,))
    run = cell(frames, lengths, carry=True)
    h = c = n = torch.zeros(HIDDEN, dtype=torch.float64)
    for t, x in enumerate(frames[0]):
        i, f, z, o = project_heads(cell, x, h)
        c, n = torch.sigmoid(f) * c + i.exp() * torch.tanh(z), torch.sigmoid(f) * n + i.exp()
        h = torch.sigmoid(o) * c / n
        properties.close(run.outputs[0, t], h)
    _, c_end, n_end, m = (tensor[0] for tensor in run.state)
    properties.close((c_end * m.exp(), n_end * m.exp()), (c, n))
    assert n_end.min() >= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [-1000.0, -200.0, 200.0, 1000.0])
def test_neither_overflows_nor_vanishes(bias: float, dtype: torch.dtype) -> None:
    cell = make("slstm").to(dtype)
    frames, lengths = properties.draw_batch(INPUTS, (8, 3))
    frames = frames.to(dtype).requires_grad_()
    expected = cell(frames, lengths).outputs
    with torch.no_grad():
        cell.bias_l0[:HIDDEN] += bias  # of all input gates: it cancels out of c / n
    own = cell(frames, lengths).outputs
    tolerance = 1e-3 if dtype == torch.float32 else 1e-10  # m is near the bias, and known to its last digit
    properties.close(own[0], expected[0], tolerance)
    own[0].square().sum().backward()
    assert frames.grad.isfinite().all() and all(parameter.grad.isfinite().all() for parameter in cell.parameters())


def test_heads_do_not_see_each_other() -> None:
    cell = make("slstm", heads=3)
    assert cell.weight_hh_l0.shape == (4, 3, 2, 2)
    frames, lengths = properties.draw_batch(INPUTS, (5,), 5)
    h, *others = properties.leaves(cell, frames)[1:]
    outputs = cell(frames, lengths, (h, *others)).outputs[0, -1]
    for head in range(3):
        (gradient,) = torch.autograd.grad(outputs[2 * head : 2 * head + 2].sum(), h, retain_graph=True)
        assert gradient[0].view(3, 2).any(dim=1).tolist() == [other == head for other in range(3)]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"heads": 4}, "model.recurrent.heads: 4 heads do not divide model.hidden_size=6"), ({"zoneout": 0.1}, "model.recurrent.zoneout: must be 0")],
)
def test_refuses(change: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make("slstm", **change)
