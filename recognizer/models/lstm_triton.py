"""The LSTM recurrence on a GPU: Triton kernels, with and without a CUDA graph. Used wherever Triton is, unless ``RECOGNIZER_TRITON=0``.

One direction of one layer, after Hochreiter & Schmidhuber 1997 (``none``), Gers, Schmidhuber & Cummins 2000 (``forget``), Greff et al.
2017 (``coupled``), with the peepholes of Gers & Schmidhuber 2000::

    i = sigmoid(x_i + R_i h(t-1) + p_i c(t-1))
    f = sigmoid(x_f + R_f h(t-1) + p_f c(t-1))    forget;    none: f = 1;    coupled: f = 1 - i
    g = tanh(x_g + R_g h(t-1))
    c = f c(t-1) + i g
    o = sigmoid(x_o + R_o h(t-1) + p_o c)
    h = o tanh(c)

Two designs were weighed. A persistent kernel with one program for each 16 sequences needs no barrier, but every program reads
all of R in every step: 4 MB in float32 at H = 512, by estimate tens of microseconds through one multiprocessor, and a batch of 64 keeps
four of them busy. Public Triton LSTMs of this kind reach about the float32 speed of ``nn.LSTM``, and FlashRNN's stops at a head size of
64. Splitting R over multiprocessors wants a barrier of the whole grid, which Triton does not have. Here a step is one product by
cuBLAS over the whole device and one kernel for the rest; their launches, which would cost more than their work, are recorded once
in a CUDA graph of a fixed number of frames (:mod:`recognizer.models.lstm_graph`). On an H200, 64 sequences of 500 frames and 256 cells in
float32 take 0.76 of the time of ``nn.LSTM`` without peepholes, and 0.78 in training; frame by frame in plain operations they take 14 and 21
times its time (``scripts/bench_recurrent.py --device cuda``).

Precision: the input's, float32 or bf16; sums, cell states and what is carried back from frame to frame are float32 (float64 where the
input is). Products of float32 follow torch's setting for TF32. The state behind a sequence's end is the caller's to ignore.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recognizer.errors import ConfigError

SWITCH = "RECOGNIZER_TRITON"
GATES = {"forget": 4, "none": 3, "coupled": 3}  # blocks of a mode: i, f, g, o as in nn.LSTM; without a forget gate of its own i, g, o
SLICE = 64  # frames whose products for the peephole gradients are held at a time


def available() -> bool:
    """Whether the kernels can run here: Triton is installed, and there is a GPU or Triton's interpreter stands in for it."""
    return find_spec("triton") is not None and (torch.cuda.is_available() or os.environ.get("TRITON_INTERPRET") == "1")


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


def run_lstm(projected: Tensor, recurrent: Tensor, peepholes: Tensor | None, h0: Tensor, c0: Tensor, mode: str = "forget") -> tuple[Tensor, Tensor]:
    """Hidden and cell states (T, B, H) of :func:`lstm_forward`, for autograd (once)."""
    hidden, cells = _Lstm.apply(projected, recurrent, peepholes, h0, c0, mode)
    return hidden, cells


@torch.no_grad()
def lstm_forward(
    projected: Tensor, recurrent: Tensor, peepholes: Tensor | None, h0: Tensor, c0: Tensor, mode: str = "forget", captured: bool | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Run over all frames.

    Args:
        projected: (T, B, GH), W x + b of all frames; G blocks as in ``GATES``. Its precision is that of the products.
        recurrent: R, (GH, H).
        peepholes: (3, H), weights of i, f and o on the cell; the second row is only read in mode ``forget``. None: no peepholes.
        h0, c0: states before the first frame, (B, H).
        mode: ``forget``, ``none`` or ``coupled``.
        captured: replay CUDA graphs; None: on a GPU, unless the caller is recording one.

    Returns:
        hidden (T, B, H) in the precision of ``projected``, cells (T, B, H) in float32 (float64), and the gates after their
        squashing (T, B, GH), which :func:`lstm_backward` wants.

    Raises:
        ValueError: a shape or mode does not fit.
    """
    from recognizer.models.lstm_triton_kernel import loop_forward

    _check(projected, recurrent, peepholes, h0, c0, mode)
    (frames, batch, _), size = projected.shape, recurrent.shape[1]
    projected, recurrent, peepholes, h0, c0, exact = _prepare(projected, recurrent, peepholes, h0, c0)
    hidden = projected.new_empty(frames, batch, size)
    cells = projected.new_empty(frames, batch, size, dtype=exact)
    activations = torch.empty_like(projected)
    with torch.cuda.device_of(projected):
        if _capture(projected, captured):
            from recognizer.models.lstm_graph import forward_graph, kind_of

            graph = forward_graph(kind_of(projected, size, mode, peepholes is not None))
            graph.run(projected, recurrent, peepholes, h0, c0, hidden, cells, activations)
        else:
            product = projected.new_empty(projected.shape[1:], dtype=exact)
            loop_forward(projected, recurrent, peepholes, h0, c0, mode, product, hidden, cells, activations)
    return hidden, cells, activations


@torch.no_grad()
def lstm_backward(
    grad_hidden: Tensor, grad_cells: Tensor | None, recurrent: Tensor, peepholes: Tensor | None, h0: Tensor, c0: Tensor,
    hidden: Tensor, cells: Tensor, activations: Tensor, mode: str = "forget", captured: bool | None = None,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]:  # fmt: skip
    """Gradients of what :func:`lstm_forward` was given, from those of its outputs.

    Args:
        grad_hidden: (T, B, H).
        grad_cells: (T, B, H); None where nothing but the recurrence has read the cell states.
        recurrent, peepholes, h0, c0, mode, captured: as in the forward pass.
        hidden, cells, activations: what the forward pass returned.

    Returns:
        Gradients of ``projected``, ``recurrent``, ``peepholes`` (None if there are none), ``h0`` and ``c0``, each in the precision of
        its tensor.
    """
    from recognizer.models.lstm_triton_kernel import loop_backward, multiply

    _check(activations, recurrent, peepholes, h0, c0, mode)
    dtypes = recurrent.dtype, None if peepholes is None else peepholes.dtype, h0.dtype, c0.dtype
    activations, recurrent, peepholes, h0, c0, exact = _prepare(activations, recurrent, peepholes, h0, c0)
    grad_hidden = grad_hidden.to(activations.dtype).contiguous()
    grad_cells = None if grad_cells is None else grad_cells.to(exact).contiguous()
    hidden, cells = hidden.contiguous(), cells.contiguous()
    carry_hidden, carry_cells = torch.zeros_like(c0), torch.zeros_like(c0)
    grad_projected = torch.empty_like(activations)
    with torch.cuda.device_of(activations):
        if _capture(activations, captured):
            from recognizer.models.lstm_graph import backward_graph, kind_of

            graph = backward_graph(kind_of(activations, c0.shape[1], mode, peepholes is not None, grad_cells is not None))
            graph.run(grad_hidden, grad_cells, recurrent, peepholes, c0, cells, activations, carry_hidden, carry_cells, grad_projected)
        else:
            loop_backward(
                grad_hidden, grad_cells, recurrent, peepholes, c0, cells, activations, mode, carry_hidden, carry_cells, grad_projected
            )  # fmt: skip
    grad_recurrent = torch.empty_like(recurrent, dtype=exact)
    multiply(grad_projected.flatten(0, 1).t(), torch.cat([h0[None], hidden])[:-1].flatten(0, 1), grad_recurrent)
    grad_peepholes = None if dtypes[1] is None else _peephole_gradient(grad_projected, cells, c0, mode).to(dtypes[1])
    return grad_projected, grad_recurrent.to(dtypes[0]), grad_peepholes, carry_hidden.to(dtypes[2]), carry_cells.to(dtypes[3])


class _Lstm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projected: Tensor, recurrent: Tensor, peepholes: Tensor | None, h0: Tensor, c0: Tensor, mode: str) -> tuple[Tensor, Tensor]:
        hidden, cells, activations = lstm_forward(projected, recurrent, peepholes, h0, c0, mode)
        ctx.save_for_backward(recurrent, peepholes, h0, c0, hidden, cells, activations)
        ctx.mode = mode
        ctx.set_materialize_grads(False)  # mostly nothing but h is read
        return hidden, cells

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_hidden: Tensor | None, grad_cells: Tensor | None) -> tuple[Tensor | None, ...]:
        recurrent, peepholes, h0, c0, hidden, cells, activations = ctx.saved_tensors
        grad_hidden = torch.zeros_like(hidden) if grad_hidden is None else grad_hidden
        return *lstm_backward(grad_hidden, grad_cells, recurrent, peepholes, h0, c0, hidden, cells, activations, ctx.mode), None


def _peephole_gradient(grad_projected: Tensor, cells: Tensor, c0: Tensor, mode: str) -> Tensor:
    """(3, H): the gradient before each gate times the cell state it saw, summed over frames and sequences."""
    sums = c0.new_zeros(3, c0.shape[1])
    before = torch.cat([c0[None], cells])[:-1]
    for grads, old, new in zip(grad_projected.split(SLICE), before.split(SLICE), cells.split(SLICE), strict=True):
        blocks = grads.chunk(GATES[mode], dim=2)
        sums[0] += (blocks[0] * old).sum((0, 1))
        if mode == "forget":
            sums[1] += (blocks[1] * old).sum((0, 1))
        sums[2] += (blocks[-1] * new).sum((0, 1))
    return sums


def _check(gates: Tensor, recurrent: Tensor, peepholes: Tensor | None, h0: Tensor, c0: Tensor, mode: str) -> None:
    if mode not in GATES:
        raise ValueError(f"mode {mode!r}: one of {', '.join(GATES)}")
    (_, batch, width), size = gates.shape, recurrent.shape[1]
    wanted = {"gates": ((width,), (GATES[mode] * size,)), "recurrent": (recurrent.shape, (GATES[mode] * size, size))}
    wanted |= {"h0": (h0.shape, (batch, size)), "c0": (c0.shape, (batch, size))}
    if peepholes is not None:
        wanted["peepholes"] = (peepholes.shape, (3, size))
    for name, (found, right) in wanted.items():
        if tuple(found) != right:
            raise ValueError(f"{name}: size {tuple(found)}, not {right}, in mode {mode} with {size} cells and {batch} sequences")


def _prepare(
    gates: Tensor, recurrent: Tensor, peepholes: Tensor | None, h0: Tensor, c0: Tensor
) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor, torch.dtype]:
    """All of them contiguous, in the precision of ``gates`` or in that of the cell states, which comes last."""
    exact = torch.float64 if gates.dtype == torch.float64 else torch.float32
    peepholes = None if peepholes is None else peepholes.to(exact).contiguous()
    recurrent, h0 = recurrent.to(gates.dtype).contiguous(), h0.to(gates.dtype).contiguous()
    return gates.contiguous(), recurrent, peepholes, h0, c0.to(exact).contiguous(), exact


def _capture(tensor: Tensor, captured: bool | None) -> bool:
    if captured is None:
        return tensor.is_cuda and not torch.cuda.is_current_stream_capturing()
    return captured
