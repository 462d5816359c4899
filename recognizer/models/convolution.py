"""One strided convolution over time and frequency (or a line's columns and rows) that never looks into padding."""

from __future__ import annotations

from typing import TypeVar

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
    """

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], strides: tuple[int, int], dropout: float = 0.0) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.convolution = nn.Conv2d(inputs, outputs, kernel, strides, padding, bias=False)
        self.norm = MaskedBatchNorm(outputs)
        self.dropout = nn.Dropout2d(dropout)
        self.strides = strides

    def forward(self, maps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, F, T), zero beyond lengths (B,) -> (B, C', F', T'), zero beyond the lengths returned with it."""
        lengths = strided(lengths, self.strides[1])
        maps = self.convolution(maps) if self.training else self._convolve_and_norm(maps)
        mask = valid_frames(lengths, maps.shape[3])[:, None, None, :].to(maps.dtype)
        if self.training:
            # masked twice, because the statistics must not see what the kernel dragged into the padding
            maps = self.norm(maps * mask, lengths)
        return self.dropout(functional.relu(maps, inplace=True) * mask), lengths

    def _convolve_and_norm(self, maps: Tensor) -> Tensor:
        """Both in one, where statistics are fixed: passes over the maps take as long as the convolution itself."""
        scale, shift = self.norm.affine(self.norm.mean, self.norm.variance)
        kernels = self.convolution.weight * scale[:, None, None, None]
        return functional.conv2d(maps, kernels, shift, self.convolution.stride, self.convolution.padding)
