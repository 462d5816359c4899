"""Optimizers, and the learning rate over the course of training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import nn, optim

from recognizer.config import TrainerConfig


def build_optimizer(network: nn.Module, config: TrainerConfig) -> optim.Optimizer:
    """The configured optimizer; weight decay acts on matrices and kernels only, not on biases and norms."""
    decayed = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    free = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
    match config.optimizer:
        case "sgd":
            return optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
        case "rmsprop":
            return optim.RMSprop(groups, lr=config.learning_rate, momentum=config.momentum)
        case "adam":
            return optim.Adam(groups, lr=config.learning_rate)
        case "adamw":
            return optim.AdamW(groups, lr=config.learning_rate)


def restore_optimizer(optimizer: optim.Optimizer, state: dict[str, Any]) -> None:
    """Bring back moments and steps, but keep the optimizer's own settings, which a resumed run may have changed.

    Raises:
        ValueError: the state is that of another optimizer.
    """
    settings = [{key: value for key, value in group.items() if key not in ("params", "lr")} for group in optimizer.param_groups]
    for own, group in zip(settings, state["param_groups"], strict=True):
        if own.keys() != group.keys() - {"params", "lr"}:
            raise ValueError("it was made with another trainer.optimizer")
    optimizer.load_state_dict(state)
    for group, own in zip(optimizer.param_groups, settings, strict=True):
        group.update(own)


@dataclass
class Schedule:
    """Learning rate as a function of progress.

    Attributes:
        config: the trainer's settings.
        factor: what the plateau schedule has come down to.
        stale: validations since the error last fell, as the plateau schedule counts them.
    """

    config: TrainerConfig
    factor: float = 1.0
    stale: int = 0

    def rate(self, step: int, epochs_done: float) -> float:
        """Learning rate of a step; ``epochs_done`` is fractional."""
        rate = self.config.learning_rate * self.factor
        if step < self.config.warmup_steps:
            rate *= (step + 1) / self.config.warmup_steps
        if self.config.schedule == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * min(1.0, epochs_done / self.config.epochs)))
        return rate

    def observe(self, improved: bool) -> None:
        """Tell the plateau schedule whether a validation brought a new best error."""
        self.stale = 0 if improved else self.stale + 1
        if self.config.schedule == "plateau" and self.stale >= self.config.plateau_patience:
            self.factor *= self.config.plateau_factor
            self.stale = 0
