"""Convolutional front-end for line images."""

from __future__ import annotations

import math
from itertools import pairwise, repeat

import torch
from torch import Tensor, nn

from recognizer.config import LineCnn
from recognizer.models.convolution import Length, MaskedConvolution, strided


class LineConvolutions(nn.Module):
    """3 x 3 convolutions, then the maximum over each column's rows, as in Retsinas et al. 2022 (section 3.2).

    Taking the maximum in place of joining all rows makes the frame small and forgives vertical shifts of the writing. With
    ``residual``, a convolution that leaves the shape as it is adds to what it reads (He et al. 2016, arXiv 1512.03385), so that a deep stack learns.
    """

    def __init__(self, config: LineCnn) -> None:
        super().__init__()
        sizes = list(pairwise((1, *config.channels)))
        strides = list(zip(config.height_strides, config.time_strides, strict=True))
        self.layers = nn.ModuleList(
            MaskedConvolution(inputs, outputs, (3, 3), stride, config.dropout if inputs > 1 else 0.0, rank)
            for (inputs, outputs), stride, rank in zip(sizes, strides, config.ranks or repeat(0, len(config.channels)), strict=True)
        )
        self.adds = [config.residual and inputs == outputs and stride == (1, 1) for (inputs, outputs), stride in zip(sizes, strides, strict=True)]
        self.time_strides = config.time_strides
        self.stride = math.prod(config.time_strides)
        self.dim = config.channels[-1]

    def frames(self, columns: Length) -> Length:
        """Frames that come out for so many pixel columns."""
        for stride in self.time_strides:
            columns = strided(columns, stride)
        return columns

    def forward(self, columns: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Pixel columns (B, W, H) with widths (B,) -> frames (B, T, C) with lengths (B,)."""
        maps = columns.transpose(1, 2)[:, None].contiguous(memory_format=torch.channels_last)  # (B, 1, H, W)
        for layer, adds in zip(self.layers, self.adds, strict=True):
            below = maps
            maps, lengths = layer(below, lengths)
            maps = maps + below if adds else maps
        return maps.amax(dim=2).transpose(1, 2), lengths
