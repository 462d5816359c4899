"""The whole network: features, front-end, stacked bidirectional LSTM, CTC output layer, and what an objective adds."""

from __future__ import annotations

import re
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recognizer.audio.features import AudioFeatureExtractor
from recognizer.config import AudioFeatures, Features, LineCnn, LineFeatures, MdLstmFrontend, RecognizerConfig, SpeechCnn, Stack
from recognizer.image.features import LineFeatureExtractor
from recognizer.models.encoder import Encoder
from recognizer.models.frontends import FrameStack, Frontend, Identity, Length, LineConvolutions, SpeechConvolutions
from recognizer.models.heads import build_head, has_ctc_output
from recognizer.models.mdlstm import MdLstmEncoder
from recognizer.strokes.features import StrokeFeatureExtractor

_OUTPUT_LAYER = re.compile(r"(?:output|auxiliary|head\.(?:embedding|output|joint\.\w*output)|encoder\.conditions\.\d+\.(output|back))\.")


def label_axis(name: str) -> int | None:
    """The axis of a weight, by its name in the state of a :class:`Network`, along which each label has its own part.

    Output layers have a row a label, what leads intermediate log-probs back into the encoder a column; other weights have none (None).
    """
    layer = _OUTPUT_LAYER.match(name)
    return None if layer is None else int(layer[1] == "back")


class NoLayers(nn.Module):
    """No recurrent layers, where the front-end is an encoder of its own."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.dim = inputs

    def encode(self, frames: Tensor, lengths: Tensor, gaps: Tensor | None = None) -> tuple[Tensor, dict[int, Tensor]]:
        """(B, T, D), unchanged."""
        return frames, {}


class IntermediateCtc(NamedTuple):
    """CTC log-probs (B, T, V) from below the output layer, and the share of the objective that their loss has."""

    log_probs: Tensor
    share: float


class Encoded(NamedTuple):
    """What the encoder makes of a batch.

    Attributes:
        log_probs: CTC log-probs (B, T, V) in float32, whatever the autocast precision; None where the objective has no CTC output layer.
        intermediate: in training, log-probs from below.
        frames: outputs of the encoder (B, T, H).
        lengths: (B,) frames of each item.
        units: log-probs (B, T, U) of the units below, of a network that writes them.
    """

    log_probs: Tensor | None
    intermediate: list[IntermediateCtc]
    frames: Tensor
    lengths: Tensor
    units: Tensor | None = None


class Network(nn.Module):
    """Maps padded batches of waveforms (B, N), line images (B, W, H) or pen traces (B, T, 5) to what a decoder takes: CTC log-probs (B, T, V).

    One code path for all: the features decide what a frame is, the front-end how many of them the recurrent layers see.
    What comes out for an item does not depend on the other items of its batch. Objectives other than CTC have a head
    (:mod:`recognizer.models.heads`) which writes label by label; its decoder takes frames of another kind.

    Args:
        config: features, front-end, encoder and objective.
        labels: V, size of the alphabet with the blank (label 0).

    Attributes:
        num_labels: V.
        num_units: U, size of the alphabet of units with the blank, 0 without a second output (``model.units_layer``).
        output: the CTC output layer, None where the objective has none.
        head: what the objective adds, None for CTC.
    """

    def __init__(self, config: RecognizerConfig, labels: int) -> None:
        super().__init__()
        model = config.model
        self.features = _features(config.features)
        self.frontend = _frontend(config, self.features.dim)
        frame_ms = config.features.hop_ms * self.frontend.stride if isinstance(config.features, AudioFeatures) else 1.0
        self.encoder = Encoder(self.frontend.dim, model, labels, frame_ms) if model.num_layers else NoLayers(self.frontend.dim)
        self.num_labels = labels
        self._units_layer, self.num_units = model.units_layer, len(model.units) + 1 if model.units_layer else 0
        self.output = nn.Linear(self.encoder.dim, labels) if has_ctc_output(config.objective) else None
        self.head = build_head(config.objective, self.encoder.dim, labels)
        self.auxiliary = nn.Linear(self.frontend.dim, labels) if model.frontend_ctc_weight > 0 else None
        self._frontend_ctc_weight, self._intermediate_ctc_weight = model.frontend_ctc_weight, model.intermediate_ctc_weight
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
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def ctc_output(self, frames: Tensor) -> Tensor:
        """CTC log-probs (..., V) float32 of outputs of the encoder (..., H), of a network that has this output layer."""
        assert self.output is not None
        return _log_probs(self.output, frames)

    def encode(self, features: Tensor, lengths: Tensor) -> Encoded:
        """Normalized features (B, T, D), zero beyond lengths (B,), through front-end, encoder and CTC output layer."""
        points = isinstance(self.features, StrokeFeatureExtractor) and self.frontend.stride == 1
        gaps = self.features.gaps(features) if points else None  # type: ignore[operator]
        frames, lengths = self.frontend(features, lengths)
        early = []
        if self.auxiliary is not None and self.training:
            early.append(IntermediateCtc(_log_probs(self.auxiliary, frames), self._frontend_ctc_weight))
        outputs, intermediate = self.encoder.encode(frames, lengths, gaps)
        units = intermediate.pop(self._units_layer - 1, None)
        if self.training:
            early += [IntermediateCtc(log_probs, self._intermediate_ctc_weight / len(intermediate)) for log_probs in intermediate.values()]
        return Encoded(None if self.output is None else _log_probs(self.output, outputs), early, outputs, lengths, units)

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, N) float32, line images (B, W, H) uint8 or points (B, T, 5) float32, lengths (B,) -> (B, T, C) float32, lengths (B,).

        C columns are what the decoder takes of a frame: V log-probs with CTC, and behind them the U of units if the network writes them; else
        what the head says, log-probs in front if there are any.
        """
        log_probs, _, frames, lengths, units = self.encode(*self.features(inputs, lengths))
        if self.head is not None:
            return self.head.decoder_input(frames, log_probs).float(), lengths
        assert log_probs is not None  # without a head CTC is all there is
        return log_probs if units is None else torch.cat([log_probs, units], dim=2), lengths


def _features(config: Features) -> LineFeatureExtractor | AudioFeatureExtractor | StrokeFeatureExtractor:
    match config:
        case AudioFeatures():
            return AudioFeatureExtractor(config)
        case LineFeatures():
            return LineFeatureExtractor(config)
        case _:
            return StrokeFeatureExtractor(config)


def _frontend(config: RecognizerConfig, inputs: int) -> Frontend:
    match config.model.frontend:
        case Stack() as frontend:
            return FrameStack(frontend, inputs)
        case LineCnn() as frontend:
            return LineConvolutions(frontend)
        case MdLstmFrontend() as frontend:
            return MdLstmEncoder(frontend)
        case SpeechCnn() as frontend:
            return SpeechConvolutions(frontend, inputs)
        case _:
            return Identity(inputs)


def _log_probs(layer: nn.Linear, frames: Tensor) -> Tensor:
    with torch.autocast(frames.device.type, enabled=False):
        log_probs: Tensor = layer(frames.float()).log_softmax(dim=-1)
        return log_probs
