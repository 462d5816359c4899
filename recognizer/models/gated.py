"""Running a gated cell over a sequence: on the CPU one matrix product and one compiled step a frame, and the same backwards.

The framework's kernels know one LSTM. Here a cell is two compiled functions, what happens to a frame's pre-activations and how
the gradient goes back through that, and everything else is shared: the products with the recurrent weights, zoneout, dropout of the
recurrent connections, the gradients of the weights (one product over all frames at the end), and the operator that autograd and
``torch.export`` see. On other devices the cell's plain step runs under autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recognizer.models import lstm_triton
from recognizer.models.recurrent_product import make_products, product_width

Step = Callable[..., None]
States = tuple[Tensor, ...]


@dataclass(frozen=True)
class Kernel:
    """A cell's arithmetic in one frame.

    B is the batch, H the cells, S the number of states. In the compiled steps ``states`` is (S, T+1, B, H) with the initial ones in front,
    so that ``states[:, t]`` are those before frame t and ``states[:, t + 1]`` those after; all arrays are of one floating type.

    Attributes:
        name: of the operator.
        states: S; the output h is state 0.
        sources: of each recurrent matrix, the state that it multiplies.
        kept: width K, in units of H, of what the backward step needs from the forward one (gates, usually).
        forward: ``(t, projected, products, states, kept, weights)``: from ``projected[t]`` (B, P) and the products (B, R) of the recurrent
            matrices with the states before, side by side, write ``states[:, t + 1]`` and ``kept[t % len(kept)]`` (B, K*H): without a
            gradient to come, ``kept`` is a single frame. ``weights`` (W, H) are element-wise ones.
        backward: ``(t, projected, products, states, kept, weights, d_after, d_before, d_projected, d_products, d_weights)``: from the gradient
            ``d_after`` (S, B, H) of the states after frame t (the step may use it as it likes) write that of ``projected[t]``, of
            ``products[t]`` if it is another, of the states before (all but what comes through the matrices), and add to that of the weights.
            With zoneout ``states[:, t + 1]`` are blended with those before: what the step needs of the unblended ones it must keep.
        plain: ``(projected_t, products, states, weights) -> states``: the same in tensor operations, for devices without compiled steps.
        same_gradient: the gradient of the products is that of ``projected``: products are neither kept nor their gradient written.
        triton: mode of :func:`recognizer.models.lstm_triton.run_lstm` that computes the same on a GPU.
        names: of what is ``kept``, H wide each from the front; "" for what is no gate.
    """

    name: str
    states: int
    sources: tuple[int, ...]
    kept: int
    forward: Step
    backward: Step
    plain: Callable[[Tensor, list[Tensor], States, Tensor], States]
    same_gradient: bool = True
    triton: str | None = None
    names: tuple[str, ...] = ()


Operator = Callable[..., Tensor]  # as make_operator says


def make_operator(kernel: Kernel) -> Operator:
    """Register ``recognizer::NAME`` and return what calls it.

    The call takes projected inputs (T, B, P), recurrent matrices [(R, H)], bfloat16 ones being multiplied in that precision, or kernels
    (:class:`recognizer.models.recurrent_product.Convolved`), element-wise weights (W, H), initial states (S, B, H), zoneout shares
    (S, T, B, H) and factors (B, H) of the states in the recurrent products, each of the last two empty (0,) for none; it returns the
    states (S, T+1, B, H), the initial ones in front. A dictionary as a last argument is filled with the kernel's named gates (T, B, H);
    then nothing is learnt, and all of it runs on the CPU.
    """
    both = "Tensor projected, Tensor[] matrices, Tensor weights, "
    name = f"recognizer::{kernel.name}"

    schema = f"({both}Tensor initial, Tensor zones, Tensor factors, bool keep) -> (Tensor, Tensor, Tensor)"

    @torch.library.custom_op(name, mutates_args=(), schema=schema)
    def run(
        projected: Tensor, matrices: Sequence[Tensor], weights: Tensor, initial: Tensor, zones: Tensor, factors: Tensor, keep: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        return _forward(kernel, projected, matrices, weights, initial, zones, factors, keep)

    @run.register_fake
    def _(
        projected: Tensor, matrices: Sequence[Tensor], weights: Tensor, initial: Tensor, zones: Tensor, factors: Tensor, keep: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        return _outputs(kernel, projected, matrices, initial, keep)

    schema = f"(Tensor d_states, {both}Tensor zones, Tensor factors, Tensor states, Tensor kept, Tensor products)"

    @torch.library.custom_op(f"{name}_backward", mutates_args=(), schema=f"{schema} -> (Tensor, Tensor[], Tensor, Tensor)")
    def run_back(*arguments: Any) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:
        return _backward(kernel, *arguments)

    @run_back.register_fake
    def _(
        d_states: Tensor, projected: Tensor, matrices: Sequence[Tensor], weights: Tensor, *_: Tensor
    ) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:
        like = [torch.empty_like(matrix) for matrix in matrices]
        return torch.empty_like(projected), like, torch.empty_like(weights), d_states.new_empty(d_states[:, 0].shape)

    def save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        projected, matrices, weights, _, zones, factors, _ = inputs
        ctx.save_for_backward(projected, weights, zones, factors, *output, *matrices)

    def back(ctx: Any, d_states: Tensor, *_: Tensor | None) -> tuple[Any, ...]:
        projected, weights, zones, factors, states, kept, products, *matrices = ctx.saved_tensors
        gradients = run_back(d_states, projected, matrices, weights, zones, factors, states, kept, products)
        return *gradients, None, None, None

    run.register_autograd(back, setup_context=save)

    def call(
        projected: Tensor, matrices: list[Tensor], weights: Tensor, initial: Tensor, zones: Tensor, factors: Tensor,
        watched: dict[str, Tensor] | None = None,
    ) -> Tensor:  # fmt: skip
        if watched is not None:
            near = [tensor.detach().cpu() for tensor in (weights, initial, zones, factors)]
            states, kept, _ = run(projected.detach().cpu(), [matrix.detach().cpu() for matrix in matrices], *near, True)
            watched |= {name: block for name, block in zip(kernel.names, kept.split(initial.shape[2], dim=2), strict=False) if name}
            return states
        if projected.device.type != "cpu":
            dense = matrices[0].ndim == 2
            if kernel.triton and dense and projected.is_cuda and not zones.numel() and not factors.numel() and lstm_triton.enabled():
                pair = lstm_triton.run_lstm(projected.to(matrices[0].dtype), matrices[0], weights, initial[0], initial[1], kernel.triton)
                return torch.stack([torch.cat([first[None], after.to(first.dtype)]) for first, after in zip(initial, pair, strict=True)])
            return _run_plain(kernel, projected, matrices, weights, initial, zones, factors)
        learns = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (projected, *matrices, weights, initial))
        return run(projected, matrices, weights, initial, zones, factors, learns)[0]

    return call


def _outputs(kernel: Kernel, projected: Tensor, matrices: Sequence[Tensor], initial: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """States, what the backward step needs, and products, as uninitialised tensors."""
    frames, batch, _ = projected.shape
    count, _, hidden = initial.shape
    states = initial.new_empty(count, frames + 1, batch, hidden)
    kept = initial.new_empty(frames if keep else 1, batch, kernel.kept * hidden)
    rows = sum(product_width(matrix, hidden) for matrix in matrices)
    return states, kept, initial.new_empty(frames if keep and not kernel.same_gradient else 0, batch, rows)


def _forward(
    kernel: Kernel, projected: Tensor, matrices: Sequence[Tensor], weights: Tensor, initial: Tensor, zones: Tensor, factors: Tensor, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    states, kept, products = _outputs(kernel, projected, matrices, initial, keep)
    states[:, 0] = initial
    multipliers = make_products(matrices, initial.shape[2], factors)
    widths = [product_width(matrix, initial.shape[2]) for matrix in matrices]
    product = initial.new_empty(len(projected[0]), sum(widths))
    for multiplier, part in zip(multipliers, product.split(widths, dim=1), strict=True):
        multiplier.write_to(part)
    before = [states[source].unbind(0) for source in kernel.sources]
    arrays = [_array(tensor) for tensor in (projected, product, states, kept, weights)]
    shares = _array(zones) if zones.numel() else None
    for t in range(len(projected)):
        for multiplier, state in zip(multipliers, before, strict=True):
            multiplier.multiply(state[t])
        if len(products):
            products[t] = product
        kernel.forward(t, *arrays)
        if shares is not None:  # a share of each state stays as it was (Krueger et al. 2017)
            arrays[2][:, t + 1] += shares[:, t] * (arrays[2][:, t] - arrays[2][:, t + 1])
    return states, kept, products


def _backward(
    kernel: Kernel, d_states: Tensor, projected: Tensor, matrices: Sequence[Tensor], weights: Tensor,
    zones: Tensor, factors: Tensor, states: Tensor, kept: Tensor, products: Tensor,
) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:  # fmt: skip
    frames = len(projected)
    d_projected, d_weights = torch.empty_like(projected), torch.zeros_like(weights)
    d_products = d_projected if kernel.same_gradient else torch.empty_like(products)
    after, before = d_states[:, frames].clone(), torch.zeros_like(d_states[:, 0])
    multipliers = make_products(matrices, states.shape[3], factors)
    d_parts = d_products.split([product_width(matrix, states.shape[3]) for matrix in matrices], dim=2)
    steps = [part.unbind(0) for part in d_parts]
    sources = [before[source] for source in kernel.sources]
    arrays = [_array(tensor) for tensor in (projected, products, states, kept, weights)]
    gradients = [_array(tensor) for tensor in (after, before, d_projected, d_products, d_weights)]
    upstream = d_states.transpose(0, 1).unbind(0)
    shares = _array(zones) if zones.numel() else None
    for t in reversed(range(frames)):
        if shares is not None:
            stayed = shares[:, t] * gradients[0]
            gradients[0] -= stayed
        kernel.backward(t, *arrays, *gradients)
        for multiplier, step, source in zip(multipliers, steps, sources, strict=True):
            multiplier.go_back(step[t], source)
        if shares is not None:
            gradients[1] += stayed
        torch.add(before, upstream[t], out=after)
    d_matrices = [
        multiplier.learn(part, states[source, :-1]) for multiplier, part, source in zip(multipliers, d_parts, kernel.sources, strict=True)
    ]
    return d_projected, d_matrices, d_weights, after


def _run_plain(
    kernel: Kernel, projected: Tensor, matrices: list[Tensor], weights: Tensor, initial: Tensor, zones: Tensor, factors: Tensor
) -> Tensor:
    states = tuple(initial.unbind(0))
    steps = [initial]
    multipliers = make_products(matrices, initial.shape[2], factors)
    for t, frame in enumerate(projected.unbind(0)):
        products = [each.plain(states[source]).to(frame.dtype) for each, source in zip(multipliers, kernel.sources, strict=True)]
        new = kernel.plain(frame, products, states, weights)
        states = tuple(n + zones[s, t] * (states[s] - n) for s, n in enumerate(new)) if zones.numel() else new
        steps.append(torch.stack(states))
    return torch.stack(steps, dim=1)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()
