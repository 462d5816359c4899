"""Noise on weights while a gradient is taken, and the running average of weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def weight_noise(network: nn.Module, deviation: float) -> Iterator[None]:
    """Add Gaussian noise to every trained weight within the block, and restore the weights exactly after it (Graves 2011; 2013, section 4).

    The gradient is that of the noisy weights, the update goes to the clean ones.
    """
    if deviation == 0:
        yield
        return
    parameters = [p for p in network.parameters() if p.requires_grad]
    clean = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(torch.randn_like(parameter), alpha=deviation)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, before in zip(parameters, clean, strict=True):
                parameter.copy_(before)


class ExponentialMovingAverage:
    """Exponential average of all weights and buffers (Polyak & Juditsky 1992).

    The decay starts lower, so that the first weights do not dominate the average: after n steps it is at most (1 + n) / (10 + n).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors: dict[str, Tensor] = {name: t.detach().clone() for name, t in network.state_dict().items()}

    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after optimizer step number ``step`` (from 0)."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                self.tensors[name].lerp_(tensor, share)
            else:
                self.tensors[name].copy_(tensor)

    @contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        """Let the network compute with the averaged weights within the block."""
        own = {name: t.detach().clone() for name, t in network.state_dict().items()}
        network.load_state_dict(self.tensors)
        try:
            yield
        finally:
            network.load_state_dict(own)
