"""Self-attention against its equations, query by query, and that it reads no padding."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from recognizer.errors import ConfigError
from recognizer.models.attention import SelfAttention, rotate

DIM, HEADS, LENGTHS = 8, 2, (6, 0, 3, 1)


def make(feedforward: int = 5, dropout: float = 0.0) -> SelfAttention:
    torch.manual_seed(0)
    layer = SelfAttention(DIM, HEADS, dropout, feedforward).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.7)
    return layer


def draw() -> tuple[Tensor, Tensor]:
    return torch.randn(len(LENGTHS), 7, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64), torch.tensor(LENGTHS)


def normalise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt() * weight + bias


def turn(vector: Tensor, position: int) -> Tensor:
    """Rotation of the pairs (j, j + d/2) by position / 10000^(2j/d), as a matrix."""
    half = len(vector) // 2
    matrix = torch.zeros(2 * half, 2 * half, dtype=torch.float64)
    for j in range(half):
        angle = position / 10_000 ** (2 * j / len(vector))
        matrix[j, j] = matrix[j + half, j + half] = math.cos(angle)
        matrix[j + half, j], matrix[j, j + half] = math.sin(angle), -math.sin(angle)
    return matrix @ vector


def attend(layer: SelfAttention, sequence: Tensor) -> Tensor:
    """One sequence (T, D), frame by frame."""
    size = DIM // HEADS
    w_q, w_k, w_v = layer.projection.weight.chunk(3)
    b_q, b_k, b_v = layer.projection.bias.chunk(3)
    normed = [normalise(x, layer.norm.weight, layer.norm.bias) for x in sequence]
    rows = []
    for t, x in enumerate(sequence):
        heads = []
        for head in range(HEADS):
            own = slice(head * size, (head + 1) * size)
            q = turn(w_q[own] @ normed[t] + b_q[own], t)
            scores = torch.stack([q @ turn(w_k[own] @ y + b_k[own], s) / math.sqrt(size) for s, y in enumerate(normed)])
            heads.append(sum(a * (w_v[own] @ y + b_v[own]) for a, y in zip(scores.softmax(0), normed, strict=True)))
        y = x + layer.output.weight @ torch.cat(heads) + layer.output.bias
        if len(layer.feedforward):
            norm, inner, _, outer = layer.feedforward
            y = y + outer.weight @ (inner.weight @ normalise(y, norm.weight, norm.bias) + inner.bias).clamp_min(0) + outer.bias
        rows.append(y)
    return torch.stack(rows)


@pytest.mark.parametrize("feedforward", [0, 5])
def test_equals_the_equations_forward_and_backward(feedforward: int) -> None:
    layer, (frames, lengths) = make(feedforward), draw()
    frames.requires_grad_()
    own = layer(frames, lengths)
    expected = torch.stack([
        torch.nn.functional.pad(attend(layer, row[:length]), (0, 0, 0, 7 - length)) if length else torch.zeros_like(row)
        for row, length in zip(frames, LENGTHS, strict=True)
    ])
    torch.testing.assert_close(own, expected, atol=1e-11, rtol=0)
    leaves = [frames, *layer.parameters()]
    gradients = [torch.autograd.grad(result.square().sum(), leaves) for result in (own, expected)]
    torch.testing.assert_close(*gradients, atol=1e-8, rtol=1e-8)


def test_gradcheck() -> None:
    layer = make()
    frames = torch.randn(2, 3, DIM, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda given: layer(given, torch.tensor([3, 2])), frames)


def test_padding_is_never_read() -> None:
    layer, (frames, lengths) = make(), draw()
    expected = layer(frames, lengths)
    for row, length in zip(frames, LENGTHS, strict=True):
        row[length:] = torch.nan
    frames.requires_grad_()
    own = layer(frames, lengths)
    assert torch.equal(own, expected)
    (gradient,) = torch.autograd.grad(own.sum(), frames)
    assert torch.isfinite(gradient).all() and not gradient[1].any() and not gradient[2, 3:].any()
    for item, length in enumerate(LENGTHS):
        assert not own[item, length:].any()
        if length:
            alone = layer(frames[item : item + 1, :length], lengths[item : item + 1])
            torch.testing.assert_close(own[item : item + 1, :length], alone, atol=1e-12, rtol=0)


def test_products_of_rotated_vectors_know_the_distance_only() -> None:
    query, key = torch.randn(2, 1, 1, 1, 6, dtype=torch.float64)
    products = rotate(query.expand(1, 1, 50, 6))[0, 0] @ rotate(key.expand(1, 1, 50, 6))[0, 0].T
    for distance in (-20, -1, 0, 3):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-12, rtol=0)
    assert (products[0, 1:] - products[0, 0]).abs().min() > 1e-6


def test_dropout_is_off_in_evaluation() -> None:
    layer, (frames, lengths) = make(dropout=0.5), draw()
    assert not torch.allclose(layer(frames, lengths), make()(frames, lengths))
    torch.testing.assert_close(layer.eval()(frames, lengths), make()(frames, lengths))


def test_bf16() -> None:
    layer, (frames, lengths) = make(), draw()
    expected = layer(frames, lengths)
    layer.float()
    with torch.autocast("cpu", torch.bfloat16):
        own = layer(frames.float(), lengths)
    assert own.dtype == torch.float32 and torch.isfinite(own).all()
    assert 0 < float((own - expected).detach().abs().max()) < 0.02 * float(expected.detach().abs().max())


def test_export_save_and_load(tmp_path: Path) -> None:
    layer, (frames, lengths) = make().eval(), draw()
    torch.export.save(torch.export.export(layer, (frames, lengths)), tmp_path / "layer.pt2")
    torch.testing.assert_close(torch.export.load(tmp_path / "layer.pt2").module()(frames, lengths), layer(frames, lengths))
    torch.save(layer.state_dict(), tmp_path / "weights.pt")
    other = SelfAttention(DIM, HEADS, 0.0, 5).double()
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(other(frames, lengths), layer(frames, lengths))


@pytest.mark.parametrize("heads", [0, 3, 8])
def test_refuses_heads_that_do_not_fit(heads: int) -> None:
    with pytest.raises(ConfigError, match=f"model.attention: {heads} heads do not divide a frame of 8 into even parts"):
        SelfAttention(DIM, heads)
