"""The whole network: features, front-end, stacked bidirectional LSTM and CTC output layer."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recognizer.config import AudioFeatures, Features, LineCnn, LineFeatures, MdLstmFrontend, RecipeConfig, SpeechCnn, Stack
from recognizer.features.columns import LineColumns
from recognizer.features.spectral import SpectralFeatures
from recognizer.features.stroke_points import StrokePoints
from recognizer.models.convolution import Length
from recognizer.models.frame_stack import FrameStack
from recognizer.models.line_cnn import LineConvolutions
from recognizer.models.mdlstm_encoder import MdLstmEncoder
from recognizer.models.recurrent import RecurrentStack
from recognizer.models.speech_cnn import SpeechConvolutions


class Identity(nn.Module):
    """No front-end: frames go through unchanged."""

    stride = 1

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.dim = inputs

    def frames(self, features: Length) -> Length:
        """As many as come in."""
        return features

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) and lengths, unchanged."""
        return features, lengths


class NoLayers(nn.Module):
    """No recurrent layers, where the front-end is an encoder of its own."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.dim = inputs

    def read(self, frames: Tensor, lengths: Tensor, gaps: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """(B, T, D), unchanged."""
        return frames, []


class EarlyReading(NamedTuple):
    """CTC log-probs (B, T, V) from below the output layer, and the share of the objective that their loss has."""

    log_probs: Tensor
    share: float


Frontend = Identity | FrameStack | LineConvolutions | SpeechConvolutions | MdLstmEncoder


class Network(nn.Module):
    """Maps padded batches of waveforms (B, N), line images (B, W, H) or pen traces (B, T, 5) to CTC log-probs (B, T, V).

    One code path for all: the features decide what a frame is, the front-end how many of them the recurrent layers see.
    What comes out for an item does not depend on the other items of its batch.

    Args:
        recipe: features, front-end and encoder.
        labels: V, size of the alphabet with the blank (label 0).
    """

    def __init__(self, recipe: RecipeConfig, labels: int) -> None:
        super().__init__()
        model = recipe.model
        self.features = _features(recipe.features)
        self.frontend: Frontend = _frontend(recipe, self.features.dim)
        size = self.frontend.dim
        self.encoder = RecurrentStack(size, model, labels) if model.layers else NoLayers(size)
        self.output = nn.Linear(self.encoder.dim, labels)
        self.auxiliary = nn.Linear(self.frontend.dim, labels) if model.auxiliary > 0 else None
        self._auxiliary_share, self._conditioning_share = model.auxiliary, model.conditioning
        if model.uniform > 0:
            for parameter in self.parameters():
                nn.init.uniform_(parameter, -model.uniform, model.uniform)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def frames(self, features: Length) -> Length:
        """Frames T that come out for so many feature frames (spectral frames, pixel columns or points)."""
        return self.frontend.frames(features)

    @property
    def stride(self) -> int:
        """Feature frames that one frame of log-probs stands for."""
        return self.frontend.stride

    @property
    def columns(self) -> int:
        """V, labels that each frame has a log-prob for."""
        return self.output.out_features

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.output.weight.device

    def encode(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, list[EarlyReading], Tensor]:
        """Normalised features (B, T, D), zero beyond lengths (B,) -> log-probs, those read below in training, lengths.

        Log-probs are (B, T', V) in float32, whatever the autocast precision.
        """
        points = isinstance(self.features, StrokePoints) and self.frontend.stride == 1
        gaps = self.features.gaps(features) if points else None  # type: ignore[operator]
        frames, lengths = self.frontend(features, lengths)
        early = []
        if self.auxiliary is not None and self.training:
            early.append(EarlyReading(_log_probs(self.auxiliary, frames), self._auxiliary_share))
        outputs, readings = self.encoder.read(frames, lengths, gaps)
        if self.training:
            early += [EarlyReading(log_probs, self._conditioning_share / len(readings)) for log_probs in readings]
        return _log_probs(self.output, outputs), early, lengths

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, N) float32, line images (B, W, H) uint8 or points (B, T, 5) float32, lengths (B,) -> log-probs (B, T, V), lengths (B,)."""
        log_probs, _, lengths = self.encode(*self.features(inputs, lengths))
        return log_probs, lengths


def _features(config: Features) -> LineColumns | SpectralFeatures | StrokePoints:
    match config:
        case AudioFeatures():
            return SpectralFeatures(config)
        case LineFeatures():
            return LineColumns(config)
        case _:
            return StrokePoints(config)


def _frontend(recipe: RecipeConfig, inputs: int) -> Frontend:
    match recipe.model.frontend:
        case Stack() as config:
            return FrameStack(config, inputs)
        case LineCnn() as config:
            return LineConvolutions(config)
        case MdLstmFrontend() as config:
            return MdLstmEncoder(config)
        case SpeechCnn() as config:
            return SpeechConvolutions(config, inputs)
        case _:
            return Identity(inputs)


def _log_probs(layer: nn.Linear, frames: Tensor) -> Tensor:
    with torch.autocast(frames.device.type, enabled=False):
        return layer(frames.float()).log_softmax(dim=-1)
