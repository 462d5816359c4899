"""Convolutional front-end for spectral features."""

from __future__ import annotations

import math
from itertools import pairwise, repeat

import torch
from torch import Tensor, nn

from recognizer.config import SpeechCnn
from recognizer.models.convolution import Length, MaskedConvolution, strided
from recognizer.models.masking import valid_frames


class SpeechConvolutions(nn.Module):
    """3 x 3 convolutions over time and frequency, then one linear map of all channels and bands to a frame.

    Args:
        config: sizes and strides.
        inputs: size D of a feature frame.
    """

    def __init__(self, config: SpeechCnn, inputs: int) -> None:
        super().__init__()
        sizes = pairwise((1, *config.channels))
        strides = list(zip(config.frequency_strides, config.time_strides, strict=True))
        self.layers = nn.ModuleList(
            MaskedConvolution(channels, outputs, (3, 3), stride, config.dropout if channels > 1 else 0.0, rank)
            for (channels, outputs), stride, rank in zip(sizes, strides, config.ranks or repeat(0, len(config.channels)), strict=True)
        )
        bands = inputs
        for stride in config.frequency_strides:
            bands = strided(bands, stride)
        self.projection = nn.Linear(config.channels[-1] * bands, config.output)
        self.time_strides = config.time_strides
        self.stride = math.prod(config.time_strides)
        self.dim = config.output

    def frames(self, features: Length) -> Length:
        """Frames that come out for so many feature frames."""
        for stride in self.time_strides:
            features = strided(features, stride)
        return features

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Feature frames (B, T, D) with lengths (B,) -> (B, T', C) with lengths (B,)."""
        maps = features.transpose(1, 2)[:, None].contiguous(memory_format=torch.channels_last)  # (B, 1, D, T)
        for layer in self.layers:
            maps, lengths = layer(maps, lengths)
        frames = self.projection(maps.permute(0, 3, 2, 1).flatten(2))  # (B, T', C)
        return frames * valid_frames(lengths, frames.shape[1])[:, :, None], lengths
