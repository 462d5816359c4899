"""The training loop."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from recognizer.config import AudioAugment, AudioFeatures, TrainConfig
from recognizer.data.batching import plan_batches
from recognizer.data.dataset import Batch, BatchReader
from recognizer.errors import TrainingError
from recognizer.features.chance import item_generator
from recognizer.features.spec_augment import mask_spectrogram
from recognizer.features.vocal_tract import warp_vocal_tracts
from recognizer.host import count_workers
from recognizer.models.attention import SelfAttention
from recognizer.models.network import Network
from recognizer.models.recurrence import Recurrence
from recognizer.models.sequence_dropout import SequenceDropout
from recognizer.training.consistency import divergences
from recognizer.training.corpus import Part
from recognizer.training.loss import ctc_losses
from recognizer.training.optimiser import Schedule, build_optimiser
from recognizer.training.weights import RunningAverage, weight_noise


@dataclass
class Position:
    """Where training stands; with the tensors, all that a checkpoint holds.

    Attributes:
        epoch, batch: next batch to train on.
        step: optimiser steps taken.
        best: lowest development error; ``best_epoch`` when; ``stale``: evaluations since.
        seconds: training time so far, over all sessions.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float = float("inf")
    best_epoch: int = 0
    stale: int = 0
    seconds: float = 0.0


@dataclass
class Tally:
    """Sums over the batches since the last report."""

    loss: float = 0.0
    labels: int = 0
    items: int = 0
    frames: int = 0  # feature frames, padding not counted
    waited: float = 0.0  # seconds spent waiting for data
    worked: float = 0.0  # seconds spent in the network


@dataclass
class Learner:
    """A network with everything that changes while it learns.

    Args:
        config: settings of the run.
        network: on its device.
        train: audited training items.
    """

    config: TrainConfig
    network: Network
    train: Part
    position: Position = field(default_factory=Position)

    def __post_init__(self) -> None:
        self.device = next(self.network.parameters()).device
        self.optimiser = build_optimiser(self.network, self.config.trainer)
        self.schedule = Schedule(self.config.trainer)
        self.average = RunningAverage(self.network, self.config.trainer.average) if self.config.trainer.average else None
        trainer = self.config.trainer
        self.reader = BatchReader(replace(self.train.items, calm_epochs=trainer.calm_epochs), count_workers(trainer.workers, self.device))

    @property
    def calm(self) -> bool:
        """Whether the current epoch goes without dropout and augmentation."""
        return self.position.epoch < self.config.trainer.calm_epochs

    @property
    def views(self) -> int:
        """How often the current epoch's batches hold each item."""
        return 2 if self.config.trainer.consistency and not self.calm else 1

    def plan(self) -> list[list[int]]:
        """The batches of the current epoch, as lists of item indices."""
        trainer, epoch = self.config.trainer, self.position.epoch
        by_length = trainer.curriculum and epoch == 0
        return plan_batches(
            self.train.frames, budget=trainer.batch_frames, most=trainer.batch_items, seed=self.config.seed, epoch=epoch, by_length=by_length
        )

    def run_epoch(self, tally: Tally, after_step: Any) -> None:
        """Train to the end of the current epoch, from wherever its position stands.

        ``after_step()`` is called after every optimiser step and may raise to stop.
        """
        plan = self.plan()
        rest = plan[self.position.batch :]
        batches = self.reader.read(rest, self.position.epoch)
        self.network.train()
        if self.calm:
            for module in self.network.modules():
                # not the framework's LSTM, which cannot learn in evaluation mode on every device
                noisy = isinstance(module, Recurrence) and not isinstance(module, nn.LSTM)
                if noisy or isinstance(module, (nn.Dropout, nn.Dropout2d, SequenceDropout, SelfAttention)):
                    module.eval()
        started = time.perf_counter()
        for number in range(self.position.batch, len(plan)):
            batch = next(batches)
            arrived = time.perf_counter()
            last_of_step = (number + 1) % self.config.trainer.accumulate == 0 or number + 1 == len(plan)
            self._learn(batch, number, tally)
            if last_of_step:
                self._step(self.position.epoch + (number + 1) / len(plan), batch)
                self.position.batch = number + 1
            finished = time.perf_counter()
            tally.waited += arrived - started
            tally.worked += finished - arrived
            self.position.seconds += finished - started
            started = finished
            if last_of_step:
                after_step()
        self.position.epoch, self.position.batch = self.position.epoch + 1, 0

    def _learn(self, batch: Batch, number: int, tally: Tally) -> None:
        """Add the gradient of one batch: the loss per label, so that long and short batches weigh alike."""
        # dropout and weight noise follow from the place in training alone, which is what makes resuming exact
        torch.manual_seed(int(item_generator(self.config.seed, self.position.epoch, str(number), "step").integers(2**62)))
        trainer = self.config.trainer
        moved, views = batch.to(self.device), self.views
        features, lengths = self.network.features(moved.inputs, moved.lengths)
        features = torch.cat([self._vary(features, lengths, batch, view) for view in range(views)])
        with weight_noise(self.network, trainer.weight_noise):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=trainer.precision == "bf16"):
                log_probs, early, frames = self.network.encode(features, lengths.repeat(views))
            labels = int(batch.target_lengths.clamp(min=1).sum())  # where nothing is said, one blank is a label
            total = _mean_of_views(log_probs, frames, moved, views)
            objective = (1 - sum(reading.share for reading in early)) * total
            for reading in early:
                objective = objective + reading.share * _mean_of_views(reading.log_probs, frames, moved, views)
            if views == 2:
                objective = objective + trainer.consistency * divergences(log_probs, frames).sum()
            (objective / (labels * trainer.accumulate)).backward()
        tally.loss += float(total.detach())
        tally.labels += labels
        tally.items += len(batch.ids)
        tally.frames += int(lengths.sum())

    def _vary(self, features: torch.Tensor, lengths: torch.Tensor, batch: Batch, view: int) -> torch.Tensor:
        augment, settings = self.config.augment, self.config.features
        if self.calm or not isinstance(augment, AudioAugment) or not isinstance(settings, AudioFeatures):
            return features
        purpose = "mask" if view == 0 else "mask of the second view"
        generators = [item_generator(self.config.seed, self.position.epoch, item_id, purpose) for item_id in batch.ids]
        bands = features.shape[2] // (1 + settings.deltas) - int(settings.energy)
        features = warp_vocal_tracts(features, generators, augment.vocal_tract, settings)
        return mask_spectrogram(features, lengths, generators, augment, settings.hop_ms / 1000, bands)

    def _step(self, epochs_done: float, batch: Batch) -> None:
        rate = self.schedule.rate(self.position.step, epochs_done)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        limit = self.config.trainer.clip or float("inf")
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        if not torch.isfinite(norm):
            advice = "lower trainer.learning_rate or look at these items"
            raise TrainingError(f"the gradient is not finite in the batch of {', '.join(batch.ids)}; {advice}")
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.network, self.position.step)
        self.position.step += 1

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return float(self.optimiser.param_groups[0]["lr"])

    def state(self) -> dict[str, Any]:
        """Everything that training goes on from, for a checkpoint."""
        return {
            "position": vars(self.position).copy(),
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": {"factor": self.schedule.factor, "stale": self.schedule.stale},
            "average": self.average.tensors if self.average is not None else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state that :meth:`state` gave; raises ValueError, KeyError, RuntimeError or TypeError if it does not fit."""
        self.position = Position(**state["position"])
        self.network.load_state_dict(state["network"])
        self._restore_optimiser(state["optimiser"])
        self.schedule.factor, self.schedule.stale = state["schedule"]["factor"], state["schedule"]["stale"]
        if self.average is not None:  # one that was not kept so far begins at the restored weights
            self.average = RunningAverage(self.network, self.average.decay)
            self.average.tensors = state["average"] or self.average.tensors

    def _restore_optimiser(self, state: dict[str, Any]) -> None:
        # load_state_dict also brings back the old settings, but those of a resumed run may have been changed
        settings = [{key: value for key, value in group.items() if key not in ("params", "lr")} for group in self.optimiser.param_groups]
        for own, group in zip(settings, state["param_groups"], strict=True):
            if own.keys() != group.keys() - {"params", "lr"}:
                raise ValueError("it was made with another trainer.optimiser")
        self.optimiser.load_state_dict(state)
        for group, own in zip(self.optimiser.param_groups, settings, strict=True):
            group.update(own)


def _mean_of_views(log_probs: torch.Tensor, lengths: torch.Tensor, batch: Batch, views: int) -> torch.Tensor:
    """The sum of the items' CTC losses, each the mean of its views: (views * B, T, V) and lengths -> a scalar."""
    losses = [ctc_losses(*view, batch).sum() for view in zip(log_probs.chunk(views), lengths.chunk(views), strict=True)]
    return torch.stack(losses).mean()
