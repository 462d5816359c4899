"""Settings of ``recognizer train -m``: how settings are chosen, and where the trainings run. They are no part of a training's own settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from recognizer.config.schema import require, require_each

SEED_LIMIT = 2**32  # numpy's generators take no more


@dataclass(frozen=True)
class SlurmConfig:
    """What each training asks of Slurm."""

    partition: str | None = None
    account: str | None = None
    minutes: int = 240  # of a job; one that does not end in them is queued again and goes on from its checkpoint, three times at most
    cpus: int = 4
    gpus: int = 1
    memory_gb: float = 16.0
    options: tuple[str, ...] = ()  # further ones of sbatch, such as ['qos=high','constraint=a100']

    def __post_init__(self) -> None:
        require_each(self, "minutes cpus memory_gb", lambda value: value > 0, "must be positive")
        require(self.gpus >= 0, "gpus", "cannot be negative")
        for option in self.options:
            require("=" in option.strip("="), "options", f"{option!r} is not written NAME=VALUE")


@dataclass(frozen=True)
class SweepConfig:
    """Several trainings with different settings."""

    sampler: Literal["grid", "random", "tpe"] = "grid"  # every combination, at random, or by Optuna's tree of Parzen estimators
    trials: int = 0  # of random and tpe: how many trainings; the same command with more goes on
    random_trials: int = 10  # of tpe: so many are drawn at random before it learns from them
    seed: int = 1  # of random and tpe
    launcher: Literal["here", "local", "slurm"] = "here"  # in this process, in processes on this machine, or as jobs of a Slurm cluster
    parallel: int = 1  # trainings at the same time
    slurm: SlurmConfig = field(default_factory=SlurmConfig)

    @property
    def sampled(self) -> bool:
        """Whether settings are drawn, and not all combinations tried."""
        return self.sampler != "grid"

    def __post_init__(self) -> None:
        require(self.trials >= 0, "trials", "cannot be negative")
        require(self.trials == 0 or self.sampled, "trials", "sampler=grid tries every combination; choose sweep.sampler=random or tpe")
        require(self.trials > 0 or not self.sampled, "trials", f"sampler={self.sampler} needs their number")
        require_each(self, "random_trials parallel", lambda value: value > 0, "must be positive")
        require(0 <= self.seed < SEED_LIMIT, "seed", f"must lie in [0, {SEED_LIMIT})")
        alone = self.launcher != "here" or self.parallel == 1
        require(alone, "parallel", "launcher=here trains one after another; choose sweep.launcher=local or slurm")
