"""A network that runs while the recording goes on: each stage keeps what its next frames need, and gives those that no later sample changes."""

from __future__ import annotations

import torch
from torch import Tensor

from recognizer.audio.feature_stream import FeatureStream, check_features_stream
from recognizer.audio.features import AudioFeatureExtractor
from recognizer.config import RecognizerConfig
from recognizer.errors import ConfigError
from recognizer.models.chunks import Chunks
from recognizer.models.encoder import Encoder, RecurrentLayer
from recognizer.models.frontends import Frontend
from recognizer.models.network import Network
from recognizer.models.recurrent_cell import State

Cells = Tensor | None  # cell states that a layer shows to the one above


def check_streams(config: RecognizerConfig) -> None:
    """Refuse settings of networks that need all of a recording before they write anything.

    Raises:
        ConfigError: which names the setting, and what to train with in its place.
    """
    model = config.model
    if config.modality != "audio":
        raise ConfigError(f"features.kind: {config.features.kind}: recordings can be streamed; this recognizer reads none")
    if model.bidirectional and model.chunk_ms == 0:
        advice = "train with model=streaming_blstm (model.chunk_ms, model.lookahead_ms) or model=streaming_lstm (model.bidirectional=false)"
        raise ConfigError(f"model.bidirectional: the backward direction reads from the end, so that nothing can be written before; {advice}")
    if model.attention_heads:
        raise ConfigError("model.attention_heads: self-attention reads all frames at once and cannot be streamed; train with model.attention_heads=0")
    if config.objective.kind not in ("ctc", "minimum_risk"):
        raise ConfigError(f"objective.kind: {config.objective.kind}: networks with objective=ctc can be streamed")
    check_features_stream(config.features)  # type: ignore[arg-type]  # of recordings


class NetworkStream:
    """Log-probs of one recording, piece by piece; together they are those of the network over the whole, up to rounding.

    Args:
        config: of the network.
        network: in evaluation mode.

    Raises:
        ConfigError: it needs the whole recording; see :func:`check_streams`.

    Attributes:
        latency: samples that the first frame of a chunk waits for at most, behind its own first one.
    """

    def __init__(self, config: RecognizerConfig, network: Network) -> None:
        check_streams(config)
        extractor, encoder = network.features, network.encoder
        assert isinstance(extractor, AudioFeatureExtractor) and isinstance(encoder, Encoder) and network.output is not None
        self._network = network
        self._features = FeatureStream(extractor)
        self._frontend = _FrontendStream(network.frontend)
        self._encoder = _EncoderStream(encoder)
        chunks: list[Chunks] = [layer.chunks for layer in encoder.layers if layer.chunks is not None]  # type: ignore[misc]
        frames = chunks[0].size - 1 + sum(each.ahead for each in chunks) if chunks else 0
        self.latency = self._features.delay + extractor.hop * (network.frontend.reach[1] + frames * network.stride)

    def feed(self, samples: Tensor, last: bool = False) -> Tensor:
        """The log-probs (T, V) float32 that these samples (N,) in [-1, 1] make certain, often none; ``last``: nothing follows."""
        network = self._network
        with torch.inference_mode():
            frames = self._frontend.feed(self._features.feed(samples, last), last)
            outputs = self._encoder.feed(frames, last)
            return network.ctc_output(outputs)


class _FrontendStream:
    """A front-end over the features that are there, with as many earlier ones as its next frames depend on."""

    def __init__(self, frontend: Frontend) -> None:
        self._frontend = frontend
        before, self._behind = frontend.reach
        self._before = -(-before // frontend.stride)  # frames to be computed again for the sake of the next
        self._features: Tensor | None = None  # from frame `_first` on
        self._first, self._done = 0, 0  # frame that the features begin with; frames given so far

    def feed(self, features: Tensor, last: bool) -> Tensor:
        """Frames (T', C) of features (T, D)."""
        frontend, stride = self._frontend, self._frontend.stride
        known = features if self._features is None else torch.cat([self._features, features])
        total = self._first * stride + len(known)
        stop = frontend.frames(total) if last else max(0, -(-(total - self._behind) // stride))
        self._features = known
        if stop <= self._done:
            return known.new_empty(0, frontend.dim)
        frames = frontend(known[None], torch.tensor([len(known)], device=known.device))[0][0, self._done - self._first : stop - self._first]
        keep = max(0, stop - self._before)
        self._features = known[(keep - self._first) * stride :]
        self._first, self._done = keep, stop
        return frames


class _EncoderStream:
    """The recurrent layers, each as far as the one below it has come."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._layers = [_ChunkedLayer(layer) if layer.chunks else _ForwardLayer(layer) for layer in encoder.layers]  # type: ignore[arg-type]

    def feed(self, frames: Tensor, last: bool) -> Tensor:
        """Outputs (T', H) of frames (T, D)."""
        frames, cells = frames[None], None
        for number, layer in enumerate(self._layers):
            frames, cells = layer.feed(frames, cells, last)
            frames, _ = self._encoder.between(number, frames)
        return frames[0]


class _ForwardLayer:
    """A layer of one direction, whose state is carried on."""

    def __init__(self, layer: RecurrentLayer) -> None:
        self._layer = layer
        self._state: State | None = None

    def feed(self, frames: Tensor, below: Cells, last: bool) -> tuple[Tensor, Cells]:
        """(1, T, D) -> (1, T, H), and the cell states if the cell shows them."""
        layer = self._layer
        if frames.shape[1] == 0:
            return frames.new_empty(1, 0, layer.forwards.hidden), None
        done = layer.forwards.advance(frames, self._state, below)
        self._state = done.state
        return done.outputs, done.cells


class _ChunkedLayer:
    """A layer whose backward direction reads chunks; it gives a chunk when the frames ahead of it are there."""

    def __init__(self, layer: RecurrentLayer) -> None:
        assert layer.chunks is not None
        self._layer, self._chunks = layer, layer.chunks
        self._ahead = _ForwardLayer(layer)
        self._frames: Tensor | None = None  # those of the next chunk and behind
        self._below: Cells = None
        self._left = layer.chunks.size - layer.chunks.offset  # frames of the next chunk

    def feed(self, frames: Tensor, below: Cells, last: bool) -> tuple[Tensor, Cells]:
        """(1, T, D) -> (1, T', 2H), and the cell states if the cell shows them."""
        self._frames = frames if self._frames is None else torch.cat([self._frames, frames], dim=1)
        self._below = below if self._below is None else self._below if below is None else torch.cat([self._below, below], dim=1)
        outputs, cells = [frames.new_empty(1, 0, self._layer.dim)], []
        while (known := self._frames.shape[1]) >= self._left + self._chunks.ahead or (last and known > 0):
            size, window = min(known, self._left), min(known, self._left + self._chunks.ahead)
            part = self._take(size, window)
            outputs.append(part[0])
            cells += [] if part[1] is None else [part[1]]
            self._frames = self._frames[:, size:]
            self._below = None if self._below is None else self._below[:, size:]
            self._left = self._chunks.size
        return torch.cat(outputs, dim=1), torch.cat(cells, dim=1) if cells else None

    def _take(self, size: int, window: int) -> tuple[Tensor, Cells]:
        """A chunk of so many frames, of a window of so many."""
        assert self._frames is not None
        frames = self._frames[:, :window]
        parts = (None, None) if self._below is None else self._below[:, :window].split(self._layer.forwards.hidden, dim=2)
        ahead, shown = self._ahead.feed(frames[:, :size], None if parts[0] is None else parts[0][:, :size], False)
        back, cells = self._layer.run_back(frames, torch.tensor([window], device=frames.device), parts[1])
        outputs = torch.cat([ahead, back[:, :size]], dim=2)
        return outputs, None if shown is None or cells is None else torch.cat([shown, cells[:, :size]], dim=2)

