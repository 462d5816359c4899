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
from recognizer.progress import Progress
from recognizer.training.checkpoint import load_checkpoint, save_checkpoint
from recognizer.training.corpus import audit_parts, collect_alphabet, training_items
from recognizer.training.loop import Learner, Tally

PLAIN = {"trainer.optimiser": "sgd", "trainer.momentum": 0.0, "trainer.weight_decay": 0.0, "trainer.clip": 0.0,
    "trainer.learning_rate": 0.5, "trainer.warmup_steps": 0}  # fmt: skip
NOISY_SPEECH = {
    "augment": {"kind": "audio", "speed": [0.9, 1.1], "gain_db": [-6, 6], "noise": 0.5, "time_masks": 1, "frequency_masks": 1},
    "model.dropout": 0.3, "trainer.weight_noise": 0.02, "trainer.average": 0.9, "trainer.accumulate": 2, "trainer.consistency": 0.2,
}  # fmt: skip
NOISY_LINES = {
    "augment": {"kind": "line", "scale": 0.1, "shear": 0.2, "noise": 0.05, "thickness": 0.3},
    "model.frontend.dropout": 0.2, "model.dropout": 0.3, "model.auxiliary": 0.2, "trainer.average": 0.9,
}  # fmt: skip


def make_learner(corpus: Any, folder: Path, changes: dict[str, Any]) -> Learner:
    folder.mkdir(exist_ok=True)
    config = corpus.config(folder, {"trainer.overfit": 24} | changes)
    alphabet = collect_alphabet(config, training_items(config))
    torch.manual_seed(config.seed)
    network = Network(config.recipe, len(alphabet))
    train, _ = audit_parts(config, alphabet, network, folder, Progress(quiet=True))
    return Learner(config, network, train)


def first_batch(learner: Learner) -> Batch:
    return next(BatchReader(learner.train.items, 0).read([[0, 1, 2]], 0))


def weights(learner: Learner) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in learner.network.parameters()])


def same_state(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_state(one[key], other[key]) for key in one if key != "seconds")
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same_state, one, other))
    return bool(one == other)


def nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("accumulate", "model", "shares"),
    [
        (1, {}, [1]),
        (4, {}, [1]),
        (1, {"auxiliary": 0.25}, [0.75, 0.25]),
        (2, {"auxiliary": 0.25, "conditioning": 0.5, "layers": 3}, [0.25, 0.25, 0.25, 0.25]),
    ],
)
def test_the_gradient_is_that_of_the_loss_per_label(glyphs, tmp_path, accumulate: int, model: dict[str, float], shares: list[float]) -> None:
    changes = {f"model.{key}": value for key, value in model.items()}
    learner = make_learner(glyphs, tmp_path / "run", {"trainer.accumulate": accumulate} | changes)
    batch, network, tally = first_batch(learner), learner.network, Tally()
    network.train()
    learner._learn(batch, 0, tally)
    found = {name: p.grad.clone() for name, p in network.named_parameters()}
    network.zero_grad()
    log_probs, early, lengths = network.encode(*network.features(batch.inputs, batch.lengths))
    losses = [
        ctc_loss(emission.transpose(0, 1), batch.targets, lengths, batch.target_lengths, reduction="sum")
        for emission in (log_probs, *(reading.log_probs for reading in early))
    ]  # fmt: skip
    labels = int(batch.target_lengths.sum())
    objective = sum(share * loss for share, loss in zip(shares, losses, strict=True))
    (objective / labels / accumulate).backward()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-4, atol=1e-6)
    assert tally.loss == pytest.approx(losses[0].item(), rel=1e-5)
    assert (tally.labels, tally.items, tally.frames) == (labels, 3, int(batch.lengths.sum()))


@pytest.mark.parametrize(("accumulate", "steps"), [(1, 3), (2, 2), (5, 1)])
def test_a_step_follows_so_many_batches_and_the_end_of_the_epoch(tones, tmp_path, accumulate: int, steps: int) -> None:
    learner = make_learner(tones, tmp_path / "run", {"trainer.accumulate": accumulate})
    places: list[tuple[int, int, int]] = []
    learner.run_epoch(Tally(), lambda: places.append((learner.position.epoch, learner.position.batch, learner.position.step)))
    assert len(learner.plan()) == 3
    assert places == [(0, min(3, accumulate * (n + 1)), n + 1) for n in range(steps)]
    assert (learner.position.epoch, learner.position.batch) == (1, 0)


def test_a_step_of_plain_descent_is_the_rate_times_the_clipped_gradient(tones, tmp_path) -> None:
    learner = make_learner(tones, tmp_path / "run", PLAIN | {"trainer.overfit": 3, "trainer.clip": 0.01})
    before = weights(learner)
    learner.run_epoch(Tally(), nothing)
    assert float((weights(learner) - before).norm()) == pytest.approx(0.5 * 0.01, rel=1e-3)
    assert learner.rate == 0.5


def test_a_curriculum_begins_with_the_short_ones(tones, tmp_path) -> None:
    learner = make_learner(tones, tmp_path / "run", {"trainer.curriculum": True})
    frames = learner.train.frames
    longest = [max(frames[i] for i in batch) for batch in learner.plan()]
    assert longest == sorted(longest) and min(frames[i] for i in learner.plan()[-1]) >= longest[0]
    plans = []
    for learner.position.epoch in (1, 2, 1):
        plans.append(learner.plan())
        assert sorted(i for batch in plans[-1] for i in batch) == list(range(24))
    assert plans[0] == plans[2] != plans[1]


class Stop(Exception):
    pass


@pytest.mark.parametrize(("corpus", "changes"), [("tones", NOISY_SPEECH), ("glyphs", NOISY_LINES)])
def test_a_state_holds_all_that_training_goes_on_from(corpus, changes, request, tmp_path) -> None:
    corpus = request.getfixturevalue(corpus)
    whole = make_learner(corpus, tmp_path / "whole", changes | {"trainer.batch_items": 4})

    def stop() -> None:
        if whole.position.step == 2:
            save_checkpoint(tmp_path, whole.state())

    whole.run_epoch(Tally(), stop)
    whole.run_epoch(Tally(), nothing)
    torch.manual_seed(99)
    resumed = make_learner(corpus, tmp_path / "resumed", changes | {"trainer.batch_items": 4, "trainer.workers": 1})
    with torch.no_grad():
        for parameter in resumed.network.parameters():
            parameter.normal_()
    resumed.restore(load_checkpoint(tmp_path, torch.device("cpu")))
    assert resumed.position.step == 2 and 0 < resumed.position.batch < len(resumed.plan())
    resumed.run_epoch(Tally(), nothing)
    resumed.run_epoch(Tally(), nothing)
    assert same_state(whole.state(), resumed.state())
    assert not torch.equal(whole.average.tensors["output.weight"], whole.network.output.weight)


@pytest.mark.parametrize("corpus", ["tones", "glyphs"])
def test_calm_epochs_are_those_of_a_run_without_chance(corpus, request, tmp_path) -> None:
    noisy = NOISY_SPEECH if corpus == "tones" else NOISY_LINES
    chance = {key: value for key, value in noisy.items() if "augment" in key or "dropout" in key}
    corpus = request.getfixturevalue(corpus)
    calm = make_learner(corpus, tmp_path / "calm", chance | {"trainer.calm_epochs": 1})
    bare = make_learner(corpus, tmp_path / "bare", {})
    for learner in (calm, bare):
        learner.run_epoch(Tally(), nothing)
    assert torch.equal(weights(calm), weights(bare))
    for learner in (calm, bare):
        learner.run_epoch(Tally(), nothing)
    assert not torch.equal(weights(calm), weights(bare))


def test_calm_epochs_quieten_cells_and_attention_too(tones, tmp_path) -> None:
    network = {"model.cell": "coupled", "model.hidden": 8, "model.attention": 2}
    chance = {"model.dropout": 0.5, "model.recurrent.recurrent_dropout": 0.5}
    calm = make_learner(tones, tmp_path / "calm", network | chance | {"trainer.calm_epochs": 1})
    bare = make_learner(tones, tmp_path / "bare", network)
    for learner in (calm, bare):
        learner.run_epoch(Tally(), nothing)
    assert torch.equal(weights(calm), weights(bare))


def test_a_gradient_that_is_not_finite_names_the_items_and_changes_nothing(tones, tmp_path) -> None:
    learner = make_learner(tones, tmp_path / "run", {"trainer.overfit": 2})
    before = weights(learner)
    learner.network.output.bias.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(TrainingError, match=r"the gradient is not finite in the batch of train0\d, train0\d; lower trainer\.learning_rate"):
        learner.run_epoch(Tally(), nothing)
    assert torch.equal(weights(learner), before) and learner.position.step == 0
