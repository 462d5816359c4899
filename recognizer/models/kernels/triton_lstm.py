"""One step of an LSTM forward and back as fused Triton kernels, and the loops over them.

Imports Triton, so that :mod:`recognizer.models.kernels.triton_launch` imports it when first used. A step is a matrix product over the
whole device followed by one kernel for all that is done element by element. The kernels find their frame by a number and not
by a moved pointer: one compilation serves every frame. Nothing in the loops waits, so that they can be captured into a CUDA graph.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 128  # elements of one sequence that a program computes; with 4 warps one a thread


@triton.jit
def sigmoid(value):  # type: ignore[no-untyped-def]
    """1 / (1 + exp(-value))."""
    return 1 / (1 + tl.exp(-value))


@triton.jit
def tanh(value):  # type: ignore[no-untyped-def]
    """tanh through the exponential: absolute error of a unit in the last place of 1; Triton's interpreter has no libdevice."""
    return 2 / (1 + tl.exp(-2 * value)) - 1


@triton.jit(do_not_specialize=["step", "before_step"])
def step_forward(  # type: ignore[no-untyped-def]
    projected, product, peepholes, before, hidden, cells, activations, step, before_step, size, MODE: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """Gates, cell and output of frame ``step`` for one sequence (axis 0 of the grid) and BLOCK cells (axis 1).

    ``product`` (B, GH) is R h(t-1); ``before`` holds c(t-1) as its frame ``before_step``.
    """
    GATES: tl.constexpr = 4 if MODE == "gate" else 3
    exact = cells.dtype.element_ty
    sequence, batch = tl.program_id(0), tl.num_programs(0)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < size
    row = step.to(tl.int64) * batch + sequence
    gates = row * GATES * size + column
    parts = sequence * GATES * size + column
    place = row * size + column
    last = (GATES - 1) * size
    c_before = tl.load(before + (before_step.to(tl.int64) * batch + sequence) * size + column, mask=inside)

    i = tl.load(projected + gates, mask=inside).to(exact) + tl.load(product + parts, mask=inside)
    i = sigmoid(i + tl.load(peepholes + column, mask=inside) * c_before)
    g = tanh(tl.load(projected + gates + last - size, mask=inside).to(exact) + tl.load(product + parts + last - size, mask=inside))
    if MODE == "gate":
        f = tl.load(projected + gates + size, mask=inside).to(exact) + tl.load(product + parts + size, mask=inside)
        f = sigmoid(f + tl.load(peepholes + size + column, mask=inside) * c_before)
        tl.store(activations + gates + size, f.to(activations.dtype.element_ty), mask=inside)
        c = f * c_before + i * g
    elif MODE == "coupled":
        c = c_before + i * (g - c_before)
    else:
        c = c_before + i * g
    o = tl.load(projected + gates + last, mask=inside).to(exact) + tl.load(product + parts + last, mask=inside)
    o = sigmoid(o + tl.load(peepholes + 2 * size + column, mask=inside) * c)
    tl.store(activations + gates, i.to(activations.dtype.element_ty), mask=inside)
    tl.store(activations + gates + last - size, g.to(activations.dtype.element_ty), mask=inside)
    tl.store(activations + gates + last, o.to(activations.dtype.element_ty), mask=inside)
    tl.store(cells + place, c, mask=inside)
    tl.store(hidden + place, (o * tanh(c)).to(hidden.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["step", "before_step"])
def step_backward(  # type: ignore[no-untyped-def]
    grad_hidden, grad_cells, peepholes, before, cells, activations, carry_hidden, carry_cells, grad_projected, step, before_step, size,
    MODE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients before the gates of frame ``step``; ``carry_cells`` (B, H) turns from that of c(t) through c(t+1) into that of c(t-1).

    ``carry_hidden`` (B, H) is the gradient of h(t) through the gates of t+1.
    """
    GATES: tl.constexpr = 4 if MODE == "gate" else 3
    exact = cells.dtype.element_ty
    sequence, batch = tl.program_id(0), tl.num_programs(0)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < size
    row = step.to(tl.int64) * batch + sequence
    gates = row * GATES * size + column
    place = row * size + column
    carried = sequence * size + column
    last = (GATES - 1) * size
    c_before = tl.load(before + (before_step.to(tl.int64) * batch + sequence) * size + column, mask=inside)
    squashed = tanh(tl.load(cells + place, mask=inside))
    i = tl.load(activations + gates, mask=inside).to(exact)
    g = tl.load(activations + gates + last - size, mask=inside).to(exact)
    o = tl.load(activations + gates + last, mask=inside).to(exact)

    dh = tl.load(grad_hidden + place, mask=inside).to(exact) + tl.load(carry_hidden + carried, mask=inside)
    dzo = dh * squashed * o * (1 - o)
    dc = tl.load(carry_cells + carried, mask=inside) + dh * o * (1 - squashed * squashed) + tl.load(grad_cells + place, mask=inside)
    dc += dzo * tl.load(peepholes + 2 * size + column, mask=inside)
    dzg = dc * i * (1 - g * g)
    if MODE == "coupled":
        dzi = dc * (g - c_before) * i * (1 - i)
        dc_before = dc * (1 - i)
    else:
        dzi = dc * g * i * (1 - i)
        dc_before = dc
    if MODE == "gate":
        f = tl.load(activations + gates + size, mask=inside).to(exact)
        dzf = dc * c_before * f * (1 - f)
        dc_before = dc * f + dzf * tl.load(peepholes + size + column, mask=inside)
        tl.store(grad_projected + gates + size, dzf.to(grad_projected.dtype.element_ty), mask=inside)
    dc_before += dzi * tl.load(peepholes + column, mask=inside)
    tl.store(carry_cells + carried, dc_before, mask=inside)
    tl.store(grad_projected + gates, dzi.to(grad_projected.dtype.element_ty), mask=inside)
    tl.store(grad_projected + gates + last - size, dzg.to(grad_projected.dtype.element_ty), mask=inside)
    tl.store(grad_projected + gates + last, dzo.to(grad_projected.dtype.element_ty), mask=inside)


def multiply(left: Tensor, right: Tensor, out: Tensor) -> None:
    """A matrix product into ``out``, which may be more exact than the factors: bf16 sums are not rounded on the way to float32."""
    if left.dtype == out.dtype:
        torch.mm(left, right, out=out)
    elif left.is_cuda:
        torch.mm(left, right, out_dtype=out.dtype, out=out)
    else:  # the CPU has no such product; only tests with Triton's interpreter come here
        torch.mm(left.to(out.dtype), right.to(out.dtype), out=out)


def loop_forward(
    projected: Tensor, hidden: Tensor, cells: Tensor, activations: Tensor, recurrent: Tensor, peepholes: Tensor, h0: Tensor, c0: Tensor, mode: str
) -> None:  # fmt: skip
    """All frames in order; fills ``hidden``, ``cells`` and ``activations``."""
    frames, batch, size = hidden.shape
    grid, product = (batch, triton.cdiv(size, BLOCK)), c0.new_empty(batch, len(recurrent))
    for step in range(frames):
        multiply(hidden[step - 1] if step else h0, recurrent.t(), product)
        before = cells if step else c0
        step_forward[grid](projected, product, peepholes, before, hidden, cells, activations, step, max(step - 1, 0), size, MODE=mode, BLOCK=BLOCK)


def loop_backward(
    grad_hidden: Tensor, grad_cells: Tensor, cells: Tensor, activations: Tensor, grad_projected: Tensor, recurrent: Tensor, peepholes: Tensor,
    c0: Tensor, carry_hidden: Tensor, carry_cells: Tensor, mode: str,
) -> None:  # fmt: skip
    """All frames from the last to the first; fills ``grad_projected``.

    The carries (B, H) go in as the gradients of the last frame's states through what follows, and come out as those of h0 and c0.
    """
    frames, batch, size = cells.shape
    grid = (batch, triton.cdiv(size, BLOCK))
    for step in range(frames - 1, -1, -1):
        step_backward[grid](
            grad_hidden, grad_cells, peepholes, cells if step else c0, cells, activations, carry_hidden, carry_cells, grad_projected,
            step, max(step - 1, 0), size, MODE=mode, BLOCK=BLOCK,
        )  # fmt: skip
        multiply(grad_projected[step], recurrent, carry_hidden)
