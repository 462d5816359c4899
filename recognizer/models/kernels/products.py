"""What a cell multiplies its state with in every frame: a matrix, or kernels that are convolved over positions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional, grad


class MatrixProduct:
    """Products of states (B, H) with a matrix (R, H), forward and back; a bfloat16 matrix is multiplied in that precision.

    Args:
        weight: (R, H).
        hidden: H.
        dropout: factors (B, H) of the states before they are multiplied, or (0,) for none.
    """

    def __init__(self, weight: Tensor, hidden: int, dropout: Tensor) -> None:
        self.weight, self.dropout = weight, dropout
        self._transposed = weight.t()

    def write(self, state: Tensor, out: Tensor) -> None:
        """Write the product of a state (B, H) to (B, R), which may be columns of a wider tensor."""
        state = _drop(state, self.dropout)
        if self.weight.dtype == out.dtype:
            torch.mm(state, self._transposed, out=out)
        else:
            out.copy_(state.to(self.weight.dtype) @ self._transposed)

    def go_back(self, gradient: Tensor, to: Tensor) -> None:
        """Add to a state's gradient (B, H) what that of its product (B, R) makes of it."""
        if self.dropout.numel() or self.weight.dtype != gradient.dtype:
            to += _drop(gradient.to(self.weight.dtype) @ self.weight, self.dropout)
        else:
            to.addmm_(gradient, self.weight)

    def weight_gradient(self, gradients: Tensor, states: Tensor) -> Tensor:
        """From the gradients of the products (T, B, R) and the states (T, B, H)."""
        flat = _drop(states, self.dropout).flatten(0, 1).to(self.weight.dtype)
        return gradients.flatten(0, 1).to(self.weight.dtype).t() @ flat

    def plain(self, state: Tensor) -> Tensor:
        """The product (B, R) in operations that autograd knows."""
        return _drop(state, self.dropout).to(self.weight.dtype) @ self._transposed


class ConvolutionProduct:
    """The same for kernels (C', C, K), K odd: a state holds channel after channel, each with all its P positions, and so does the product.

    H is C P and R is C' P. A convolution is one matrix product of its kernels with the windows of all maps, copied side by side: at
    these sizes up to twice as fast as the convolutions of torch.
    """

    def __init__(self, weight: Tensor, hidden: int, dropout: Tensor) -> None:
        self.weight, self.dropout = weight, dropout
        self.positions = hidden // weight.shape[1]
        self._kernels, self._flipped = weight.flatten(1), weight.flip(2).transpose(0, 1).flatten(1)  # (C', C K), (C, C' K)
        self._windows: dict[int, tuple[Tensor, Tensor, Tensor]] = {}  # of so many channels: maps, their windows, room for a product

    def write(self, state: Tensor, out: Tensor) -> None:
        """As of :class:`MatrixProduct`."""
        self._maps(out).copy_(self._convolve(self._kernels, _drop(state, self.dropout)))

    def go_back(self, gradient: Tensor, to: Tensor) -> None:
        """As of :class:`MatrixProduct`: a convolution with the kernels turned round."""
        to += _drop(self._convolve(self._flipped, gradient).flatten(1), self.dropout)

    def weight_gradient(self, gradients: Tensor, states: Tensor) -> Tensor:
        """As of :class:`MatrixProduct`."""
        maps, d_maps = self._maps(_drop(states, self.dropout).flatten(0, 1)), self._maps(gradients.flatten(0, 1))
        d_weight: Tensor = grad.conv1d_weight(maps, self.weight.shape, d_maps, padding=self.weight.shape[2] // 2)
        return d_weight

    def plain(self, state: Tensor) -> Tensor:
        """As of :class:`MatrixProduct`."""
        return functional.conv1d(self._maps(_drop(state, self.dropout)), self.weight, padding=self.weight.shape[2] // 2).flatten(1)

    def _maps(self, flat: Tensor) -> Tensor:
        return flat.view(len(flat), -1, self.positions)

    def _convolve(self, kernels: Tensor, flat: Tensor) -> Tensor:
        """(O, I K) over maps (B, I P) to (B, O, P), zero beyond the ends."""
        channels, size, batch = flat.shape[1] // self.positions, self.weight.shape[2], len(flat)
        if channels not in self._windows:
            width = self.positions + size - 1
            padded = flat.new_zeros(batch, channels, width)
            windows = padded.as_strided((channels, size, batch, self.positions), (width, 1, channels * width, 1))
            self._windows[channels] = padded.narrow(2, size // 2, self.positions), windows, flat.new_empty(len(kernels), batch * self.positions)
        maps, windows, out = self._windows[channels]
        maps.copy_(self._maps(flat))
        torch.mm(kernels, windows.reshape(channels * size, -1), out=out)
        return out.view(-1, batch, self.positions).transpose(0, 1)


def make_products(weights: Sequence[Tensor], hidden: int, dropout: Tensor) -> list[MatrixProduct | ConvolutionProduct]:
    """One for each weight: a matrix has two axes, kernels have three."""
    return [(MatrixProduct if weight.ndim == 2 else ConvolutionProduct)(weight, hidden, dropout) for weight in weights]


def product_width(weight: Tensor, hidden: int) -> int:
    """R, the size of the product of a matrix or of kernels with a state of H entries."""
    return len(weight) if weight.ndim == 2 else len(weight) * hidden // weight.shape[1]


def _drop(states: Tensor, dropout: Tensor) -> Tensor:
    return states * dropout if dropout.numel() else states
