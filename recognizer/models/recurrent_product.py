"""What a recurrence multiplies its state with in every frame: a matrix, or kernels that are convolved over positions.

An object goes one way, forward or back: its buffers are those of the way that it went first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional, grad


class Dense:
    """Products of states (B, H) with a matrix (R, H), and back; a bfloat16 matrix is multiplied in that precision.

    Args:
        weight: (R, H).
        hidden: H.
        factors: of the states before they are multiplied, (B, H), or (0,) for none.
    """

    def __init__(self, weight: Tensor, hidden: int, factors: Tensor) -> None:
        self.weight, self.factors = weight, factors
        self._turned = weight.t()

    def write_to(self, out: Tensor) -> None:
        """Where :meth:`multiply` is to put its results: (B, R), columns of a wider array perhaps."""
        low = self.weight.dtype != out.dtype
        self._out, self._direct = out, not low and out.is_contiguous()
        self._buffer = out if self._direct else torch.empty(out.shape, dtype=self.weight.dtype)
        self._state = torch.empty(out.shape[0], self.weight.shape[1], dtype=self.weight.dtype) if low or self.factors.numel() else None

    def multiply(self, state: Tensor) -> None:
        """Of a state (B, H)."""
        if self._state is not None:
            state = self._state.copy_(state * self.factors if self.factors.numel() else state)
        torch.mm(state, self._turned, out=self._buffer)
        if not self._direct:
            self._out.copy_(self._buffer)

    def go_back(self, gradient: Tensor, to: Tensor) -> None:
        """Add to a state's gradient (B, H) what that of its product (B, R) makes of it."""
        if self.factors.numel():
            to += (gradient.to(self.weight.dtype) @ self.weight) * self.factors
        elif self.weight.dtype != gradient.dtype:
            to += gradient.to(self.weight.dtype) @ self.weight
        else:
            to.addmm_(gradient, self.weight)

    def learn(self, gradients: Tensor, states: Tensor) -> Tensor:
        """The weight's gradient, from those of the products (T, B, R) and the states (T, B, H)."""
        flat = _scaled(states, self.factors).flatten(0, 1).to(self.weight.dtype)
        return gradients.flatten(0, 1).to(self.weight.dtype).t() @ flat

    def plain(self, state: Tensor) -> Tensor:
        """As :meth:`multiply`, in operations that autograd knows."""
        return _scaled(state, self.factors).to(self.weight.dtype) @ self._turned


class Convolved:
    """The same for kernels: a state holds channel after channel, each with all its P positions, and so does the product.

    A convolution is here one product of its kernels with the windows of all maps, copied side by side.

    Args:
        weight: (C', C, K) with K odd; R is C' P.
        hidden: H = C P.
        factors: as of :class:`Dense`.
    """

    def __init__(self, weight: Tensor, hidden: int, factors: Tensor) -> None:
        self.weight, self.factors = weight, factors
        self.outputs, self.channels, self.size = weight.shape
        self.positions = hidden // self.channels
        self._windows: _Windows | None = None
        self._turned: Tensor | None = None

    def write_to(self, out: Tensor) -> None:
        """As of :class:`Dense`; (B, R) is contiguous."""
        self._out = self._maps(out, self.outputs).transpose(0, 1)  # (C', B, P)
        self._kernels = self.weight.flatten(1)
        self._buffer = out.new_empty(self.outputs, len(out) * self.positions)

    def multiply(self, state: Tensor) -> None:
        """Of a state (B, H)."""
        torch.mm(self._kernels, self._cut(self._maps(_scaled(state, self.factors), self.channels)), out=self._buffer)
        self._out.copy_(self._buffer.view(self._out.shape))

    def go_back(self, gradient: Tensor, to: Tensor) -> None:
        """As of :class:`Dense`: a convolution with the kernels turned round."""
        if self._turned is None:
            self._turned = self.weight.flip(2).transpose(0, 1).flatten(1)  # (C, C' K)
        maps = self._turned @ self._cut(self._maps(gradient, self.outputs))
        states = maps.view(self.channels, len(to), self.positions).transpose(0, 1)
        self._maps(to, self.channels).add_(_scaled(states, self._maps(self.factors, self.channels)) if self.factors.numel() else states)

    def learn(self, gradients: Tensor, states: Tensor) -> Tensor:
        """The kernels' gradient, from those of the products (T, B, R) and the states (T, B, H)."""
        maps = self._maps(_scaled(states, self.factors).flatten(0, 1), self.channels)
        return grad.conv1d_weight(maps, self.weight.shape, self._maps(gradients.flatten(0, 1), self.outputs), padding=self.size // 2)

    def plain(self, state: Tensor) -> Tensor:
        """As :meth:`multiply`, in operations that autograd knows."""
        maps = self._maps(_scaled(state, self.factors), self.channels)
        return functional.conv1d(maps, self.weight, padding=self.size // 2).flatten(1)

    def _maps(self, flat: Tensor, channels: int) -> Tensor:
        return flat.view(len(flat), channels, self.positions)

    def _cut(self, maps: Tensor) -> Tensor:
        if self._windows is None:
            self._windows = _Windows(maps, self.size)
        return self._windows.of(maps)


class _Windows:
    """Maps (B, C, P) to their windows (C K, B P): row (c, k) holds channel c of all, shifted by k - (K - 1) / 2, zero beyond the ends."""

    def __init__(self, maps: Tensor, size: int) -> None:
        batch, channels, positions = maps.shape
        width = positions + size - 1
        self.padded = maps.new_zeros(batch, channels, width)
        self.inner = self.padded.narrow(2, size // 2, positions)
        self.shifted = self.padded.as_strided((channels, size, batch, positions), (width, 1, channels * width, 1))
        self.buffer = maps.new_empty(channels, size, batch, positions)

    def of(self, maps: Tensor) -> Tensor:
        """Overwritten by the next call."""
        self.inner.copy_(maps)
        return self.buffer.copy_(self.shifted).view(self.shifted.shape[0] * self.shifted.shape[1], -1)


def make_products(weights: Sequence[Tensor], hidden: int, factors: Tensor) -> list[Dense | Convolved]:
    """One for each weight: a matrix has two axes, kernels have three."""
    return [(Dense if weight.ndim == 2 else Convolved)(weight, hidden, factors) for weight in weights]


def product_width(weight: Tensor, hidden: int) -> int:
    """R, the size of the product of a matrix or of kernels with a state of H entries."""
    return len(weight) if weight.ndim == 2 else len(weight) * hidden // weight.shape[1]


def _scaled(states: Tensor, factors: Tensor) -> Tensor:
    return states * factors if factors.numel() else states
