"""The CTC loss: against a sum over all paths, and never silent about what is not finite."""

from __future__ import annotations

import math
from itertools import groupby, product

import pytest
import torch

from recognizer.data.dataset import Batch
from recognizer.errors import TrainingError
from recognizer.training.loss import ctc_losses


def batch_of(*targets: list[int]) -> Batch:
    flat = torch.tensor([label for row in targets for label in row], dtype=torch.long)
    empty = torch.empty(0)
    return Batch(tuple(f"item{i}" for i in range(len(targets))), empty, empty, flat, torch.tensor([len(row) for row in targets]))


def random_log_probs(batch: int, frames: int, labels: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, frames, labels, generator=torch.Generator().manual_seed(seed)).mul(2).log_softmax(-1)


def negative_log_likelihood(log_probs: list[list[float]], target: list[int]) -> float:
    """Minus the logarithm of the summed probability of every path that collapses to the target."""
    total = 0.0
    for path in product(range(len(log_probs[0])), repeat=len(log_probs)):
        if [label for label, _ in groupby(path) if label != 0] == target:
            total += math.exp(sum(frame[label] for frame, label in zip(log_probs, path, strict=True)))
    return -math.log(total)


@pytest.mark.parametrize("target", [[], [1], [2, 1], [1, 1], [1, 2, 1], [2, 2, 2]])
@pytest.mark.parametrize(("frames", "labels"), [(5, 3), (6, 3), (5, 4)])
def test_the_loss_is_the_sum_over_all_paths(frames: int, labels: int, target: list[int]) -> None:
    log_probs = random_log_probs(1, frames, labels, seed=frames)
    expected = negative_log_likelihood(log_probs[0].tolist(), target)
    assert float(ctc_losses(log_probs, torch.tensor([frames]), batch_of(target))[0]) == pytest.approx(expected, rel=1e-5)


def test_each_item_has_its_own_loss_and_padding_does_not_count() -> None:
    targets, lengths = [[1, 2], [2], [1, 1]], [4, 6, 3]
    log_probs = random_log_probs(3, 6, 3)
    log_probs[0, 4:], log_probs[2, 3:] = 7.0, -1e9
    losses = ctc_losses(log_probs, torch.tensor(lengths), batch_of(*targets))
    for row, length, target, loss in zip(log_probs, lengths, targets, losses.tolist(), strict=True):
        assert loss == pytest.approx(negative_log_likelihood(row[:length].tolist(), target), rel=1e-5)


@pytest.mark.parametrize("targets", [[[1, 2], [], [2]], [[], []]])
def test_where_nothing_is_said_only_blanks_are_learnt(targets: list[list[int]]) -> None:
    """The loss of an empty target is that of the one path of blanks, its gradient that of so many choices of the blank."""
    lengths = torch.tensor([4, 3, 5][: len(targets)])
    log_probs = random_log_probs(len(targets), 6, 3).requires_grad_()
    losses = ctc_losses(log_probs, lengths, batch_of(*targets))
    for number, (target, length) in enumerate(zip(targets, lengths.tolist(), strict=True)):
        (gradient,) = torch.autograd.grad(losses[number], log_probs, retain_graph=True)
        assert bool(torch.isfinite(gradient).all()) and losses[number].item() > 0
        if not target:
            assert losses[number].item() == pytest.approx(-log_probs[number, :length, 0].sum().item(), rel=1e-5)
            logits = log_probs.detach().clone().requires_grad_()
            ctc_losses(logits.log_softmax(-1), lengths, batch_of(*targets))[number].backward()
            expected = torch.zeros_like(logits)
            expected[number, :length] = log_probs[number, :length].exp() - torch.tensor([1.0, 0.0, 0.0])
            torch.testing.assert_close(logits.grad, expected, atol=1e-5, rtol=1e-4)


def test_an_item_that_cannot_be_emitted_is_named() -> None:
    log_probs = random_log_probs(3, 4, 3)
    with pytest.raises(TrainingError) as caught:
        ctc_losses(log_probs, torch.tensor([4, 2, 4]), batch_of([1], [1, 1], [2, 1]))
    message = str(caught.value)
    assert message.startswith("the loss is not finite for item1 (batch of item0, item1, item2)") and "\n" not in message


def test_all_items_of_a_diverged_network_are_named() -> None:
    with pytest.raises(TrainingError, match=r"for item0, item1 \(batch"):
        ctc_losses(torch.full((2, 4, 3), math.nan), torch.tensor([4, 4]), batch_of([1], [2]))
