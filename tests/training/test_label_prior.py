"""Label priors: loss and gradient against a sum over all paths, fewer blanks where it ends, running means, resume."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from recognizer.decoding.greedy import ctc_collapse
from recognizer.errors import ConfigError, TrainingError
from recognizer.models.network import Encoded
from recognizer.text.alphabet import Alphabet
from recognizer.training.checkpoint import load_checkpoint, save_checkpoint
from recognizer.training.label_prior import LEAST, MEMORY, LabelPriorObjective, prior_losses
from recognizer.training.loop import EpochStats
from recognizer.training.loss import ctc_losses
from recognizer.training.objective import build_objective
from tests.training.test_loop import make_trainer, run_epoch, same_state
from tests.training.test_loss import batch_of, random_log_probs

LENGTHS, TARGETS = torch.tensor([4, 6, 5]), [[1, 2], [2], []]
GENERATOR = np.random.default_rng(1)


def encoded_of(log_probs: Tensor, lengths: Tensor) -> Encoded:
    return Encoded(log_probs, [], log_probs, lengths)


def brute_force(log_probs: Tensor, target: list[int], log_prior: Tensor) -> Tensor:
    """Minus the log of the summed p(path) / prior(path) of every path that collapses to the target."""
    paths = (path for path in product(range(log_probs.shape[1]), repeat=len(log_probs)) if ctc_collapse(path) == target)
    return -torch.stack([(log_probs - log_prior)[range(len(path)), path].sum() for path in paths]).logsumexp(0)


def test_loss_and_gradient_are_those_of_the_sum_over_all_paths() -> None:
    logits = torch.randn(3, 6, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()
    log_prior = 0.7 * torch.tensor([0.9, 0.07, 0.03], dtype=torch.float64).log()
    losses = prior_losses(logits.log_softmax(-1), LENGTHS, batch_of(*TARGETS), log_prior)
    expected = torch.stack([brute_force(row[:length].log_softmax(-1), target, log_prior)
                            for row, length, target in zip(logits, LENGTHS.tolist(), TARGETS, strict=True)])  # fmt: skip
    torch.testing.assert_close(losses, expected, rtol=1e-9, atol=1e-9)
    for found, wanted in zip(losses, expected, strict=True):
        (ours,), (theirs,) = (torch.autograd.grad(loss, logits, retain_graph=True) for loss in (found, wanted))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("log_prior", [torch.zeros(3), torch.full((3,), -1.1)])
def test_equal_priors_change_no_gradient(log_prior: Tensor) -> None:
    logits, batch = random_log_probs(3, 6, 3).requires_grad_(), batch_of(*TARGETS)
    ours = torch.autograd.grad(prior_losses(logits.log_softmax(-1), LENGTHS, batch, log_prior).sum(), logits)[0]
    theirs = torch.autograd.grad(ctc_losses(logits.log_softmax(-1), LENGTHS, batch).sum(), logits)[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_blanks_become_fewer() -> None:
    """Frames that are learnt by themselves: with priors the labels take them, without the blank keeps most."""
    blanks = {}
    for weight in (0.0, 0.5):
        logits = torch.zeros(1, 20, 3, requires_grad=True)
        objective, optimizer = LabelPriorObjective(weight, 3), torch.optim.Adam([logits], 0.1)
        for _ in range(150):
            optimizer.zero_grad()
            log_probs = logits.log_softmax(-1)
            objective(None, encoded_of(log_probs, torch.tensor([20])), batch_of([1, 2]), 1, GENERATOR).backward()
            optimizer.step()
        assert ctc_collapse(logits.detach()[0].argmax(1).numpy()) == [1, 2]
        blanks[weight] = int((logits[0].argmax(1) == 0).sum())
    assert blanks[0.5] < 0.5 * blanks[0.0]


def test_priors_are_a_running_mean_over_the_frames_that_are_real() -> None:
    objective, batches = LabelPriorObjective(0.3, 3), [random_log_probs(3, 6, 3, seed) for seed in range(MEMORY + 20)]
    assert objective.prior.tolist() == pytest.approx([1 / 3] * 3)
    means = []
    for number, log_probs in enumerate(batches):
        before = objective.prior.clone()
        changed = log_probs.clone()
        for row, length in zip(changed, LENGTHS.tolist(), strict=True):
            row[length:] = 0.0  # padding
        loss = objective(None, encoded_of(changed, LENGTHS), batch_of(*TARGETS), 1, GENERATOR)
        torch.testing.assert_close(loss, prior_losses(log_probs, LENGTHS, batch_of(*TARGETS), 0.3 * before.log()).sum())
        means.append(torch.cat([row[:length].exp() for row, length in zip(log_probs, LENGTHS.tolist(), strict=True)]).mean(0))
        if number < MEMORY:
            torch.testing.assert_close(objective.prior, torch.stack(means).mean(0), rtol=1e-4, atol=1e-6)
        else:
            torch.testing.assert_close(objective.prior, before + (means[-1] - before) / MEMORY, rtol=1e-4, atol=1e-6)


def test_two_views_count_half_each_and_a_label_never_seen_keeps_some_prior() -> None:
    first, second = random_log_probs(3, 6, 3, 1), random_log_probs(3, 6, 3, 2)
    losses = {}
    for name, log_probs, views in (("first", first, 1), ("second", second, 1), ("both", torch.cat([first, second]), 2)):
        objective = LabelPriorObjective(0.5, 3)
        objective.prior.copy_(torch.tensor([0.8, 0.15, 0.05]))
        losses[name] = float(objective(None, encoded_of(log_probs, LENGTHS.repeat(views)), batch_of(*TARGETS), views, GENERATOR))
    assert losses["both"] == pytest.approx((losses["first"] + losses["second"]) / 2, rel=1e-5)
    certain = torch.tensor([0.0, -200.0, -200.0]).log_softmax(-1).expand(1, 4, 3)
    objective(None, encoded_of(certain, torch.tensor([4])), batch_of([]), 1, GENERATOR)
    for _ in range(20 * MEMORY):
        objective._learn(certain, torch.tensor([4]))
    assert objective.prior.min() == pytest.approx(LEAST)


def test_a_loss_that_is_not_finite_names_its_items() -> None:
    with pytest.raises(TrainingError, match="not finite for item1 "):
        prior_losses(random_log_probs(3, 4, 3), torch.tensor([4, 2, 4]), batch_of([1], [1, 1], [2, 1]), torch.zeros(3))


def test_the_settings_choose_it(tones, tmp_path) -> None:
    for weight in (0.0, 0.3):
        config = tones.config(tmp_path, {"objective": {"kind": "ctc", "label_prior": weight}})
        assert isinstance(build_objective(config, Alphabet(("a", "b"), "characters")), LabelPriorObjective) == (weight > 0)
    with pytest.raises(ConfigError, match=r"^objective\.label_prior: must lie in \[0, 1\]"):
        tones.config(tmp_path, {"objective": {"kind": "ctc", "label_prior": 1.5}})


def test_a_state_holds_the_priors(tones, tmp_path) -> None:
    changes = {"objective": {"kind": "ctc", "label_prior": 0.3}, "trainer.max_batch_size": 8, "trainer.precision": "bf16",
        "trainer.cr_ctc_weight": 0.2}  # fmt: skip
    whole = make_trainer(tones, tmp_path / "whole", changes)
    for _ in whole.run_epoch(EpochStats()):
        if whole.state.step == 2:
            save_checkpoint(tmp_path, whole.state_dict())
    torch.manual_seed(99)
    resumed = make_trainer(tones, tmp_path / "resumed", changes)
    resumed.load_state_dict(load_checkpoint(tmp_path, torch.device("cpu")))
    assert int(resumed.objective.batches) == 2
    run_epoch(resumed)
    assert same_state(whole.state_dict(), resumed.state_dict()) and float(resumed.objective.prior.sum()) == pytest.approx(1, abs=1e-4)
