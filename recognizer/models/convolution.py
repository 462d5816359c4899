"""One strided convolution over time and frequency (or a line's columns and rows) that never looks into padding."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.models.masked_norm import MaskedBatchNorm
from recognizer.models.masking import valid_frames

Length = TypeVar("Length", int, Tensor)


def strided(length: Length, stride: int) -> Length:
    """How many outputs a convolution with "same" padding has: the length over the stride, rounded up."""
    return (length + stride - 1) // stride


class MaskedConvolution(nn.Module):
    """Convolution, normalisation and rectifier; padded frames come out as zero.

    Args:
        inputs, outputs: channels.
        kernel: odd size over (frequency, time).
        strides: over (frequency, time).
        dropout: probability of dropping a whole channel.
        rank: filters that each channel is a weighted sum of (Zhang et al. 2016, arXiv 1505.06798, section 2.1); 0: each has one of its own.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], strides: tuple[int, int], dropout: float = 0.0, rank: int = 0
    ) -> None:  # fmt: skip
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.convolution = nn.Conv2d(inputs, rank or outputs, kernel, strides, padding, bias=False)
        self.mixing = nn.Conv2d(rank, outputs, 1, bias=False) if rank else None
        self.norm = MaskedBatchNorm(outputs)
        self.dropout = nn.Dropout2d(dropout)
        self.strides = strides

    def forward(self, maps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, F, T), zero beyond lengths (B,) -> (B, C', F', T'), zero beyond the lengths returned with it."""
        lengths = strided(lengths, self.strides[1])
        maps = self._convolve(maps) if self.training else self._convolve_and_norm(maps)
        mask = valid_frames(lengths, maps.shape[3])[:, None, None, :].to(maps.dtype)
        if self.training:
            # masked twice, because the statistics must not see what the kernel dragged into the padding
            maps = self.norm(maps.mul_(mask), lengths)
        # in place, where no gradient needs what was there: a product of its own takes eight times as long
        return self.dropout(functional.relu(maps.mul_(mask), inplace=True)), lengths

    def _convolve(self, maps: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """Without its normalisation, or with what it comes down to, (C',) each."""
        first, last = self.convolution, self.mixing
        if last is not None:
            return _convolve(_convolve(maps, first, first.weight), last, _scaled(last.weight, scale), shift)
        return _convolve(maps, first, _scaled(first.weight, scale), shift)

    def _convolve_and_norm(self, maps: Tensor) -> Tensor:
        """Both in one, where statistics are fixed: passes over the maps take as long as the convolution itself."""
        return self._convolve(maps, *self.norm.affine(self.norm.mean, self.norm.variance))


def _scaled(kernels: Tensor, scale: Tensor | None) -> Tensor:
    return kernels if scale is None else kernels * scale[:, None, None, None]


def _convolve(maps: Tensor, layer: nn.Conv2d, kernels: Tensor, shift: Tensor | None = None) -> Tensor:
    if maps.shape[1] == 1 and maps.device.type == "cpu":
        # oneDNN takes six times as long for one channel as for two, and gives maps that the next layer has to turn round
        maps, kernels = (functional.pad(t, (0, 0, 0, 0, 0, 1)).contiguous(memory_format=torch.channels_last) for t in (maps, kernels))
    return functional.conv2d(maps, kernels, shift, layer.stride, layer.padding)  # type: ignore[arg-type]
