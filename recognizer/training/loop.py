"""The training loop: batches, gradients, optimizer steps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from recognizer.audio.spec_augment import mask_spectrogram, warp_vocal_tracts
from recognizer.config import AudioAugment, AudioFeatures, TrainConfig
from recognizer.data.batching import bucket_batches
from recognizer.data.dataset import Batch, BatchReader
from recognizer.errors import TrainingError
from recognizer.models.batch_share import share_of_batch
from recognizer.models.encoder import SelfAttention, VariationalDropout
from recognizer.models.frontends import ChannelDropout
from recognizer.models.network import Network
from recognizer.models.recurrent_cell import RecurrentCell
from recognizer.training.datamodule import Split
from recognizer.training.ema import ExponentialMovingAverage, weight_noise
from recognizer.training.loss import mean_over_views, unit_loss, view_divergences
from recognizer.training.objective import TrainingObjective, build_objective
from recognizer.training.optimizer import Schedule, build_optimizer, restore_optimizer
from recognizer.training.ranks import Ranks
from recognizer.utils.device import count_workers, mixed_precision
from recognizer.utils.seeding import item_rng


@dataclass
class TrainState:
    """Where training stands; with the tensors, all that a checkpoint holds.

    Attributes:
        epoch, batch: next batch to train on.
        step: optimizer steps taken.
        best: lowest validation error; ``best_epoch`` when; ``stale``: validations since.
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
class EpochStats:
    """Sums over the batches of an epoch so far."""

    loss: float = 0.0
    labels: int = 0
    items: int = 0
    frames: int = 0  # feature frames, padding not counted
    waited: float = 0.0  # seconds spent waiting for data
    worked: float = 0.0  # seconds spent in the network


class BatchLoss(nn.Module):
    """From features to the loss: all that has a gradient in training, in one module, as distributed training wants it.

    Args:
        config: settings of the run.
        network, objective: on their device.
    """

    def __init__(self, config: TrainConfig, network: Network, objective: TrainingObjective) -> None:
        super().__init__()
        self.config, self.network, self.objective = config, network, objective

    def forward(self, features: Tensor, lengths: Tensor, batch: Batch, views: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """What is minimized, summed over the batch, and of it the loss of the objective alone, without gradient.

        Args:
            features: (views * B, T, D), augmented; lengths (B,).
            batch: its targets.
            views, generator: as :class:`~recognizer.training.objective.TrainingObjective` says.
        """
        settings = self.config.trainer
        with mixed_precision(features.device, settings.precision):
            encoded = self.network.encode(features, lengths.repeat(views))
            loss: Tensor = self.objective(self.network, encoded, batch, views, generator)
        share = self.config.model.units_ctc_weight if encoded.units is not None else 0.0
        total = (1 - share - sum(output.share for output in encoded.intermediate)) * loss
        if encoded.units is not None and batch.units is not None:
            total = total + share * unit_loss(encoded.units, encoded.lengths, batch.units, views)
        for output in encoded.intermediate:
            total = total + output.share * mean_over_views(output.log_probs, encoded.lengths, batch, views)
        if views == 2 and encoded.log_probs is not None:
            total = total + settings.cr_ctc_weight * view_divergences(encoded.log_probs, encoded.lengths).sum()
        return total, loss.detach()


@dataclass
class Trainer:
    """A network with everything that changes while it is trained.

    Args:
        config: settings of the run.
        network: on its device.
        train: audited training items.
        state: where training stands.
        ranks: this process among those that train together. All plan the same batches, and each takes its share of every one.
    """

    config: TrainConfig
    network: Network
    train: Split
    state: TrainState = field(default_factory=TrainState)
    ranks: Ranks = field(default_factory=Ranks)

    def __post_init__(self) -> None:
        settings = self.config.trainer
        self.device = self.network.device
        self.optimizer = build_optimizer(self.network, settings)
        self.schedule = Schedule(settings)
        self.objective = build_objective(self.config, self.train.dataset.alphabet).to(self.device)
        loss = BatchLoss(self.config, self.network, self.objective)
        self.batch_loss = DistributedDataParallel(loss, broadcast_buffers=False) if self.ranks.world > 1 else loss
        self.ema = ExponentialMovingAverage(self.network, settings.ema_decay) if settings.ema_decay else None
        dataset = replace(self.train.dataset, clean_epochs=settings.clean_epochs)
        self.reader = BatchReader(dataset, count_workers(settings.num_workers, self.device))

    def run_epoch(self, stats: EpochStats) -> Iterator[None]:
        """Train to the end of the current epoch from wherever ``state`` stands, one optimizer step an iteration."""
        plan, accumulation = self.plan(), self.config.trainer.gradient_accumulation_steps
        batches = self.reader.read([self.ranks.share(batch) or batch[:1] for batch in plan[self.state.batch :]], self.state.epoch)
        self._set_mode()
        started = time.perf_counter()
        for first in range(self.state.batch, len(plan), accumulation):
            numbers = range(first, min(first + accumulation, len(plan)))
            ids: list[str] = []
            for number in numbers:
                batch = next(batches)
                arrived = time.perf_counter()
                last = number == numbers[-1]
                whole = self.batch_loss
                # gradients travel once a step
                with whole.no_sync() if isinstance(whole, DistributedDataParallel) and not last else nullcontext():
                    self._backward(batch, number, len(numbers), stats, len(plan[number]))
                ids += batch.ids
                if last:
                    self._step((number + 1) / len(plan), ids)
                    self.state.batch = number + 1
                finished = time.perf_counter()
                stats.waited += arrived - started
                stats.worked += finished - arrived
                self.state.seconds += finished - started
                started = finished
            yield
        self.end_epoch()

    def end_epoch(self) -> None:
        """Let the next batch be the first of the next epoch."""
        self.state.epoch, self.state.batch = self.state.epoch + 1, 0

    def plan(self) -> list[list[int]]:
        """The batches of the current epoch, as lists of item indices."""
        settings, epoch = self.config.trainer, self.state.epoch
        return bucket_batches(
            self.train.frames, max_frames=settings.batch_frames, max_items=settings.max_batch_size, seed=self.config.seed, epoch=epoch,
            by_length=settings.curriculum and epoch == 0, archives=self.train.archives, open_archives=settings.open_archives,
        )  # fmt: skip

    @property
    def clean(self) -> bool:
        """Whether the current epoch goes without dropout and augmentation."""
        return self.state.epoch < self.config.trainer.clean_epochs

    @property
    def views(self) -> int:
        """How often the current epoch's batches hold each item: twice with CR-CTC."""
        return 2 if self.config.trainer.cr_ctc_weight and not self.clean else 1

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def averaged(self) -> AbstractContextManager[None]:
        """Within the block the network computes with the averaged weights, if an average is kept."""
        return nullcontext() if self.ema is None else self.ema.applied(self.network)

    def _set_mode(self) -> None:
        self.network.train()
        if self.clean:
            for module in self.network.modules():
                # not torch's LSTM, which cannot be trained in evaluation mode on every device
                random_cell = isinstance(module, RecurrentCell) and not isinstance(module, nn.LSTM)
                if random_cell or isinstance(module, (nn.Dropout, ChannelDropout, VariationalDropout, SelfAttention)):
                    module.eval()

    def _backward(self, batch: Batch, number: int, batches: int, stats: EpochStats, size: int | None = None) -> None:
        """Add the gradient of one batch, one of so many in its step: that of the loss per label, so that long and short batches weigh alike.

        ``batch`` is the share of this process of a batch of so many items (``size``); None: it is all of it.
        """
        # dropout and weight noise follow from the place in training alone, which is what makes resuming exact
        generator = item_rng(self.config.seed, self.state.epoch, str(number), "step")
        torch.manual_seed(int(generator.integers(2**62)))
        size, world, moved = size or len(batch.ids), self.ranks.world, batch.to(self.device)
        rows = range(self.ranks.rank, size, world)
        counted = 1.0 if rows else 0.0  # a process for which no item is left computes another's, which does not count
        features, lengths = self.network.features(moved.inputs, moved.lengths)
        features = torch.cat([self._augment_features(features, lengths, batch.ids, view) for view in range(self.views)])
        with weight_noise(self.network, self.config.trainer.weight_noise), share_of_batch(rows, size):
            total, loss = self.batch_loss(features, lengths, moved, self.views, generator)
            own = [batch.target_lengths.clamp(min=1).sum(), len(batch.ids), lengths.sum(), loss]  # an empty transcript counts as one label
            labels, items, frames, loss = self.ranks.sum([counted * float(value) for value in own])
            # gradients are averaged over the processes; what is wanted is their sum
            (total * (counted * world / (labels * batches))).backward()
        stats.loss += loss
        stats.labels += int(labels)
        stats.items += int(items)
        stats.frames += int(frames)

    def _augment_features(self, features: Tensor, lengths: Tensor, ids: Sequence[str], view: int) -> Tensor:
        """Spectral features (B, T, D), warped and masked (SpecAugment); all others as they are."""
        augment, settings = self.config.augment, self.config.features
        if self.clean or not isinstance(augment, AudioAugment) or not isinstance(settings, AudioFeatures):
            return features
        purpose = "mask" if view == 0 else "mask of the second view"
        generators = [item_rng(self.config.seed, self.state.epoch, item_id, purpose) for item_id in ids]
        bands = features.shape[2] // (1 + settings.deltas) - int(settings.energy)
        features = warp_vocal_tracts(features, generators, augment.vocal_tract, settings)
        return mask_spectrogram(features, lengths, generators, augment, settings.hop_ms / 1000, bands)

    def _step(self, share_of_epoch: float, ids: Sequence[str]) -> None:
        rate = self.schedule.rate(self.state.step, self.state.epoch + share_of_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.trainer.max_grad_norm or float("inf"))
        if not torch.isfinite(norm):
            raise TrainingError(f"the gradient is not finite in the step of {', '.join(ids)}; lower trainer.learning_rate or look at these items")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema is not None:
            self.ema.update(self.network, self.state.step)
        self.state.step += 1

    def state_dict(self) -> dict[str, Any]:
        """Everything that training goes on from, for a checkpoint."""
        return {
            "position": vars(self.state).copy(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": {"factor": self.schedule.factor, "stale": self.schedule.stale},
            "ema": self.ema.tensors if self.ema is not None else None,
            "objective": self.objective.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state that :meth:`state_dict` gave; raises ValueError, KeyError, RuntimeError or TypeError if it does not fit."""
        self.state = TrainState(**state["position"])
        self.network.load_state_dict(state["network"])
        restore_optimizer(self.optimizer, state["optimizer"])
        self.objective.load_state_dict(state.get("objective", {}))
        self.schedule.factor, self.schedule.stale = state["schedule"]["factor"], state["schedule"]["stale"]
        if self.ema is not None:  # an average that was not kept so far begins at the restored weights
            self.ema = ExponentialMovingAverage(self.network, self.ema.decay)
            self.ema.tensors = state["ema"] or self.ema.tensors
