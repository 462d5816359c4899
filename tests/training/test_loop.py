"""The training loop: what a step's gradient is, where steps fall, and that a state holds everything."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import ctc_loss

from recognizer.data.dataset import Batch, BatchReader
from recognizer.errors import TrainingError
from recognizer.models.network import Network
from recognizer.training.checkpoint import load_checkpoint, save_checkpoint
from recognizer.training.datamodule import audit_splits, collect_alphabet, load_items
from recognizer.training.loop import EpochStats, Trainer
from recognizer.training.loss import view_divergences
from recognizer.utils.progress import Progress

ACCUMULATE = "trainer.gradient_accumulation_steps"
PLAIN_SGD = {"trainer.optimizer": "sgd", "trainer.momentum": 0.0, "trainer.weight_decay": 0.0, "trainer.max_grad_norm": 0.0,
    "trainer.learning_rate": 0.5, "trainer.warmup_steps": 0}  # fmt: skip
NOISY_SPEECH = {
    "augment": {"kind": "audio", "speed": [0.9, 1.1], "gain_db": [-6, 6], "noise": 0.5, "time_masks": 1, "frequency_masks": 1},
    "model.dropout": 0.3, "trainer.weight_noise": 0.02, "trainer.ema_decay": 0.9, ACCUMULATE: 2, "trainer.cr_ctc_weight": 0.2,
}  # fmt: skip
NOISY_LINES = {
    "augment": {"kind": "line", "scale": 0.1, "shear": 0.2, "noise": 0.05, "thickness": 0.3},
    "model.frontend.dropout": 0.2, "model.dropout": 0.3, "model.frontend_ctc_weight": 0.2, "trainer.ema_decay": 0.9,
}  # fmt: skip


def make_trainer(corpus: Any, folder: Path, changes: dict[str, Any]) -> Trainer:
    folder.mkdir(exist_ok=True)
    config = corpus.config(folder, {"trainer.limit_items": 24} | changes)
    items = load_items(config)
    alphabet = collect_alphabet(config, items["train"])
    torch.manual_seed(config.seed)
    network = Network(config.recognizer, len(alphabet))
    train, _ = audit_splits(config, items, alphabet, network, folder, Progress(quiet=True))
    return Trainer(config, network, train)


def first_batch(trainer: Trainer) -> Batch:
    return next(BatchReader(trainer.train.dataset, 0).read([[0, 1, 2]], 0))


def run_epoch(trainer: Trainer) -> EpochStats:
    stats = EpochStats()
    for _ in trainer.run_epoch(stats):
        pass
    return stats


def weights(trainer: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.network.parameters()])


def gradients(trainer: Trainer) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in trainer.network.named_parameters()}
    trainer.network.zero_grad()
    return found


def assert_same_gradients(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, other[name], rtol=1e-4, atol=1e-6)


def same_state(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_state(one[key], other[key]) for key in one if key != "seconds")
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same_state, one, other))
    return bool(one == other)


@pytest.mark.parametrize(
    ("batches", "model", "shares"),
    [
        (1, {}, [1]),
        (4, {}, [1]),
        (1, {"frontend_ctc_weight": 0.25}, [0.75, 0.25]),
        (2, {"frontend_ctc_weight": 0.25, "intermediate_ctc_weight": 0.5, "num_layers": 3}, [0.25, 0.25, 0.25, 0.25]),
    ],
)
def test_the_gradient_is_that_of_the_loss_per_label(glyphs, tmp_path, batches: int, model: dict[str, float], shares: list[float]) -> None:
    trainer = make_trainer(glyphs, tmp_path / "run", {f"model.{key}": value for key, value in model.items()})
    batch, network, stats = first_batch(trainer), trainer.network, EpochStats()
    network.train()
    trainer._backward(batch, 0, batches, stats)
    found = gradients(trainer)
    log_probs, intermediate, _, lengths, _ = network.encode(*network.features(batch.inputs, batch.lengths))
    losses = [
        ctc_loss(output.transpose(0, 1), batch.targets, lengths, batch.target_lengths, reduction="sum")
        for output in (log_probs, *(output.log_probs for output in intermediate))
    ]  # fmt: skip
    labels = int(batch.target_lengths.sum())
    objective = sum(share * loss for share, loss in zip(shares, losses, strict=True))
    (objective / labels / batches).backward()
    assert_same_gradients(found, gradients(trainer))
    assert stats.loss == pytest.approx(losses[0].item(), rel=1e-5)
    assert (stats.labels, stats.items, stats.frames) == (labels, 3, int(batch.lengths.sum()))


def test_cr_ctc_adds_the_divergence_to_the_mean_loss_of_both_views(tones, tmp_path) -> None:
    speech = {"augment": {"kind": "audio", "time_masks": 2, "frequency_masks": 1}, "trainer.cr_ctc_weight": 0.3}
    trainer = make_trainer(tones, tmp_path / "run", speech)
    batch, network, stats = first_batch(trainer), trainer.network, EpochStats()
    features, lengths = network.features(batch.inputs, batch.lengths)
    masked = [trainer._augment_features(features, lengths, batch.ids, view) for view in (0, 1)]
    assert not torch.equal(*masked)
    network.train()
    outputs = [network.encode(view, lengths) for view in masked]
    losses = [
        ctc_loss(view.log_probs.transpose(0, 1), batch.targets, view.lengths, batch.target_lengths, reduction="sum") for view in outputs
    ]  # fmt: skip
    divergence = view_divergences(torch.cat([view.log_probs for view in outputs]), outputs[0].lengths.repeat(2)).sum()
    ((sum(losses) / 2 + 0.3 * divergence) / int(batch.target_lengths.sum())).backward()
    expected = gradients(trainer)
    trainer._backward(batch, 0, 1, stats)
    assert_same_gradients(gradients(trainer), expected)
    assert divergence > 0 and stats.loss == pytest.approx(float(sum(losses).detach()) / 2, rel=1e-5)
    assert (stats.items, stats.frames) == (3, int(lengths.sum()))


@pytest.mark.parametrize(("accumulation", "steps"), [(1, 3), (2, 2), (5, 1)])
def test_a_step_follows_so_many_batches_and_the_end_of_the_epoch(tones, tmp_path, accumulation: int, steps: int) -> None:
    trainer = make_trainer(tones, tmp_path / "run", {ACCUMULATE: accumulation})
    places = [(trainer.state.epoch, trainer.state.batch, trainer.state.step) for _ in trainer.run_epoch(EpochStats())]
    assert places == [(0, min(3, accumulation * (n + 1)), n + 1) for n in range(steps)]
    assert (trainer.state.epoch, trainer.state.batch) == (1, 0)


def test_a_step_is_the_mean_of_the_batches_that_it_holds(tones, tmp_path) -> None:
    """The last one of an epoch holds fewer: its gradient must not be smaller for that."""
    trainer = make_trainer(tones, tmp_path / "run", PLAIN_SGD | {ACCUMULATE: 2})
    plan, reader = trainer.plan(), BatchReader(trainer.train.dataset, 0)
    before = weights(trainer)
    for numbers, _ in zip(([0, 1], [2]), trainer.run_epoch(EpochStats()), strict=True):
        after = weights(trainer)
        single = make_trainer(tones, tmp_path / "run", PLAIN_SGD)
        torch.nn.utils.vector_to_parameters(before, single.network.parameters())
        single.network.train()
        for batch in reader.read([plan[number] for number in numbers], 0):
            single._backward(batch, 0, len(numbers), EpochStats())
        gradient = torch.cat([p.grad.flatten() for p in single.network.parameters()])
        torch.testing.assert_close(after, before - 0.5 * gradient, rtol=1e-4, atol=1e-6)
        before = after


def test_a_step_of_plain_descent_is_the_rate_times_the_clipped_gradient(tones, tmp_path) -> None:
    trainer = make_trainer(tones, tmp_path / "run", PLAIN_SGD | {"trainer.limit_items": 3, "trainer.max_grad_norm": 0.01})
    before = weights(trainer)
    run_epoch(trainer)
    assert float((weights(trainer) - before).norm()) == pytest.approx(0.5 * 0.01, rel=1e-3)
    assert trainer.rate == 0.5


def test_a_curriculum_begins_with_the_short_ones(tones, tmp_path) -> None:
    trainer = make_trainer(tones, tmp_path / "run", {"trainer.curriculum": True})
    frames = trainer.train.frames
    longest = [max(frames[i] for i in batch) for batch in trainer.plan()]
    assert longest == sorted(longest) and min(frames[i] for i in trainer.plan()[-1]) >= longest[0]
    plans = []
    for trainer.state.epoch in (1, 2, 1):
        plans.append(trainer.plan())
        assert sorted(i for batch in plans[-1] for i in batch) == list(range(24))
    assert plans[0] == plans[2] != plans[1]


@pytest.mark.parametrize(("corpus", "changes"), [("tones", NOISY_SPEECH), ("glyphs", NOISY_LINES)])
def test_a_state_holds_all_that_training_goes_on_from(corpus, changes, request, tmp_path) -> None:
    corpus = request.getfixturevalue(corpus)
    whole = make_trainer(corpus, tmp_path / "whole", changes | {"trainer.max_batch_size": 4})
    for _ in whole.run_epoch(EpochStats()):
        if whole.state.step == 2:
            save_checkpoint(tmp_path, whole.state_dict())
    run_epoch(whole)
    torch.manual_seed(99)
    resumed = make_trainer(corpus, tmp_path / "resumed", changes | {"trainer.max_batch_size": 4, "trainer.num_workers": 1})
    with torch.no_grad():
        for parameter in resumed.network.parameters():
            parameter.normal_()
    resumed.load_state_dict(load_checkpoint(tmp_path, torch.device("cpu")))
    assert resumed.state.step == 2 and 0 < resumed.state.batch < len(resumed.plan())
    run_epoch(resumed)
    run_epoch(resumed)
    resumed.reader.close()
    assert same_state(whole.state_dict(), resumed.state_dict())
    assert not torch.equal(whole.ema.tensors["output.weight"], whole.network.output.weight)


CELLS = {"model.cell": "coupled", "model.hidden_size": 8, "model.attention_heads": 2}


@pytest.mark.parametrize(
    ("corpus", "network", "noise"),
    [
        ("tones", {}, {key: value for key, value in NOISY_SPEECH.items() if "augment" in key or "dropout" in key}),
        ("glyphs", {}, {key: value for key, value in NOISY_LINES.items() if "augment" in key or "dropout" in key}),
        ("tones", CELLS, {"model.dropout": 0.5, "model.recurrent.recurrent_dropout": 0.5}),
    ],
    ids=["speech", "lines", "cells and attention"],
)
def test_clean_epochs_are_those_of_a_run_without_dropout_and_augmentation(corpus, network, noise, request, tmp_path) -> None:
    corpus = request.getfixturevalue(corpus)
    clean = make_trainer(corpus, tmp_path / "clean", network | noise | {"trainer.clean_epochs": 1})
    plain = make_trainer(corpus, tmp_path / "plain", network)
    for trainer in (clean, plain):
        run_epoch(trainer)
    assert torch.equal(weights(clean), weights(plain))
    for trainer in (clean, plain):
        run_epoch(trainer)
    assert not torch.equal(weights(clean), weights(plain))


def test_a_gradient_that_is_not_finite_names_the_items_and_changes_nothing(tones, tmp_path) -> None:
    trainer = make_trainer(tones, tmp_path / "run", {"trainer.limit_items": 2, "trainer.max_batch_size": 1, ACCUMULATE: 2})
    before = weights(trainer)
    trainer.network.output.bias.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(TrainingError, match=r"the gradient is not finite in the step of train0\d, train0\d; lower trainer\.learning_rate"):
        run_epoch(trainer)
    assert torch.equal(weights(trainer), before) and trainer.state.step == 0
