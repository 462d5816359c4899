"""Training over several processes: which of them this one is, and what they tell each other.

They are started by ``torchrun``, which says who is who by environment variables, on one machine or many. Every process knows the whole plan
of batches and takes its share of each, so that the batches are the same whatever the number of processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import distributed
from torch.distributed.rendezvous import rendezvous

from recognizer.errors import RecognizerError, TrainingError

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among all that train together.

    Attributes:
        rank: its number, from 0.
        world: how many there are.
        local: its number on its own machine, which is that of its GPU.
        restarts: how often torchrun has started all of them again.
    """

    rank: int = 0
    world: int = 1
    local: int = 0
    restarts: int = 0

    @classmethod
    def of_environment(cls) -> Ranks:
        """As torchrun tells; without it, one process alone."""
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RESTART_COUNT")
        return cls(*(int(os.environ.get(name, default)) for name, default in zip(names, ("0", "1", "0", "0"), strict=True)))

    @property
    def writes(self) -> bool:
        """Whether this is the one process that writes files and prints."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """What this process takes of a list that all know: every so many."""
        return list(items[self.rank :: self.world])

    def sum(self, values: Sequence[float]) -> list[float]:
        """The sums over all processes; to be called by all."""
        return self._reduce(values, distributed.ReduceOp.SUM)

    def max(self, values: Sequence[float]) -> list[float]:
        """The largest of all processes; to be called by all."""
        return self._reduce(values, distributed.ReduceOp.MAX)

    def _reduce(self, values: Sequence[float], operation: distributed.ReduceOp.RedOpType) -> list[float]:
        if self.world == 1:
            return list(values)
        device = torch.device("cuda", self.local) if distributed.get_backend() == "nccl" else torch.device("cpu")
        tensor = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(tensor, operation)
        return tensor.tolist()

    def gather(self, value: T) -> list[T]:
        """What each process has, in order, given to all."""
        if self.world == 1:
            return [value]
        found: list[Any] = [None] * self.world
        distributed.all_gather_object(found, value)
        return found

    def from_first(self, value: T | None) -> T:
        """What the first process has, given to all; what the others pass does not matter."""
        if self.world > 1:
            held = [value]
            distributed.broadcast_object_list(held, src=0)
            (value,) = held
        assert value is not None
        return value


@contextmanager
def join_ranks(device: torch.device) -> Iterator[Ranks]:
    """Be one of the processes that torchrun has started, within the block; without torchrun there is nothing to join.

    An error of one process ends all: it names the process, and torchrun stops those that wait for it.

    Raises:
        TrainingError: the connection to another process broke.
    """
    ranks = Ranks.of_environment()
    if ranks.world == 1:
        yield ranks
        return
    # its functions have the group of all processes as a default: imported later, as by DistributedDataParallel, it would keep the group and its
    # threads alive beyond their end, and a thread that drops a tensor while Python shuts down aborts the process
    import torch.distributed.nn  # noqa: F401

    # torchrun keeps one store for all its restarts: without a name for each, a process may find the address of one that has died, and wait for it
    store, rank, world = next(iter(rendezvous("env://")))
    store = distributed.PrefixStore(f"restart_{ranks.restarts}", store)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", store=store, rank=rank, world_size=world)
    try:
        yield ranks
    except RecognizerError as error:
        raise type(error)(f"process {ranks.rank} of {ranks.world}: {error}") from None
    except RuntimeError as error:
        if not any(word in str(error).lower() for word in ("gloo", "nccl", "connection")):
            raise
        said = str(error).splitlines()[0]
        raise TrainingError(f"process {ranks.rank} of {ranks.world}: lost another process, whose own message says why ({said:.200})") from None
    finally:
        distributed.destroy_process_group()
