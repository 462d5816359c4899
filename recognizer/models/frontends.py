"""Front-ends: what stands between the features and the recurrent layers and decides how many frames these see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import LineCnn, SpeechCnn, Stack
from recognizer.models.batch_share import draw, sum_over_batch
from recognizer.models.masking import valid_frames

Length = TypeVar("Length", int, Tensor)


def strided(length: Length, stride: int) -> Length:
    """How many outputs a convolution with "same" padding has: the length over the stride, rounded up."""
    return (length + stride - 1) // stride


class Frontend(nn.Module):
    """Maps feature frames (B, T, D), zero beyond lengths (B,), to frames (B, T', C), zero beyond lengths (B,).

    Attributes:
        stride: feature frames that one frame stands for.
        dim: C.
    """

    def __init__(self, time_strides: Sequence[int], dim: int) -> None:
        super().__init__()
        self.time_strides, self.stride, self.dim = tuple(time_strides), math.prod(time_strides), dim

    def frames(self, features: Length) -> Length:
        """Frames that come out for so many feature frames."""
        for stride in self.time_strides:
            features = strided(features, stride)
        return features

    @property
    def reach(self) -> tuple[int, int]:
        """Feature frames that frame ``n`` depends on before and behind number ``n * stride``; not to be had of one that reads all of them."""
        raise NotImplementedError


class Identity(Frontend):
    """No front-end: frames go through unchanged."""

    def __init__(self, inputs: int) -> None:
        super().__init__((), inputs)

    @property
    def reach(self) -> tuple[int, int]:
        """None: a frame is itself."""
        return 0, 0

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) and lengths, unchanged."""
        return features, lengths


class FrameStack(Frontend):
    """Frames ``n*i .. n*i + n-1`` become frame ``i`` (Sak et al. 2015); the last one is filled up with zeros."""

    def __init__(self, config: Stack, inputs: int) -> None:
        super().__init__(config.strides, inputs * config.frames)

    @property
    def reach(self) -> tuple[int, int]:
        """The frames that are joined."""
        return 0, self.stride - 1

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D), zero beyond lengths (B,) -> (B, ceil(T/n), n*D) with lengths (B,)."""
        missing = -features.shape[1] % self.stride
        return functional.pad(features, (0, 0, 0, missing)).reshape(len(features), -1, self.dim), self.frames(lengths)


class MaskedBatchNorm(nn.Module):
    """Batch normalization (Ioffe & Szegedy 2015) over (B, C, F, T) maps that are zero in padded frames.

    ``nn.BatchNorm2d`` counts padding as data, so that its statistics depend on how a batch was put together. Here the
    sums run over real frames only. Statistics are float32 whatever the precision of the maps.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        self.momentum = momentum
        self.epsilon = epsilon

    def forward(self, maps: Tensor, lengths: Tensor) -> Tensor:
        """(B, C, F, T), zero beyond lengths (B,) -> same shape; padded frames are *not* zero any more."""
        mean, variance = self._measure(maps, lengths) if self.training else (self.mean, self.variance)
        scale, shift = self.affine(mean, variance)
        return maps * scale.to(maps.dtype)[:, None, None] + shift.to(maps.dtype)[:, None, None]

    def affine(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """The factor and the summand (C,) of each channel that normalization by these statistics comes down to."""
        scale = self.weight * torch.rsqrt(variance + self.epsilon)
        return scale, self.bias - mean * scale

    def _measure(self, maps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        exact, channels = maps.float(), maps.shape[1]
        count = (lengths.sum() * maps.shape[2]).to(exact)
        sums = sum_over_batch(torch.cat([exact.sum((0, 2, 3)), (exact * exact).sum((0, 2, 3)), count[None]]))
        mean = sums[:channels] / sums[-1]
        variance = (sums[channels:-1] / sums[-1] - mean * mean).clamp_min(0)
        with torch.no_grad():
            self.mean.lerp_(mean, self.momentum)
            self.variance.lerp_(variance, self.momentum)
        return mean, variance


class ChannelDropout(nn.Module):
    """Dropout of whole channels of (B, C, F, T) maps (Tompson et al. 2015)."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, F, T) -> same shape; the identity in evaluation mode."""
        if not self.training or self.probability == 0:
            return maps
        kept = draw(*maps.shape[:2], device=maps.device) >= self.probability
        return maps * (kept / (1 - self.probability)).to(maps.dtype)[:, :, None, None]


class MaskedConvolution(nn.Module):
    """Convolution, normalization and rectifier; padded frames come out as zero.

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
        self.dropout = ChannelDropout(dropout)
        self.strides = strides

    def forward(self, maps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, F, T), zero beyond lengths (B,) -> (B, C', F', T'), zero beyond the lengths returned with it."""
        lengths = strided(lengths, self.strides[1])
        kernels, shift = self.convolution.weight, None
        if not self.training:  # statistics are fixed: both in one, since passes over the maps take as long as the convolution itself
            scale, shift = self.norm.affine(self.norm.mean, self.norm.variance)
            kernels = kernels * scale[:, None, None, None]
        if maps.shape[1] == 1 and maps.device.type == "cpu":
            # oneDNN takes six times as long for one channel as for two, and gives maps that the next layer has to turn round
            maps, kernels = (functional.pad(t, (0, 0, 0, 0, 0, 1)).contiguous(memory_format=torch.channels_last) for t in (maps, kernels))
        maps = functional.conv2d(maps, kernels, shift, self.strides, self.convolution.padding)
        mask = valid_frames(lengths, maps.shape[3])[:, None, None, :].to(maps.dtype)
        if self.training:
            # masked twice, because the statistics must not see what the kernel dragged into the padding
            maps = self.norm(maps.mul_(mask), lengths)
        # in place, where no gradient needs what was there: a product of its own takes eight times as long
        return self.dropout(functional.relu(maps.mul_(mask), inplace=True)), lengths


class ConvolutionFrontend(Frontend):
    """3 x 3 convolutions over maps of one channel whose columns are frames."""

    def __init__(self, channels: Sequence[int], strides: Sequence[int], time_strides: Sequence[int], dropout: float, dim: int) -> None:
        super().__init__(time_strides, dim)
        sizes = zip(pairwise((1, *channels)), zip(strides, time_strides, strict=True), strict=True)
        self.layers = nn.ModuleList(
            MaskedConvolution(inputs, outputs, (3, 3), stride, dropout if inputs > 1 else 0.0) for (inputs, outputs), stride in sizes
        )

    @property
    def reach(self) -> tuple[int, int]:
        """One frame on either side of each convolution, counted in frames of what it reads."""
        side = sum(math.prod(self.time_strides[:number]) for number in range(len(self.time_strides)))
        return side, side

    def _to_maps(self, features: Tensor) -> Tensor:
        """(B, T, D) to (B, 1, D, T)."""
        return features.transpose(1, 2)[:, None].contiguous(memory_format=torch.channels_last)


class LineConvolutions(ConvolutionFrontend):
    """3 x 3 convolutions, then the maximum over each column's rows, as in Retsinas et al. 2022 (section 3.2).

    Taking the maximum in place of joining all rows makes the frame small and forgives vertical shifts of the writing. With
    ``residual``, a convolution that leaves the shape as it is adds to what it reads (He et al. 2016, arXiv 1512.03385), so that a deep stack learns.
    """

    def __init__(self, config: LineCnn) -> None:
        super().__init__(config.channels, config.height_strides, config.strides, config.dropout, config.channels[-1])
        strides = zip(config.height_strides, config.time_strides, strict=True)
        same = [a == b and stride == (1, 1) for (a, b), stride in zip(pairwise((1, *config.channels)), strides, strict=True)]
        self.adds = [config.residual and keeps_shape for keeps_shape in same]

    def forward(self, columns: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Pixel columns (B, W, H) with widths (B,) -> frames (B, T, C) with lengths (B,)."""
        maps = self._to_maps(columns)
        for layer, adds in zip(self.layers, self.adds, strict=True):
            below = maps
            maps, lengths = layer(below, lengths)
            maps = maps + below if adds else maps
        return maps.amax(dim=2).transpose(1, 2), lengths


class SpeechConvolutions(ConvolutionFrontend):
    """3 x 3 convolutions over time and frequency, then one linear map of all channels and bands to a frame (Amodei et al. 2016).

    Args:
        config: sizes and strides.
        inputs: size D of a feature frame.
    """

    def __init__(self, config: SpeechCnn, inputs: int) -> None:
        super().__init__(config.channels, config.frequency_strides, config.strides, config.dropout, config.output)
        bands = inputs
        for stride in config.frequency_strides:
            bands = strided(bands, stride)
        self.projection = nn.Linear(config.channels[-1] * bands, config.output)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Feature frames (B, T, D) with lengths (B,) -> (B, T', C) with lengths (B,)."""
        maps = self._to_maps(features)
        for layer in self.layers:
            maps, lengths = layer(maps, lengths)
        frames = self.projection(maps.permute(0, 3, 2, 1).flatten(2))  # (B, T', C)
        return frames * valid_frames(lengths, frames.shape[1])[:, :, None], lengths
