"""Low-rank layers: exact where the answers lie in a subspace, and else as far off as the variance that was left out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recognizer.models.cells import build_cell
from recognizer.models.convolution import MaskedConvolution
from recognizer.models.low_rank import ConvolutionWitness, Moments, RecurrentWitness, principal
from recognizer.models.recurrent import RecurrentLayer

LENGTHS = torch.tensor([11, 7, 4])


def convolution(rank: int | None = None) -> MaskedConvolution:
    """Of three channels to eight, with statistics as after training; its filters of a rank."""
    torch.manual_seed(1)
    layer = MaskedConvolution(3, 8, (3, 3), (2, 1)).eval()
    with torch.no_grad():
        for statistic in (layer.norm.mean, layer.norm.bias):
            statistic.normal_()
        for size in (layer.norm.variance, layer.norm.weight):
            size.uniform_(0.5, 2)
        if rank:
            layer.convolution.weight.copy_((torch.randn(8, rank) @ torch.randn(rank, 27)).view(8, 3, 3, 3))
    return layer


def maps() -> Tensor:
    """(3, 3, 6, 11), zero beyond LENGTHS."""
    torch.manual_seed(2)
    found = torch.randn(3, 3, 6, 11)
    for row, length in zip(found, LENGTHS, strict=True):
        row[:, :, length:] = 0
    return found


def answers(layer: MaskedConvolution) -> Tensor:
    """What comes out of convolution and normalisation in real frames, before the rectifier, (N, C)."""
    whole = layer._convolve_and_norm(maps()).permute(0, 3, 2, 1)
    return torch.cat([row[:length].flatten(0, 1) for row, length in zip(whole, LENGTHS, strict=True)]).detach()


def factored(layer: MaskedConvolution, rank: int) -> tuple[MaskedConvolution, float]:
    """The layer of that rank made from what the layer says to :func:`maps`."""
    witness = ConvolutionWitness(layer)
    with torch.no_grad():
        witness.note(layer, (maps(), LENGTHS))
        weights, share = witness.factor(rank)
    small = MaskedConvolution(3, 8, (3, 3), (2, 1), rank=rank).eval()
    small.load_state_dict(weights)
    return small, share


def test_a_convolution_whose_filters_are_sums_of_a_few_is_kept() -> None:
    layer = convolution(rank=3)
    small, share = factored(layer, 3)
    assert share == pytest.approx(1.0) and torch.allclose(answers(small), answers(layer), atol=1e-4)
    assert torch.allclose(small(maps(), LENGTHS)[0], layer(maps(), LENGTHS)[0], atol=1e-4)


def test_what_a_convolution_loses_is_the_variance_left_out() -> None:
    layer = convolution()
    before = answers(layer)
    losses = []
    for rank in (1, 3, 5, 7):
        small, share = factored(layer, rank)
        after = answers(small)
        assert torch.allclose(after.mean(0), before.mean(0), atol=1e-4)
        lost = (after - before).square().sum() / (before - before.mean(0)).square().sum()
        assert float(lost) == pytest.approx(1 - share, abs=1e-4)
        losses.append(float(lost))
        # in training it normalises by the statistics of the batch, which are those it was given
        assert torch.allclose(after.var(0, correction=0), small.norm.weight.square() - small.norm.epsilon, atol=1e-3)
    assert losses == sorted(losses, reverse=True) and losses[0] > 0.3


def test_padding_is_left_out() -> None:
    layer, together, alone = convolution(), *(ConvolutionWitness(convolution()) for _ in range(2))
    with torch.no_grad():
        together.note(layer, (maps(), LENGTHS))
        for row, length in zip(maps(), LENGTHS, strict=True):
            alone.note(layer, (row[None, :, :, :length], length[None]))
    assert together.moments.count == alone.moments.count == 3 * int(LENGTHS.sum())
    assert torch.allclose(together.moments.covariance, alone.moments.covariance)


@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole", "layer_norm"])
@pytest.mark.parametrize("both", [True, False])
def test_a_recurrent_layer_is_kept_where_its_frames_lie_in_a_subspace(cell: str, both: bool) -> None:
    torch.manual_seed(4)
    frames = torch.randn(3, 11, 4) @ torch.randn(4, 10)
    layer = RecurrentLayer(build_cell(cell, 10, 6), build_cell(cell, 10, 6) if both else None).eval()
    witness = RecurrentWitness(layer)
    with torch.no_grad():
        witness.note(layer, (frames, LENGTHS))
        weights, share = witness.factor(4)
        small = RecurrentLayer(build_cell(cell, 4, 6), build_cell(cell, 4, 6) if both else None, projection=torch.nn.Linear(10, 4, bias=False)).eval()
        small.load_state_dict({**layer.state_dict(), **weights})
        assert share == pytest.approx(1.0)
        for row, (after, before) in enumerate(zip(small(frames, LENGTHS)[0], layer(frames, LENGTHS)[0], strict=True)):
            assert torch.allclose(after[: LENGTHS[row]], before[: LENGTHS[row]], atol=1e-4)
        real = torch.cat([row[:length] for row, length in zip(frames, LENGTHS, strict=True)])
        assert small.projection is not None
        assert float(small.projection(real).square().mean()) == pytest.approx(float(real.square().mean()), rel=1e-3)


def test_moments_and_principal_directions() -> None:
    torch.manual_seed(5)
    vectors = torch.randn(50, 3) * torch.tensor([5.0, 1.0, 0.1]) + 7
    moments = Moments()
    for part in vectors.split(17):
        moments.add(part)
    assert torch.allclose(moments.mean.float(), vectors.mean(0))
    assert torch.allclose(moments.covariance.float(), vectors.T.cov(correction=0), atol=1e-3)
    found = principal(moments.covariance, 1)
    assert abs(float(found.directions[0, 0])) > 0.99 and found.share == pytest.approx(25 / 26.01, abs=0.03)
    assert principal(torch.zeros(3, 3), 2).share == 1  # where nothing varies, nothing is lost
