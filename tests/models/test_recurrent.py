"""The recurrent layers against torch's packed bidirectional LSTM, and their dropout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recognizer.config import ModelConfig
from recognizer.models.recurrent import RecurrentStack
from recognizer.models.sequence_dropout import SequenceDropout

INPUTS, HIDDEN, LAYERS = 5, 4, 3


def make_pair(dtype: torch.dtype) -> tuple[RecurrentStack, nn.LSTM, list[tuple[nn.Parameter, nn.Parameter]]]:
    """A stack and torch's LSTM of the same weights, and which parameter is which."""
    torch.manual_seed(0)
    stack = RecurrentStack(INPUTS, ModelConfig(hidden=HIDDEN, layers=LAYERS)).to(dtype)
    packed = nn.LSTM(INPUTS, HIDDEN, LAYERS, batch_first=True, bidirectional=True).to(dtype)
    pairs = []
    for number, layer in enumerate(stack.layers):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            for direction, suffix in ((layer.forwards, ""), (layer.backwards, "_reverse")):
                own, other = getattr(direction, f"{name}_l0"), getattr(packed, f"{name}_l{number}{suffix}")
                with torch.no_grad():
                    own.copy_(other)
                pairs.append((own, other))
    assert len(pairs) == len(list(stack.parameters())) == len(list(packed.parameters()))
    return stack, packed, pairs


def run_packed(lstm: nn.LSTM, frames: Tensor, lengths: Tensor) -> Tensor:
    packed = pack_padded_sequence(frames, lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(lstm(packed)[0], batch_first=True, total_length=frames.shape[1])[0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_a_packed_lstm_forward_and_backward(seed: int, dtype: torch.dtype) -> None:
    stack, packed, pairs = make_pair(dtype)
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 16, (6,), generator=generator)
    lengths[seed] = 1
    size = int(lengths.max()) + seed  # padding beyond the longest, too
    frames = torch.randn(6, size, INPUTS, generator=generator, dtype=dtype)
    own_frames, other_frames = frames.clone().requires_grad_(), frames.clone().requires_grad_()
    own, other = stack(own_frames, lengths), run_packed(packed, other_frames, lengths)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(own, other, atol=tolerance, rtol=0)
    for row, length in zip(own, lengths.tolist(), strict=True):
        assert not row[length:].any()
    weights = torch.randn(own.shape, generator=generator, dtype=dtype) / 10
    (own * weights).sum().backward()
    (other * weights).sum().backward()
    torch.testing.assert_close(own_frames.grad, other_frames.grad, atol=tolerance, rtol=0)
    for own_parameter, other_parameter in pairs:
        torch.testing.assert_close(own_parameter.grad, other_parameter.grad, atol=tolerance, rtol=tolerance)


def test_padding_is_never_read() -> None:
    stack, _, _ = make_pair(torch.float64)
    frames, lengths = torch.randn(3, 9, INPUTS, dtype=torch.float64), torch.tensor([9, 4, 1])
    expected = stack(frames, lengths)
    for row, length in zip(frames, lengths.tolist(), strict=True):
        row[length:] = 1e3
    assert torch.equal(stack(frames, lengths), expected)


def test_dropout_drops_the_same_cells_in_every_frame_of_a_sequence() -> None:
    torch.manual_seed(0)
    dropped = SequenceDropout(0.4)(torch.ones(200, 7, 50))
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))  # one mask a sequence
    kept = dropped[:, 0] > 0
    assert len({tuple(row.tolist()) for row in kept}) == 200  # and another for each
    assert torch.all(dropped[dropped > 0] == torch.tensor(1 / 0.6))
    assert abs(float(kept.float().mean()) - 0.6) < 0.02  # standard deviation 0.005
    assert abs(float(dropped.mean()) - 1) < 0.035  # the expectation is kept


def test_dropout_keeps_the_precision_and_is_off_in_evaluation() -> None:
    frames = torch.randn(2, 3, 4)
    assert SequenceDropout(0.5).eval()(frames) is frames and SequenceDropout(0.0)(frames) is frames
    assert SequenceDropout(0.5)(frames.bfloat16()).dtype == torch.bfloat16


def test_dropout_stands_between_layers_and_after_the_last() -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(INPUTS, ModelConfig(hidden=HIDDEN, layers=2, dropout=0.5))
    frames, lengths = torch.randn(8, 6, INPUTS), torch.full((8,), 6)
    trained = stack(frames, lengths)
    zero = (trained == 0).all(dim=1)  # (B, 2H): cells that are off in all frames
    assert 0.2 < float(zero.float().mean()) < 0.8
    off = stack.eval()(frames, lengths)
    assert not (off == 0).any()
    # what is left is not merely the scaled outcome without dropout: the layer below was thinned out too
    assert not torch.allclose(trained[trained != 0], (2 * off)[trained != 0], atol=1e-4)


def test_sizes() -> None:
    stack = RecurrentStack(3, ModelConfig(hidden=7, layers=2))
    assert stack.dim == 14 and stack(torch.zeros(2, 5, 3), torch.tensor([5, 1])).shape == (2, 5, 14)
    assert [layer.forwards.input_size for layer in stack.layers] == [3, 14]


def test_layers_that_read_fewer_numbers_stream_as_they_run() -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(INPUTS, ModelConfig(hidden=HIDDEN, layers=LAYERS, bidirectional=False, ranks=(2, 0, 3))).eval()
    assert [layer.forwards.inputs for layer in stack.layers] == [2, HIDDEN, 3]  # type: ignore[union-attr]
    frames, lengths = torch.randn(2, 9, INPUTS), torch.tensor([9, 6])
    first, states = stack.stream(frames[:, :4], torch.tensor([4, 4]))
    rest, _ = stack.stream(frames[:, 4:], torch.tensor([5, 2]), states)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), stack(frames, lengths), atol=1e-6, rtol=0)
