"""A batch that several processes share: random numbers and sums that are the same as if one process had it all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_SHARE: ContextVar[tuple[Sequence[int], int] | None] = ContextVar("share", default=None)


@contextmanager
def share_of_batch(rows: Sequence[int], total: int) -> Iterator[None]:
    """Say, within the block, which rows of a batch of so many the network is given; other processes have the rest.

    A process for which none is left (no ``rows``) computes one item all the same, which counts for nothing.
    """
    token = _SHARE.set((rows, total))
    try:
        yield
    finally:
        _SHARE.reset(token)


def draw(rows: int, *shape: int, device: torch.device) -> Tensor:
    """Random numbers in [0, 1) for each row of a batch (rows, *shape): the same for an item however many processes share its batch.

    All processes draw those of the whole batch from generators seeded alike. Rows may be several views of every item, one after the other.
    What is drawn elsewhere, for every frame (dropout of attention weights, zoneout, dropout within `mdlstm`), differs with their number.
    """
    share = _SHARE.get()
    if share is None:
        return torch.rand(rows, *shape, device=device)
    own, total = list(share[0]) or [0], share[1]
    return torch.rand(rows // len(own), total, *shape, device=device)[:, own].flatten(0, 1)


def sum_over_batch(sums: Tensor) -> Tensor:
    """Sums over the items of this process, (N,), added up over all processes, with gradient."""
    share = _SHARE.get()
    if share is None or not torch.distributed.is_initialized():
        return sums
    from torch.distributed.nn.functional import all_reduce

    total: Tensor = all_reduce(sums if share[0] else 0 * sums)
    return total
