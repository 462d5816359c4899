"""Two networks that hear or see the same input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recognizer.errors import ConfigError
from recognizer.models.convolution import Length
from recognizer.models.network import Network


class NetworkPair(nn.Module):
    """Runs two networks side by side and puts their log-probs into one table, frame by frame.

    Args:
        first: its columns, V1, come first.
        second: of the same features; V2 columns.

    Raises:
        ConfigError: their frames are not of the same length.
    """

    def __init__(self, first: Network, second: Network) -> None:
        super().__init__()
        if first.stride != second.stride:
            raise ConfigError(f"decoder.second: its frames are {second.stride} features long, those of the recogniser itself {first.stride}")
        self.first, self.second = first, second
        self.features = first.features

    @property
    def stride(self) -> int:
        """As of :class:`~recognizer.models.network.Network`."""
        return self.first.stride

    @property
    def columns(self) -> int:
        """V1 + V2."""
        return self.first.columns + self.second.columns

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.first.device

    def frames(self, features: Length) -> Length:
        """As of :class:`~recognizer.models.network.Network`."""
        return self.first.frames(features)

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs as of one network -> log-probs (B, T, V1 + V2), lengths (B,); in each frame both parts sum to one."""
        log_probs, frames = self.first(inputs, lengths)
        return torch.cat([log_probs, self.second(inputs, lengths)[0]], dim=2), frames
