"""Two-dimensional LSTM layers over a line image: the offline recogniser that won the ICDAR 2009 competitions, up to its output layer."""

from __future__ import annotations

from itertools import accumulate
from operator import mul

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import MdLstmFrontend
from recognizer.models.convolution import Length, strided
from recognizer.models.mdlstm import DIRECTIONS, MdLstm


class MdLstmEncoder(nn.Module):
    """Blocks, multidimensional LSTM layers and a collapse to one dimension (Graves & Schmidhuber 2008, section 3).

    Pixels are gathered in blocks, which the first layer scans in four directions. The outputs of all directions are gathered in
    blocks in turn and mapped to a few tanh units, which the next layer scans, and so on. The outputs of the last layer are summed
    over each column, one frame a column, and every direction has weights of its own in the output layer that follows.
    """

    def __init__(self, config: MdLstmFrontend) -> None:
        super().__init__()
        self.blocks = list(zip(config.block_heights, config.block_widths, strict=True))
        areas = [height * width for height, width in self.blocks]
        self.scans = nn.ModuleList(
            MdLstm(inputs, hidden, config.stable) for inputs, hidden in zip((areas[0], *config.units), config.hidden, strict=True)
        )
        sizes = [DIRECTIONS * hidden for hidden in config.hidden]
        self.units = nn.ModuleList(nn.Linear(area * size, units) for area, size, units in zip(areas[1:], sizes[:-1], config.units, strict=True))
        self.dropout = nn.Dropout(config.dropout)
        self.strides = list(accumulate(config.block_widths, mul))  # pixel columns that a column of each layer stands for
        self.stride = self.strides[-1]
        self.dim = sizes[-1]

    def frames(self, columns: Length) -> Length:
        """Frames that come out for so many pixel columns."""
        for _, width in self.blocks:
            columns = strided(columns, width)
        return columns

    def forward(self, columns: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Pixel columns (B, W, H), zero beyond widths (B,) -> frames (B, T, 4 * cells), zero beyond lengths (B,)."""
        maps, lengths = self._gather(columns.transpose(1, 2)[..., None], lengths, 0)
        maps = self.scans[0](maps, lengths)
        for level, (units, scan) in enumerate(zip(self.units, self.scans[1:], strict=True), start=1):
            maps, lengths = self._gather(self.dropout(maps), lengths, level)
            maps = scan(torch.tanh(units(maps)), lengths)
        return maps.sum(1), lengths

    def _gather(self, maps: Tensor, lengths: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Maps (B, R, W, C) to blocks (B, R', W', height * width * C), those at the lower and right edge filled up with zeros."""
        height, width = self.blocks[level]
        maps = functional.pad(maps, (0, 0, 0, -maps.shape[2] % width, 0, -maps.shape[1] % height))
        return maps.unflatten(1, (-1, height)).unflatten(3, (-1, width)).transpose(2, 3).flatten(3), strided(lengths, width)
