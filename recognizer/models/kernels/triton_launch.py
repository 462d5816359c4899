"""The LSTM recurrence on a GPU: Triton kernels in CUDA graphs. Used wherever Triton is, unless ``RECOGNIZER_TRITON=0``.

One direction of one layer, after Hochreiter & Schmidhuber 1997 (``none``), Gers, Schmidhuber & Cummins 2000 (``gate``), Greff et al.
2017 (``coupled``), with the peepholes of Gers & Schmidhuber 2000::

    i = sigmoid(x_i + R_i h(t-1) + p_i c(t-1))        f = sigmoid(x_f + R_f h(t-1) + p_f c(t-1)); none: f = 1; coupled: f = 1 - i
    g = tanh(x_g + R_g h(t-1))                        c = f c(t-1) + i g
    o = sigmoid(x_o + R_o h(t-1) + p_o c)             h = o tanh(c)

A persistent kernel would read all of R in every program and step, and Triton has no barrier of the whole grid to share R out. Here a
step is one product by cuBLAS over the whole device and one kernel for the rest; their launches, which would cost more than their work,
are recorded in a CUDA graph of ``CHUNK`` frames. On an H200, 64 sequences of 500 frames and 256 cells in float32 take 0.76 of the time
of ``nn.LSTM`` without peepholes, and 0.78 in training; frame by frame in plain operations they take 14 and 21 times its time
(``scripts/bench_recurrent.py --device cuda``).

Precision: the input's, float32 or bf16; sums, cell states and what is carried back from frame to frame are float32 (float64 where the
input is). Products of float32 follow torch's setting for TF32. The state behind a sequence's end is the caller's to ignore.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recognizer.errors import ConfigError

SWITCH = "RECOGNIZER_TRITON"
GATES = {"gate": 4, "none": 3, "coupled": 3}  # blocks of a mode: i, f, g, o as in nn.LSTM; without a forget gate of its own i, g, o
CHUNK = 64  # frames of a graph: long enough that a replay costs the host nothing, short enough that the last one wastes little
MAX_GRAPHS = 32  # kept in memory

Loop = Callable[..., None]
Shapes = tuple[tuple[tuple[int, ...], torch.dtype], ...]


def enabled() -> bool:
    """Whether these kernels are used on a GPU: where Triton is installed, unless the environment variable RECOGNIZER_TRITON is 0.

    Raises:
        ConfigError: another value than 0 or 1, or 1 where Triton is not installed.
    """
    installed = find_spec("triton") is not None
    value = os.environ.get(SWITCH)
    if value not in ("0", "1", None):
        raise ConfigError(f"{SWITCH}={value}: set it to 1 (Triton kernels on a GPU) or 0")
    if value == "1" and not installed:
        raise ConfigError(f"{SWITCH}=1 needs Triton, which is not installed: install triton or unset {SWITCH}")
    return installed and value != "0"


def run_lstm(projected: Tensor, recurrent: Tensor, peepholes: Tensor, h0: Tensor, c0: Tensor, mode: str = "gate") -> tuple[Tensor, Tensor]:
    """Run over all frames; autograd can go back once.

    Args:
        projected: (T, B, GH), W x + b of all frames; G blocks as in ``GATES``. Its precision is that of the products.
        recurrent: R, (GH, H).
        peepholes: (3, H), weights of i, f and o on the cell; the second row is only read in mode ``gate``.
        h0, c0: states before the first frame, (B, H).
        mode: ``gate``, ``none`` or ``coupled``: how the cell forgets.

    Returns:
        hidden states (T, B, H) in the precision of ``projected``, and cell states (T, B, H) in float32 (float64).

    Raises:
        ValueError: a shape or mode does not fit.
    """
    if mode not in GATES:
        raise ValueError(f"mode {mode!r}: one of {', '.join(GATES)}")
    (_, batch, width), size = projected.shape, recurrent.shape[1]
    shapes = {"gates": ((width,), (GATES[mode] * size,)), "recurrent": (recurrent.shape, (GATES[mode] * size, size))}
    shapes |= {"h0": (h0.shape, (batch, size)), "c0": (c0.shape, (batch, size)), "peepholes": (peepholes.shape, (3, size))}
    for name, (found, right) in shapes.items():
        if tuple(found) != right:
            raise ValueError(f"{name}: size {tuple(found)}, not {right}, in mode {mode} with {size} cells and {batch} sequences")
    hidden, cells = _Lstm.apply(projected, recurrent, peepholes, h0, c0, mode)
    return hidden, cells


class _Lstm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projected: Tensor, recurrent: Tensor, peepholes: Tensor, h0: Tensor, c0: Tensor, mode: str) -> tuple[Tensor, Tensor]:
        from recognizer.models.kernels.triton_lstm import loop_forward

        ctx.mode, ctx.dtypes = mode, [tensor.dtype for tensor in (recurrent, peepholes, h0, c0)]
        exact = torch.float64 if projected.dtype == torch.float64 else torch.float32
        recurrent, h0 = (tensor.to(projected.dtype).contiguous() for tensor in (recurrent, h0))
        peepholes, c0 = (tensor.to(exact).contiguous() for tensor in (peepholes, c0))
        projected = projected.contiguous()
        hidden = projected.new_empty(*projected.shape[:2], recurrent.shape[1])
        cells, activations = torch.empty_like(hidden, dtype=exact), torch.empty_like(projected)
        h, c = h0, c0
        for part in _chunks(len(projected)):
            _run(loop_forward, mode, [projected[part]], [hidden[part], cells[part], activations[part]], [recurrent, peepholes, h, c])
            h, c = hidden[part][-1], cells[part][-1]
        ctx.save_for_backward(recurrent, peepholes, h0, c0, hidden, cells, activations)
        return hidden, cells

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_hidden: Tensor, grad_cells: Tensor) -> tuple[Tensor | None, ...]:
        from recognizer.models.kernels.triton_lstm import loop_backward, multiply

        recurrent, peepholes, h0, c0, hidden, cells, activations = ctx.saved_tensors
        grad_hidden, grad_cells = grad_hidden.to(activations.dtype).contiguous(), grad_cells.to(cells.dtype).contiguous()
        carries = [torch.zeros_like(c0), torch.zeros_like(c0)]
        grad_projected, cells_before = torch.empty_like(activations), torch.cat([c0[None], cells])[:-1]
        grad_peepholes = torch.zeros_like(peepholes)
        for part in reversed(_chunks(len(hidden))):
            given = [grad_hidden[part], grad_cells[part], cells[part], activations[part]]
            _run(loop_backward, ctx.mode, given, [grad_projected[part]], [recurrent, peepholes, cells_before[part][0]], carries)
            i, *f, _, o = grad_projected[part].chunk(GATES[ctx.mode], dim=2)
            for row, gate, seen in ((0, i, cells_before), *((1, gate, cells_before) for gate in f), (2, o, cells)):
                grad_peepholes[row] += (gate * seen[part]).sum((0, 1))
        grad_recurrent = torch.empty_like(recurrent, dtype=cells.dtype)
        multiply(grad_projected.flatten(0, 1).t(), torch.cat([h0[None], hidden])[:-1].flatten(0, 1), grad_recurrent)
        others = [tensor.to(dtype) for tensor, dtype in zip((grad_recurrent, grad_peepholes, *carries), ctx.dtypes, strict=True)]
        return grad_projected, *others, None


def _chunks(frames: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, frames)) for start in range(0, frames, CHUNK)]


def _run(loop: Loop, mode: str, given: list[Tensor], written: list[Tensor], states: list[Tensor], carried: Sequence[Tensor] = ()) -> None:
    """Run a loop over at most ``CHUNK`` frames, in a CUDA graph where it can be.

    ``given`` and ``written`` have an axis of frames in front, ``states`` and ``carried`` have none; ``carried`` are read and written.
    """
    device = given[0].device
    with torch.cuda.device_of(given[0]):
        if not uses_graph(device):
            return loop(*given, *written, *states, *carried, mode)
        stream = torch.cuda.current_stream(device).cuda_stream if device.type == "cuda" else 0
        shapes = [tuple((tuple(tensor.shape), tensor.dtype) for tensor in tensors) for tensors in ((*given, *written), (*states, *carried))]
        frames = tuple((shape[1:], dtype) for shape, dtype in shapes[0])
        graph = _graph(loop, mode, frames, shapes[1], device, stream, torch.backends.cuda.matmul.fp32_precision)
        graph.run(given, written, [*states, *carried], len(carried))


def uses_graph(device: torch.device) -> bool:
    """Whether loops run in CUDA graphs: on a GPU, unless the caller is recording one."""
    return device.type == "cuda" and not torch.cuda.is_current_stream_capturing()


class _Graph:
    """A loop over ``CHUNK`` frames recorded in a CUDA graph, on buffers of its own.

    Tensors are copied in and out, by estimate less than a tenth of the loop's time. Frames beyond the end of shorter sequences cost time
    only: their gradients and gates are zero, so that they pass on the carries of zero.
    """

    def __init__(self, loop: Loop, mode: str, frames: Shapes, states: Shapes, device: torch.device) -> None:
        with torch.inference_mode(False):  # buffers made during inference may be written to in training
            self.frames = [torch.zeros(CHUNK, *shape, dtype=dtype, device=device) for shape, dtype in frames]
            self.states = [torch.zeros(*shape, dtype=dtype, device=device) for shape, dtype in states]
        self.replay = record(lambda: loop(*self.frames, *self.states, mode))

    def run(self, given: list[Tensor], written: list[Tensor], states: list[Tensor], carried: int) -> None:
        """Copy in, replay, copy out; the last ``carried`` of the states are written too."""
        count = len(given[0])
        for own, tensor in zip(self.frames, given, strict=False):
            own[:count].copy_(tensor)
            own[count:].zero_()
        for own, tensor in zip(self.states, states, strict=True):
            own.copy_(tensor)
        self.replay()
        for own, tensor in zip(self.frames[len(given) :], written, strict=True):
            tensor.copy_(own[:count])
        for own, tensor in list(zip(self.states, states, strict=True))[len(states) - carried :]:
            tensor.copy_(own)


@lru_cache(maxsize=MAX_GRAPHS)
def _graph(loop: Loop, mode: str, frames: Shapes, states: Shapes, device: torch.device, stream: int, precision: str) -> _Graph:
    """The graph of a loop for such tensors on a stream, recorded when first asked for; ``precision`` is that of float32 products."""
    return _Graph(loop, mode, frames, states, device)


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
