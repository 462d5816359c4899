"""The loops of :mod:`recognizer.models.lstm_triton` recorded in CUDA graphs.

A graph works on buffers of its own and on a fixed number of frames; longer sequences are run piece by piece, each starting from the
states that the last has left. So there is one graph for a batch size, whatever the lengths, and frames beyond the end
cost time only. Copying in and out moves each number twice more; by estimate, not yet timed, less than a tenth of the loop's time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from recognizer.models.lstm_triton_kernel import loop_backward, loop_forward

FRAMES = 64  # of a graph: long enough that a replay costs the host nothing, short enough that the last one wastes little
GRAPHS = 16  # kept in memory, of each direction of time

Recorder = Callable[[Callable[[], None]], Callable[[], None]]


def record(work: Callable[[], None]) -> Callable[[], None]:
    """Do the work once, so that its kernels are compiled and loaded, then record it; call the result to replay it."""
    current, side = torch.cuda.current_stream(), torch.cuda.Stream()
    side.wait_stream(current)
    with torch.cuda.stream(side):
        work()
    current.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # the loader's thread may call CUDA meanwhile
        work()
    return graph.replay


class Kind(NamedTuple):
    """What a graph is recorded for.

    Attributes:
        batch, size: sequences B and cells H.
        width: of all gates, GH.
        mode: as in :func:`recognizer.models.lstm_triton.lstm_forward`.
        peepholes: whether there are any.
        cells: whether the cell states have gradients.
        dtype: precision of the gates and of the products.
        device: of all tensors.
        stream: number of the stream that uses the buffers.
        tf32: how products of float32 are computed.
    """

    batch: int
    size: int
    width: int
    mode: str
    peepholes: bool
    cells: bool
    dtype: torch.dtype
    device: torch.device
    stream: int
    tf32: str

    def zeros(self, *shape: int, exact: bool = False) -> Tensor:
        """A buffer, in the precision of the cell states if ``exact``; one made during inference may be written to in training."""
        dtype = torch.float32 if exact and self.dtype != torch.float64 else self.dtype
        with torch.inference_mode(False):
            return torch.zeros(*shape, dtype=dtype, device=self.device)


def kind_of(gates: Tensor, size: int, mode: str, peepholes: bool, cells: bool = False) -> Kind:
    """The kind of graph for such gates (T, B, GH) on the current stream."""
    stream = torch.cuda.current_stream(gates.device).cuda_stream
    tf32 = torch.backends.cuda.matmul.fp32_precision
    return Kind(gates.shape[1], size, gates.shape[2], mode, peepholes, cells, gates.dtype, gates.device, stream, tf32)


class ForwardGraph:
    """``FRAMES`` frames forward; ``record`` makes a function that repeats the given one on the same buffers."""

    def __init__(self, kind: Kind, record: Recorder = record) -> None:
        batch, size, width = kind.batch, kind.size, kind.width
        self.projected, self.activations = kind.zeros(FRAMES, batch, width), kind.zeros(FRAMES, batch, width)
        self.hidden, self.cells = kind.zeros(FRAMES, batch, size), kind.zeros(FRAMES, batch, size, exact=True)
        self.recurrent, self.product = kind.zeros(width, size), kind.zeros(batch, width, exact=True)
        self.peepholes = kind.zeros(3, size, exact=True) if kind.peepholes else None
        self.h0, self.c0 = kind.zeros(batch, size), kind.zeros(batch, size, exact=True)
        self.replay = record(
            lambda: loop_forward(
                self.projected, self.recurrent, self.peepholes, self.h0, self.c0, kind.mode, self.product, self.hidden, self.cells, self.activations
            )
        )

    def run(
        self, projected: Tensor, recurrent: Tensor, peepholes: Tensor | None, h0: Tensor, c0: Tensor,
        hidden: Tensor, cells: Tensor, activations: Tensor,
    ) -> None:  # fmt: skip
        """All frames; fills ``hidden``, ``cells`` and ``activations``."""
        self.recurrent.copy_(recurrent)
        _copy(peepholes, self.peepholes)
        for start in range(0, projected.shape[0], FRAMES):
            part = slice(start, start + FRAMES)
            count = projected[part].shape[0]
            self.projected[:count].copy_(projected[part])
            self.h0.copy_(hidden[start - 1] if start else h0)
            self.c0.copy_(cells[start - 1] if start else c0)
            self.replay()
            for own, out in ((self.hidden, hidden), (self.cells, cells), (self.activations, activations)):
                out[part].copy_(own[:count])


class BackwardGraph:
    """``FRAMES`` frames back; ``record`` as in :class:`ForwardGraph`."""

    def __init__(self, kind: Kind, record: Recorder = record) -> None:
        batch, size, width = kind.batch, kind.size, kind.width
        self.activations, self.grad_projected = kind.zeros(FRAMES, batch, width), kind.zeros(FRAMES, batch, width)
        self.grad_hidden, self.cells = kind.zeros(FRAMES, batch, size), kind.zeros(FRAMES, batch, size, exact=True)
        self.grad_cells = kind.zeros(FRAMES, batch, size, exact=True) if kind.cells else None
        self.recurrent = kind.zeros(width, size)
        self.peepholes = kind.zeros(3, size, exact=True) if kind.peepholes else None
        self.c0, self.carry_hidden, self.carry_cells = (kind.zeros(batch, size, exact=True) for _ in range(3))
        self.replay = record(
            lambda: loop_backward(
                self.grad_hidden, self.grad_cells, self.recurrent, self.peepholes, self.c0, self.cells, self.activations,
                kind.mode, self.carry_hidden, self.carry_cells, self.grad_projected,
            )
        )  # fmt: skip

    def run(
        self, grad_hidden: Tensor, grad_cells: Tensor | None, recurrent: Tensor, peepholes: Tensor | None, c0: Tensor,
        cells: Tensor, activations: Tensor, carry_hidden: Tensor, carry_cells: Tensor, grad_projected: Tensor,
    ) -> None:  # fmt: skip
        """All frames, the last first; fills ``grad_projected`` and, with the gradients of h0 and c0, the carries."""
        self.recurrent.copy_(recurrent)
        _copy(peepholes, self.peepholes)
        self.carry_hidden.zero_()
        self.carry_cells.zero_()
        inputs = [(self.grad_hidden, grad_hidden), (self.cells, cells), (self.activations, activations)]
        if self.grad_cells is not None and grad_cells is not None:
            inputs.append((self.grad_cells, grad_cells))
        frames = cells.shape[0]
        for start in reversed(range(0, frames, FRAMES)):
            part = slice(start, start + FRAMES)
            count = min(FRAMES, frames - start)
            for own, given in inputs:
                own[:count].copy_(given[part])
                own[count:].zero_()  # gates of 0 in frames beyond the end, so that they pass on the carry of 0
            self.c0.copy_(cells[start - 1] if start else c0)
            self.replay()
            grad_projected[part].copy_(self.grad_projected[:count])
        carry_hidden.copy_(self.carry_hidden)
        carry_cells.copy_(self.carry_cells)


@lru_cache(maxsize=GRAPHS)
def forward_graph(kind: Kind) -> ForwardGraph:
    """The graph of a kind, recorded when first asked for."""
    return ForwardGraph(kind)


@lru_cache(maxsize=GRAPHS)
def backward_graph(kind: Kind) -> BackwardGraph:
    """The graph of a kind, recorded when first asked for."""
    return BackwardGraph(kind)


def _copy(given: Tensor | None, own: Tensor | None) -> None:
    if given is not None and own is not None:
        own.copy_(given)
