"""The encoder and its layers: recurrent layers against torch's packed LSTM; dropout, highway, self-conditioning and attention by their equations."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recognizer.config import ModelConfig
from recognizer.errors import ConfigError
from recognizer.models.encoder import Encoder, Highway, SelfAttention, VariationalDropout, rotate
from recognizer.models.masking import valid_frames
from tests.models.cells.properties import shake

INPUTS, HIDDEN, LAYERS, LABELS = 5, 4, 3, 6
DIM, HEADS, LENGTHS = 8, 2, (6, 0, 3, 1)  # of attention


def make_encoder(**settings: float) -> Encoder:
    torch.manual_seed(0)
    encoder = Encoder(INPUTS, ModelConfig(**{"num_layers": LAYERS, "hidden_size": HIDDEN, **settings}), LABELS)  # type: ignore[arg-type]
    for condition in filter(None, map(encoder.condition, range(LAYERS))):
        torch.nn.init.normal_(condition.back.weight)
    return encoder


def make_pair(dtype: torch.dtype) -> tuple[Encoder, nn.LSTM, list[tuple[nn.Parameter, nn.Parameter]]]:
    """An encoder and torch's LSTM of the same weights, and which parameter is which."""
    encoder = make_encoder().to(dtype)
    packed = nn.LSTM(INPUTS, HIDDEN, LAYERS, batch_first=True, bidirectional=True).to(dtype)
    pairs = []
    for number, layer in enumerate(encoder.layers):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            for direction, suffix in ((layer.forwards, ""), (layer.backwards, "_reverse")):
                own, other = getattr(direction, f"{name}_l0"), getattr(packed, f"{name}_l{number}{suffix}")
                with torch.no_grad():
                    own.copy_(other)
                pairs.append((own, other))
    assert len(pairs) == len(list(encoder.parameters())) == len(list(packed.parameters()))
    return encoder, packed, pairs


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_equals_a_packed_lstm_forward_and_backward(seed: int, dtype: torch.dtype, tolerance: float) -> None:
    encoder, packed, pairs = make_pair(dtype)
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 16, (6,), generator=generator)
    lengths[seed] = 1
    size = int(lengths.max()) + seed  # padding beyond the longest, too
    frames = torch.randn(6, size, INPUTS, generator=generator, dtype=dtype)
    own_frames, other_frames = frames.clone().requires_grad_(), frames.clone().requires_grad_()
    sequence = pack_padded_sequence(other_frames, lengths, batch_first=True, enforce_sorted=False)
    own, other = encoder(own_frames, lengths), pad_packed_sequence(packed(sequence)[0], batch_first=True, total_length=size)[0]
    torch.testing.assert_close(own, other, atol=tolerance, rtol=0)  # zero in padding, as torch's
    weights = torch.randn(own.shape, generator=generator, dtype=dtype) / 10
    (own * weights).sum().backward()
    (other * weights).sum().backward()
    torch.testing.assert_close(own_frames.grad, other_frames.grad, atol=tolerance, rtol=0)
    for own_parameter, other_parameter in pairs:
        torch.testing.assert_close(own_parameter.grad, other_parameter.grad, atol=tolerance, rtol=tolerance)


def test_padding_is_never_read() -> None:
    encoder = make_pair(torch.float64)[0]
    frames, lengths = torch.randn(3, 9, INPUTS, dtype=torch.float64), torch.tensor([9, 4, 1])
    expected = encoder(frames, lengths)
    for row, length in zip(frames, lengths.tolist(), strict=True):
        row[length:] = 1e3
    assert torch.equal(encoder(frames, lengths), expected)


def test_dropout_drops_the_same_cells_in_every_frame_of_a_sequence() -> None:
    torch.manual_seed(0)
    dropped = VariationalDropout(0.4)(torch.ones(200, 7, 50))
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))  # one mask a sequence
    kept = dropped[:, 0] > 0
    assert len({tuple(row.tolist()) for row in kept}) == 200  # and another for each
    assert torch.all(dropped[dropped > 0] == torch.tensor(1 / 0.6))
    assert abs(float(kept.float().mean()) - 0.6) < 0.02  # standard deviation 0.005


def test_dropout_keeps_the_precision_and_is_off_in_evaluation() -> None:
    frames = torch.randn(2, 3, 4)
    assert VariationalDropout(0.5).eval()(frames) is frames and VariationalDropout(0.0)(frames) is frames
    assert VariationalDropout(0.5)(frames.bfloat16()).dtype == torch.bfloat16


def test_dropout_stands_between_layers_and_after_the_last() -> None:
    encoder = make_encoder(num_layers=2, dropout=0.5)
    frames, lengths = torch.randn(8, 6, INPUTS), torch.full((8,), 6)
    trained = encoder(frames, lengths)
    zero = (trained == 0).all(dim=1)  # (B, 2H): cells that are off in all frames
    assert 0.2 < float(zero.float().mean()) < 0.8
    off = encoder.eval()(frames, lengths)
    assert not (off == 0).any()
    # what is left is not merely the scaled outcome without dropout: the layer below was thinned out too
    assert not torch.allclose(trained[trained != 0], (2 * off)[trained != 0], atol=1e-4)


def test_sizes() -> None:
    encoder = Encoder(3, ModelConfig(hidden_size=7, num_layers=2))
    assert encoder.dim == 14 and encoder(torch.zeros(2, 5, 3), torch.tensor([5, 1])).shape == (2, 5, 14)
    assert [layer.forwards.input_size for layer in encoder.layers] == [3, 14] and len(encoder.conditions) == 0


def test_highway_equals_its_equation_forward_and_backward() -> None:
    torch.manual_seed(0)
    layer, frames = Highway(4).double(), torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    w, w_t = layer.linear.weight.chunk(2)
    b, b_t = layer.linear.bias.chunk(2)
    t = torch.sigmoid(frames @ w_t.T + b_t)
    own, expected = layer(frames), torch.tanh(frames @ w.T + b) * t + frames * (1 - t)
    torch.testing.assert_close(own, expected, atol=1e-12, rtol=0)
    leaves = [frames, *layer.parameters()]
    torch.testing.assert_close(*(torch.autograd.grad(result.square().sum(), leaves) for result in (own, expected)), atol=1e-11, rtol=0)


def test_a_new_highway_layer_lets_its_frames_through() -> None:
    torch.manual_seed(0)
    layer, frames = Highway(4).double(), torch.randn(100, 4, dtype=torch.float64) / 10
    assert torch.all(layer.linear.bias[4:] == -2)
    torch.testing.assert_close(layer(frames), frames, atol=0.15, rtol=0)
    for bias, expected in ((-50, frames), (50, torch.tanh(layer.linear(frames)[:, :4]))):
        with torch.no_grad():
            layer.linear.bias[4:] = bias
        torch.testing.assert_close(layer(frames), expected, atol=1e-15, rtol=0)


@pytest.mark.parametrize(("settings", "sizes"), [
    ({"intermediate_ctc_weight": 0.3}, {0: LABELS, 1: LABELS}),
    ({"units_layer": 2, "units": ("a", "b", "c")}, {1: 4}),
    ({"intermediate_ctc_weight": 0.3, "units_layer": 1, "units": ("a",)}, {0: 2, 1: LABELS}),
], ids=str)  # fmt: skip
def test_a_conditioned_layer_reads_the_frames_and_their_intermediate_probabilities(settings: dict[str, Any], sizes: dict[int, int]) -> None:
    encoder = make_encoder(**settings)
    frames, lengths = torch.randn(2, 7, INPUTS), torch.tensor([7, 4])
    found, intermediate = encoder.encode(frames, lengths)
    assert {number: log_probs.shape[2] for number, log_probs in intermediate.items()} == sizes
    below = frames
    for number, layer in enumerate(encoder.layers):
        below = layer(below, lengths)[0]
        condition = encoder.condition(number)
        if condition is None:
            continue
        probs = (below @ condition.output.weight.T + condition.output.bias).softmax(dim=-1)
        for row, length in enumerate(lengths.tolist()):
            torch.testing.assert_close(intermediate[number][row, :length].exp(), probs[row, :length])
        below = below + probs @ condition.back.weight.T
    torch.testing.assert_close(found, below * valid_frames(lengths, 7)[:, :, None])


def test_new_conditioning_changes_nothing_but_learns() -> None:
    torch.manual_seed(0)
    encoder = Encoder(INPUTS, ModelConfig(num_layers=3, hidden_size=4, intermediate_ctc_weight=0.3), LABELS)
    frames, lengths = torch.randn(2, 7, INPUTS), torch.tensor([7, 4])
    found = encoder(frames, lengths)
    conditions, encoder.conditions = encoder.conditions, nn.ModuleDict()
    assert torch.equal(found, encoder(frames, lengths))
    found.square().sum().backward()
    assert all(condition.back.weight.grad.abs().sum() > 0 for condition in conditions.values())


def make_attention(dropout: float = 0.0) -> SelfAttention:
    layer = SelfAttention(DIM, HEADS, dropout).double()
    shake(layer, scale=0.7)
    return layer


def draw() -> tuple[Tensor, Tensor]:
    return torch.randn(len(LENGTHS), 7, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64), torch.tensor(LENGTHS)


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
    """One sequence (T, D), query by query."""
    size = DIM // HEADS
    w_q, w_k, w_v = layer.projection.weight.chunk(3)
    b_q, b_k, b_v = layer.projection.bias.chunk(3)
    normed = [(x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt() * layer.norm.weight + layer.norm.bias for x in sequence]
    rows = []
    for t, x in enumerate(sequence):
        heads = []
        for head in range(HEADS):
            own = slice(head * size, (head + 1) * size)
            q = turn(w_q[own] @ normed[t] + b_q[own], t)
            scores = torch.stack([q @ turn(w_k[own] @ y + b_k[own], s) / math.sqrt(size) for s, y in enumerate(normed)])
            heads.append(sum(a * (w_v[own] @ y + b_v[own]) for a, y in zip(scores.softmax(0), normed, strict=True)))
        rows.append(x + layer.output.weight @ torch.cat(heads) + layer.output.bias)
    return torch.stack(rows)


def test_attention_equals_the_equations_forward_and_backward() -> None:
    layer, (frames, lengths) = make_attention(), draw()
    frames.requires_grad_()
    own = layer(frames, lengths)
    expected = torch.stack([
        torch.nn.functional.pad(attend(layer, row[:length]), (0, 0, 0, 7 - length)) if length else torch.zeros_like(row)
        for row, length in zip(frames, LENGTHS, strict=True)
    ])
    torch.testing.assert_close(own, expected, atol=1e-11, rtol=0)
    leaves = [frames, *layer.parameters()]
    torch.testing.assert_close(*(torch.autograd.grad(result.square().sum(), leaves) for result in (own, expected)), atol=1e-8, rtol=1e-8)


def test_attention_never_reads_padding() -> None:
    layer, (frames, lengths) = make_attention(), draw()
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


def test_products_of_rotated_vectors_depend_on_the_distance_only() -> None:
    query, key = torch.randn(2, 1, 1, 1, 6, dtype=torch.float64)
    products = rotate(query.expand(1, 1, 50, 6))[0, 0] @ rotate(key.expand(1, 1, 50, 6))[0, 0].T
    for distance in (-20, -1, 0, 3):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-12, rtol=0)
    assert (products[0, 1:] - products[0, 0]).abs().min() > 1e-6


def test_attention_dropout_is_off_in_evaluation() -> None:
    layer, (frames, lengths) = make_attention(dropout=0.5), draw()
    assert not torch.allclose(layer(frames, lengths), make_attention()(frames, lengths))
    torch.testing.assert_close(layer.eval()(frames, lengths), make_attention()(frames, lengths))


@pytest.mark.parametrize("make", [make_attention, lambda: Highway(DIM).double()])
def test_bf16_and_export(make: object) -> None:
    layer, (frames, lengths) = make(), draw()  # type: ignore[operator]
    arguments = (frames, lengths) if isinstance(layer, SelfAttention) else (frames,)
    expected = layer(*arguments)
    torch.testing.assert_close(torch.export.export(layer, arguments).module()(*arguments), expected)
    with torch.autocast("cpu", torch.bfloat16):
        own = layer.float()(frames.float(), *arguments[1:])
    assert own.dtype == torch.float32 and 0 < float((own - expected).detach().abs().max()) < 0.02 * float(expected.detach().abs().max())


@pytest.mark.parametrize("heads", [0, 3, 8])
def test_refuses_heads_that_do_not_fit(heads: int) -> None:
    with pytest.raises(ConfigError, match=f"model.attention_heads: {heads} heads do not divide a frame of 8 into even parts"):
        SelfAttention(DIM, heads)
