"""One network learns from corrected items, for as long as those that are held back gain, with a state that an interrupted run goes on from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recognizer.bundle.io import Bundle
from recognizer.config import TrainConfig
from recognizer.data.manifest import Item
from recognizer.models.network import Network
from recognizer.text.alphabet import Alphabet
from recognizer.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from recognizer.training.datamodule import Split
from recognizer.training.loop import EpochStats, Trainer
from recognizer.training.optimizer import Schedule
from recognizer.training.transfer import load_pretrained
from recognizer.training.validate import validate
from recognizer.utils.files import open_folder

VALIDATIONS = 8  # about so many in a training
PATIENCE = 4  # validations without progress before it stops


@dataclass
class Learner:
    """A network that is to learn, and what it learns from.

    Attributes:
        bundle: whose weights it starts from.
        alphabet: what it will write; the bundle's labels come first.
        config: of its training.
        items: those that it can learn from, without augmentation.
        cost: how long it takes in relation to others; 0: it stays as it is.
        judge: gives those of other items that it can learn from, and a line for each of the rest.
    """

    bundle: Bundle
    alphabet: Alphabet
    config: TrainConfig
    items: Split
    cost: float
    judge: Callable[[Sequence[Item]], tuple[Split, list[str]]]

    def open(self, weights: Mapping[str, Tensor] | None = None) -> Network:
        """The network with the bundle's weights, or others."""
        torch.manual_seed(self.config.seed)
        network = Network(self.config.recognizer, len(self.alphabet))
        if weights is None:
            load_pretrained(str(self.bundle.folder), self.config, self.alphabet, network)
        else:
            network.load_state_dict(dict(weights))
        return network


@dataclass
class ByTime(Schedule):
    """A schedule that also ends where the time does: progress is the greater share of epochs and of seconds."""

    share: float = 0.0  # of the time

    def rate(self, step: int, epochs_done: float) -> float:
        """Learning rate of a step; ``epochs_done`` is fractional."""
        return super().rate(step, max(epochs_done, self.share * self.config.epochs))


@dataclass
class Outcome:
    """What a training gave: the best weights, their error rate on the items held back, and the epochs made."""

    weights: dict[str, Tensor]
    error: float
    epochs: int
    history: list[tuple[int, float]] = field(default_factory=list)


def learn(
    learner: Learner,
    train: Split,
    held: Split,
    folder: Path,
    device: torch.device,
    seconds: float,
    watch: Callable[[float], bool],
    start: Mapping[str, Tensor] | None = None,
) -> Outcome:
    """Train a network until its epochs, its time or its patience end.

    Args:
        learner: what learns.
        train: what it learns, augmented; ``held``: what its best weights are chosen by.
        folder: of the checkpoint that a training goes on from, where there is one.
        device: to compute on.
        seconds: that it may take from here on.
        watch: is told the share that is done, after every step; True: stop now.
        start: weights to start from; None: the bundle's.
    """
    config = learner.config
    network = learner.open(start).to(device)
    trainer = Trainer(config, network, train)
    schedule = trainer.schedule = ByTime(config.trainer)
    best = Outcome({}, float("inf"), 0)
    if (folder / CHECKPOINT).is_file():
        saved = load_checkpoint(folder, device)
        best = Outcome(saved.pop("best"), saved.pop("error"), saved["position"]["epoch"], [tuple(row) for row in saved.pop("history")])
        trainer.load_state_dict(saved)
    else:
        error = validate(config, network, held).error
        best = Outcome(_copy(network), error, 0, [(0, error)])
    open_folder(folder)
    begun = time.monotonic()
    every = max(1, config.trainer.epochs // VALIDATIONS)
    stopped = False
    with closing(trainer.reader):
        while trainer.state.epoch < config.trainer.epochs and not stopped and trainer.state.stale < PATIENCE:
            for _ in trainer.run_epoch(EpochStats()):
                schedule.share = min(1.0, (time.monotonic() - begun) / seconds) if seconds > 0 else 1.0
                done = (trainer.state.epoch + trainer.state.batch / max(1, len(trainer.plan()))) / config.trainer.epochs
                stopped = watch(max(schedule.share, min(1.0, done))) or schedule.share >= 1
                if stopped:
                    trainer.end_epoch()
                    break
            if trainer.state.epoch % every == 0 or trainer.state.epoch == config.trainer.epochs or stopped:
                best = _validate(trainer, held, best)
                save_checkpoint(folder, _state(trainer, best))
    return replace(best, epochs=trainer.state.epoch)


def mix_weights(old: Mapping[str, Tensor], new: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """The mean of two sets of weights of the same network, in which the new ones count by ``share`` (Wortsman et al. 2022, WiSE-FT)."""
    return {name: torch.lerp(old[name], tensor, share) if tensor.is_floating_point() else tensor for name, tensor in new.items()}


def _validate(trainer: Trainer, held: Split, best: Outcome) -> Outcome:
    error = validate(trainer.config, trainer.network, held).error
    history = [*best.history, (trainer.state.epoch, error)]
    improved = error < best.error or (error == best.error and trainer.state.epoch > 0 and best.epochs == 0)
    trainer.state.stale = 0 if improved else trainer.state.stale + 1
    return Outcome(_copy(trainer.network), error, trainer.state.epoch, history) if improved else replace(best, history=history)


def _state(trainer: Trainer, best: Outcome) -> dict[str, Any]:
    return {**trainer.state_dict(), "best": best.weights, "error": best.error, "history": [list(row) for row in best.history]}


def _copy(network: Network) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
