"""Running a cell over a sequence: on the CPU one matrix product and one compiled step a frame, and the same backwards.

torch's kernels know one LSTM. Here a cell is two compiled functions, what happens to a frame's pre-activations and how the gradient
goes back through that, and everything else is shared: the products with the recurrent weights, zoneout, dropout of the recurrent
connections, the gradients of the weights (one product over all frames at the end), and the operator that autograd and
``torch.export`` see. On other devices Triton's kernels run where they compute the same, else the cell's plain step under autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recognizer.config import CellSettings
from recognizer.models.kernels import triton_launch
from recognizer.models.kernels.products import make_products, product_width

Step = Callable[..., None]
States = tuple[Tensor, ...]
STATES = ("h", "c", "n", "m")  # what equations call the states, in their order


@dataclass(frozen=True)
class CellKernel:
    """A cell's arithmetic in one frame.

    B is the batch, H the cells, S the number of states. In the compiled steps ``states`` is (S, T+1, B, H) with the initial ones in front,
    so that ``states[:, t]`` are those before frame t and ``states[:, t + 1]`` those after; all arrays are of one floating type.

    Attributes:
        name: of the operator.
        forward: ``(t, projected, products, states, saved, weights)``: from ``projected[t]`` (B, P) and the products (B, R) of the recurrent
            matrices with the states before, side by side, write ``states[:, t + 1]`` and ``saved[t % len(saved)]`` (B, K*H): without a
            gradient to come, ``saved`` is a single frame. ``weights`` (W, H) are element-wise ones. The step may overwrite the products.
        backward: ``(t, projected, products, states, saved, weights, d_after, d_before, d_projected, d_products, d_weights)``: from the gradient
            ``d_after`` (S, B, H) of the states after frame t (the step may use it as it likes) write that of ``projected[t]``, of
            ``products[t]`` if it is another, of the states before (all but what comes through the matrices), and add to that of the weights.
            With zoneout ``states[:, t + 1]`` are blended with those before: what the step needs of the unblended ones it must save.
        plain: ``(projected_t, products, states, weights) -> states``: the same in tensor operations, for devices without compiled steps.
        saved: names of the K blocks, H wide each, that the backward step needs from the forward one; "" for what is no gate.
        states: S; the output h is state 0.
        sources: of each recurrent matrix, the state that it multiplies.
        same_gradient: the gradient of the products is that of ``projected``: products are neither kept nor their gradient written.
        triton: how :func:`recognizer.models.kernels.triton_launch.run_lstm` forgets, if it computes the same on a GPU.
    """

    name: str
    forward: Step
    backward: Step
    plain: Callable[[Tensor, list[Tensor], States, Tensor], States]
    saved: tuple[str, ...]
    states: int = 2
    sources: tuple[int, ...] = (0,)
    same_gradient: bool = False
    triton: str | None = None


class KernelRunner:
    """Runs a kernel over sequences; registers it as the operator ``recognizer::NAME``.

    A call takes projected inputs (T, B, P), recurrent matrices [(R, H)], bfloat16 ones being multiplied in that precision, or kernels of
    convolutions [(C', C, K)], element-wise weights (W, H), initial states (S, B, H), zoneout's shares (S, T, B, H) and dropout's factors
    (B, H) of the states in the recurrent products, each of the last two empty (0,) for none. It returns the states (S, T+1, B, H), the
    initial ones in front.
    """

    def __init__(self, kernel: CellKernel) -> None:
        self.kernel = kernel
        name, shared, random = f"recognizer::{kernel.name}", "Tensor projected, Tensor[] matrices, Tensor weights", "Tensor zoneout, Tensor dropout"
        schema = f"({shared}, Tensor initial, {random}, bool keep) -> (Tensor, Tensor, Tensor)"
        self._operator = torch.library.custom_op(name, self._forward, mutates_args=(), schema=schema)
        self._operator.register_fake(self._allocate)
        schema = f"(Tensor d_states, {shared}, {random}, Tensor states, Tensor saved, Tensor products) -> (Tensor, Tensor[], Tensor, Tensor)"
        self._operator_back = torch.library.custom_op(f"{name}_backward", self._backward, mutates_args=(), schema=schema)
        self._operator_back.register_fake(
            lambda d_states, projected, matrices, weights, *_: (
                torch.empty_like(projected), [torch.empty_like(matrix) for matrix in matrices], torch.empty_like(weights),
                d_states.new_empty(d_states[:, 0].shape),
            )
        )  # fmt: skip
        self._operator.register_autograd(self._go_back, setup_context=_save)

    def run(
        self, projected: Tensor, matrices: list[Tensor], weights: Tensor, state: States, settings: CellSettings, training: bool
    ) -> Tensor:  # fmt: skip
        """Run over projected frames (T, B, P) with zoneout and recurrent dropout; the states after each frame, (S, B, T, H).

        Products with recurrent matrices are in autocast's precision, all else in that of the weights.
        """
        return self(*_prepare(projected, matrices, weights, state, settings, training))[:, 1:].transpose(1, 2)

    @torch.no_grad()
    def record(self, projected: Tensor, matrices: list[Tensor], weights: Tensor, state: States, settings: CellSettings) -> dict[str, Tensor]:
        """Gates and states over projected frames (T, B, P), the output h last, by name (B, T, H); without gradient, on the CPU."""
        projected, matrices, weights, initial, *random = _prepare(projected, matrices, weights, state, settings, training=False)
        zoneout, dropout = (tensor.cpu() for tensor in random)
        states, saved, _ = self._forward(
            projected.cpu(), [matrix.cpu() for matrix in matrices], weights.cpu(), initial.cpu(), zoneout, dropout, keep=True
        )  # fmt: skip
        blocks = saved.unflatten(2, (len(self.kernel.saved), -1)).transpose(0, 1).unbind(2)
        named = dict(zip(STATES, states[:, 1:].transpose(1, 2), strict=False))
        h = named.pop("h")
        return {name: block for name, block in zip(self.kernel.saved, blocks, strict=True) if name} | named | {"h": h}

    def __call__(self, projected: Tensor, matrices: list[Tensor], weights: Tensor, initial: Tensor, zoneout: Tensor, dropout: Tensor) -> Tensor:
        """As the class says."""
        if projected.device.type == "cpu":
            keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (projected, *matrices, weights, initial))
            states: Tensor = self._operator(projected, matrices, weights, initial, zoneout, dropout, keep)[0]
            return states
        forget, draws = self.kernel.triton, bool(zoneout.numel() or dropout.numel())
        if forget and matrices[0].ndim == 2 and projected.is_cuda and not draws and triton_launch.enabled():
            pair = triton_launch.run_lstm(projected.to(matrices[0].dtype), matrices[0], weights, initial[0], initial[1], forget)
            return torch.stack([torch.cat([first[None], after.to(first.dtype)]) for first, after in zip(initial, pair, strict=True)])
        return self.plain(projected, matrices, weights, initial, zoneout, dropout)

    def plain(self, projected: Tensor, matrices: list[Tensor], weights: Tensor, initial: Tensor, zoneout: Tensor, dropout: Tensor) -> Tensor:
        """What a call computes, in tensor operations on any device."""
        states = tuple(initial.unbind(0))
        after = [initial]
        products = make_products(matrices, initial.shape[2], dropout)
        for t, frame in enumerate(projected.unbind(0)):
            parts = [product.plain(states[source]).to(frame.dtype) for product, source in zip(products, self.kernel.sources, strict=True)]
            new = self.kernel.plain(frame, parts, states, weights)
            states = tuple(n + zoneout[s, t] * (states[s] - n) for s, n in enumerate(new)) if zoneout.numel() else new
            after.append(torch.stack(states))
        return torch.stack(after, dim=1)

    def _allocate(
        self, projected: Tensor, matrices: Sequence[Tensor], weights: Tensor, initial: Tensor, zoneout: Tensor, dropout: Tensor, keep: bool
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """States, what the backward step needs, and products, as uninitialized tensors."""
        frames, batch, _ = projected.shape
        count, _, hidden = initial.shape
        rows = sum(product_width(matrix, hidden) for matrix in matrices)
        states = initial.new_empty(count, frames + 1, batch, hidden)
        saved = initial.new_empty(frames if keep else 1, batch, len(self.kernel.saved) * hidden)
        return states, saved, initial.new_empty(frames if keep and not self.kernel.same_gradient else 0, batch, rows)

    def _forward(
        self, projected: Tensor, matrices: Sequence[Tensor], weights: Tensor, initial: Tensor, zoneout: Tensor, dropout: Tensor, keep: bool
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        states, saved, products = self._allocate(projected, matrices, weights, initial, zoneout, dropout, keep)
        states[:, 0] = initial
        widths = [product_width(matrix, initial.shape[2]) for matrix in matrices]
        row = initial.new_empty(initial.shape[1], sum(widths))
        before = [states[source].unbind(0) for source in self.kernel.sources]
        steps = list(zip(make_products(matrices, initial.shape[2], dropout), before, row.split(widths, dim=1), strict=True))
        arrays = [_array(tensor) for tensor in (projected, row, states, saved, weights)]
        shares = _array(zoneout) if zoneout.numel() else None
        for t in range(len(projected)):
            for product, state, part in steps:
                product.write(state[t], part)
            if len(products):
                products[t] = row
            self.kernel.forward(t, *arrays)
            if shares is not None:  # a share of each state stays as it was (Krueger et al. 2017)
                arrays[2][:, t + 1] += shares[:, t] * (arrays[2][:, t] - arrays[2][:, t + 1])
        return states, saved, products

    def _backward(
        self, d_states: Tensor, projected: Tensor, matrices: Sequence[Tensor], weights: Tensor, zoneout: Tensor, dropout: Tensor,
        states: Tensor, saved: Tensor, products: Tensor,
    ) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:  # fmt: skip
        frames, hidden, sources = len(projected), states.shape[3], self.kernel.sources
        d_projected, d_weights = torch.empty_like(projected), torch.zeros_like(weights)
        d_products = d_projected if self.kernel.same_gradient else torch.empty_like(products)
        after, before = d_states[:, frames].clone(), torch.zeros_like(d_states[:, 0])
        multipliers = make_products(matrices, hidden, dropout)
        d_parts = d_products.split([product_width(matrix, hidden) for matrix in matrices], dim=2)
        steps = [(product, part.unbind(0), before[source]) for product, part, source in zip(multipliers, d_parts, sources, strict=True)]
        arrays = [_array(tensor) for tensor in (projected, products, states, saved, weights)]
        gradients = [_array(tensor) for tensor in (after, before, d_projected, d_products, d_weights)]
        upstream = d_states.transpose(0, 1).unbind(0)
        shares = _array(zoneout) if zoneout.numel() else None
        for t in reversed(range(frames)):
            if shares is not None:
                stayed = shares[:, t] * gradients[0]
                gradients[0] -= stayed
            self.kernel.backward(t, *arrays, *gradients)
            for product, d_part, to in steps:
                product.go_back(d_part[t], to)
            if shares is not None:
                gradients[1] += stayed
            torch.add(before, upstream[t], out=after)
        d_matrices = [product.weight_gradient(part, states[source, :-1]) for product, part, source in zip(multipliers, d_parts, sources, strict=True)]
        return d_projected, d_matrices, d_weights, after

    def _go_back(self, ctx: Any, d_states: Tensor, *_: Tensor | None) -> tuple[Any, ...]:
        projected, weights, zoneout, dropout, states, saved, products, *matrices = ctx.saved_tensors
        return *self._operator_back(d_states, projected, matrices, weights, zoneout, dropout, states, saved, products), None, None, None


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    projected, matrices, weights, _, zoneout, dropout, _ = inputs
    ctx.save_for_backward(projected, weights, zoneout, dropout, *output, *matrices)


def _prepare(projected: Tensor, matrices: list[Tensor], weights: Tensor, state: States, settings: CellSettings, training: bool) -> tuple[Any, ...]:
    """The arguments of a call, with zoneout and dropout drawn."""
    dtype, device = weights.dtype, projected.device.type
    if torch.is_autocast_enabled(device):
        matrices = [matrix.to(torch.get_autocast_dtype(device)) if matrix.ndim == 2 else matrix for matrix in matrices]
    initial = torch.stack([tensor.to(dtype) for tensor in state])
    count, batch, hidden = initial.shape
    zoneout = dropout = initial.new_empty(0)
    if settings.zoneout:  # its expectation outside of training
        zoneout = initial.new_full((count, len(projected), batch, hidden), settings.zoneout)
        zoneout = torch.bernoulli(zoneout) if training else zoneout
    if settings.recurrent_dropout and training:
        kept = initial.new_full((batch, hidden), 1 - settings.recurrent_dropout)
        dropout = torch.bernoulli(kept) / kept
    return projected.to(dtype).contiguous(), matrices, weights, initial, zoneout, dropout


def _array(tensor: Tensor) -> Any:
    return tensor.detach().numpy()
