"""Masked batch normalisation against torch's, which is given the real frames only."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from recognizer.models.masked_norm import MaskedBatchNorm

CHANNELS, ROWS = 3, 4
LENGTHS = (7, 1, 5)


def make_maps(frames: int, lengths: tuple[int, ...] = LENGTHS, mean: float = 2.0) -> tuple[Tensor, Tensor]:
    """Maps (B, C, F, T) of the same real frames whatever ``frames`` is, zero in padding."""
    torch.manual_seed(1)
    real = mean + torch.randn(len(lengths), CHANNELS, ROWS, max(lengths)) * torch.tensor([1.0, 0.5, 5.0])[:, None, None]
    maps = torch.zeros(len(lengths), CHANNELS, ROWS, frames)
    for row, source, length in zip(maps, real, lengths, strict=True):
        row[..., :length] = source[..., :length]
    return maps, torch.tensor(lengths)


def join(maps: Tensor, lengths: Tensor) -> Tensor:
    """The real frames of a batch in one row, (1, C, F, sum of T)."""
    return torch.cat([row[..., :length] for row, length in zip(maps, lengths.tolist(), strict=True)], dim=-1)[None]


def make_pair() -> tuple[MaskedBatchNorm, nn.BatchNorm2d]:
    own, other = MaskedBatchNorm(CHANNELS, momentum=0.3), nn.BatchNorm2d(CHANNELS, momentum=0.3)
    with torch.no_grad():
        for module in (own, other):
            module.weight.copy_(torch.tensor([0.5, 2.0, -1.0]))
            module.bias.copy_(torch.tensor([1.0, 0.0, -3.0]))
    return own, other


@pytest.mark.parametrize("mean", [0.0, 2.0])
def test_equals_batch_norm_of_the_real_frames(mean: float) -> None:
    own, other = make_pair()
    maps, lengths = make_maps(9, mean=mean)
    inputs, reference = maps.clone().requires_grad_(), join(maps, lengths).requires_grad_()
    result, expected = own(inputs, lengths), other(reference)
    torch.testing.assert_close(join(result, lengths), expected, atol=3e-5, rtol=1e-4)
    weights = torch.randn(expected.shape)
    (join(result, lengths) * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(join(inputs.grad, lengths), reference.grad, atol=3e-5, rtol=1e-4)
    torch.testing.assert_close(own.weight.grad, other.weight.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(own.bias.grad, other.bias.grad, atol=1e-4, rtol=1e-4)


def test_running_statistics_are_those_of_batch_norm_but_for_the_bias_of_the_variance() -> None:
    own, other = make_pair()
    factor = sum(LENGTHS) * ROWS / (sum(LENGTHS) * ROWS - 1)  # torch keeps the unbiased variance
    for mean in (0.0, 1.0, -2.0):
        maps, lengths = make_maps(9, mean=mean)
        before = own.variance.clone(), other.running_var.clone()
        own(maps, lengths)
        other(join(maps, lengths))
        torch.testing.assert_close((own.variance - 0.7 * before[0]) * factor, other.running_var - 0.7 * before[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(own.mean, other.running_mean, atol=1e-5, rtol=1e-5)


def test_evaluation_uses_the_running_statistics() -> None:
    own, other = make_pair()
    maps, lengths = make_maps(9)
    own(maps, lengths)
    before = (own.mean.clone(), own.variance.clone())
    with torch.no_grad():
        other.running_mean.copy_(own.mean)
        other.running_var.copy_(own.variance)
    own.eval(), other.eval()
    torch.testing.assert_close(own(maps, lengths), other(maps), atol=1e-5, rtol=1e-5)
    assert torch.equal(own.mean, before[0]) and torch.equal(own.variance, before[1])


def test_statistics_and_results_do_not_depend_on_the_amount_of_padding() -> None:
    outcomes = []
    for frames in (7, 8, 30):
        own, _ = make_pair()
        maps, lengths = make_maps(frames)
        outcomes.append((join(own(maps, lengths), lengths), own.mean.clone(), own.variance.clone()))
    for other in outcomes[1:]:
        for first, second in zip(outcomes[0], other, strict=True):
            torch.testing.assert_close(first, second, atol=2e-5, rtol=1e-5)


def test_a_constant_channel_stays_finite() -> None:
    own, _ = make_pair()
    maps, lengths = make_maps(9)
    maps[:, 1] = 1000.1  # rounding could make the variance negative
    result = own(maps, torch.full_like(lengths, 9))
    assert torch.isfinite(result).all() and float(own.variance.min()) >= 0


def test_statistics_are_float32_under_bfloat16_maps() -> None:
    own, _ = make_pair()
    maps, lengths = make_maps(9)
    exact, _ = make_pair()
    exact(maps, lengths)
    assert own(maps.bfloat16(), lengths).dtype == torch.bfloat16
    assert own.mean.dtype == torch.float32
    torch.testing.assert_close(own.mean, exact.mean, atol=5e-3, rtol=5e-3)
