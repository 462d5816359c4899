"""The CTC loss against a sum over all paths, never silent about what is not finite; the divergence of two views against its formula."""

from __future__ import annotations

import math
from itertools import groupby, product

import pytest
import torch
from torch.nn.functional import kl_div

from recognizer.data.dataset import Batch, UnitTargets
from recognizer.errors import TrainingError
from recognizer.training.loss import ctc_losses, mean_over_views, unit_loss, view_divergences


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
@pytest.mark.parametrize(("frames", "labels"), [(6, 3), (5, 4)])
def test_the_loss_is_the_sum_over_all_paths(frames: int, labels: int, target: list[int]) -> None:
    log_probs = random_log_probs(1, frames, labels, seed=frames)
    expected = negative_log_likelihood(log_probs[0].tolist(), target)
    assert float(ctc_losses(log_probs, torch.tensor([frames]), batch_of(target))[0]) == pytest.approx(expected, rel=1e-5)


def test_each_item_has_its_own_loss_and_padding_does_not_count() -> None:
    targets, lengths = [[1, 2], [2], [1, 1]], torch.tensor([4, 6, 3])
    log_probs = random_log_probs(3, 6, 3)
    log_probs[0, 4:], log_probs[2, 3:] = 7.0, -1e9
    losses = ctc_losses(log_probs, lengths, batch_of(*targets))
    for row, length, target, loss in zip(log_probs, lengths, targets, losses.tolist(), strict=True):
        assert loss == pytest.approx(negative_log_likelihood(row[:length].tolist(), target), rel=1e-5)
    views = log_probs.repeat(2, 1, 1)  # both the same
    assert float(mean_over_views(views, lengths.repeat(2), batch_of(*targets), 2)) == pytest.approx(float(losses.sum()), rel=1e-6)


def test_items_without_units_or_with_too_many_count_nothing_for_them() -> None:
    targets, lengths = [[1, 2], [], [2], [1, 1, 1]], torch.tensor([4, 6, 3, 3])  # three ones need two blanks between them
    units = UnitTargets(torch.tensor([1, 2, 2, 1, 1, 1]), torch.tensor([2, 0, 1, 3]), torch.tensor([True, False, True, True]))
    log_probs = random_log_probs(4, 6, 3).requires_grad_()
    rows = [0, 2]
    expected = ctc_losses(log_probs[rows], lengths[rows], batch_of(*(targets[row] for row in rows))).sum()
    loss = unit_loss(log_probs.repeat(2, 1, 1), lengths.repeat(2), units, 2)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    loss.backward()
    assert log_probs.grad is not None and [bool(row.abs().sum() > 0) for row in log_probs.grad] == [True, False, True, False]


@pytest.mark.parametrize("targets", [[[1, 2], [], [2]], [[], []]])
def test_an_empty_transcript_is_the_one_path_of_blanks(targets: list[list[int]]) -> None:
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


def test_items_whose_loss_is_not_finite_are_named() -> None:
    with pytest.raises(TrainingError) as caught:
        ctc_losses(random_log_probs(3, 4, 3), torch.tensor([4, 2, 4]), batch_of([1], [1, 1], [2, 1]))
    message = str(caught.value)
    assert message.startswith("the loss is not finite for item1 (batch of item0, item1, item2)") and "\n" not in message
    with pytest.raises(TrainingError, match=r"for item0, item1 \(batch"):
        ctc_losses(torch.full((2, 4, 3), math.nan), torch.tensor([4, 4]), batch_of([1], [2]))


def two_views(seed: int, lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    logits = torch.randn(2 * len(lengths), max(lengths) + 2, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return logits.log_softmax(dim=2), torch.tensor(lengths * 2)


def test_the_divergence_is_the_mean_of_both_directions_over_real_frames() -> None:
    log_probs, lengths = two_views(1, [5, 3])
    for item, length in enumerate([5, 3]):
        one, other = log_probs[item, :length], log_probs[2 + item, :length]
        expected = (kl_div(one, other, log_target=True, reduction="sum") + kl_div(other, one, log_target=True, reduction="sum")) / 2
        assert view_divergences(log_probs, lengths)[item] == pytest.approx(float(expected), rel=1e-12)
    log_probs[2, :5], log_probs[3, :3] = log_probs[0, :5], log_probs[1, :3]
    assert view_divergences(log_probs, lengths).tolist() == [0.0, 0.0]  # the views differ in the padding only


def test_no_gradient_flows_through_the_target_of_the_divergence() -> None:
    log_probs, lengths = two_views(3, [3])
    logits = log_probs.clone().requires_grad_()
    view_divergences(logits.log_softmax(dim=2), lengths).sum().backward()
    one, other = log_probs[:, :3].exp()
    # the gradient of KL(target || softmax(z)) is softmax(z) - target, for each view with the other as a constant
    torch.testing.assert_close(logits.grad[:, :3], torch.stack([one - other, other - one]) / 2)
    assert not logits.grad[:, 3:].any()
