"""Typed settings of the network: front-ends, recurrent cells and layers; every key, its unit, its default and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from recognizer.config.schema import require, require_each, require_not_negative, require_shares
from recognizer.errors import nearest

Sizes = tuple[int, ...]  # one number a layer
MAX_CHUNK_MS = 60_000.0


@dataclass(frozen=True)
class NoFrontend:
    """The recurrent layers read the features themselves."""

    kind: Literal["none"] = "none"

    @property
    def strides(self) -> Sizes:
        """By how much each part of the front-end divides the number of frames."""
        return ()


@dataclass(frozen=True)
class Stack:
    """Neighboring frames are joined into one, ``frames`` at a time, without overlap (Sak et al. 2015)."""

    kind: Literal["stack"] = "stack"
    frames: int = 3

    def __post_init__(self) -> None:
        require(1 <= self.frames <= 32, "frames", "must lie between 1 and 32")

    @property
    def strides(self) -> Sizes:
        """By how much each part of the front-end divides the number of frames."""
        return (self.frames,)


@dataclass(frozen=True)
class LineCnn:
    """Strided convolutions over a line image, then the maximum of each column (Retsinas et al. 2022)."""

    kind: Literal["line_cnn"] = "line_cnn"
    channels: Sizes = (32, 64, 128, 256)  # of each 3 x 3 convolution
    time_strides: Sizes = (2, 2, 1, 1)  # horizontal stride of each
    height_strides: Sizes = (2, 2, 2, 2)
    residual: bool = False  # a convolution without stride that keeps the number of channels adds to its input (He et al. 2016)
    dropout: float = 0.1  # whole channels, after each convolution but the first

    def __post_init__(self) -> None:
        _require_convolutions(self, "time_strides height_strides")

    @property
    def strides(self) -> Sizes:
        """By how much each part of the front-end divides the number of frames."""
        return self.time_strides


@dataclass(frozen=True)
class SpeechCnn:
    """Strided convolutions over time and frequency, as in Deep Speech 2 (Amodei et al. 2016)."""

    kind: Literal["speech_cnn"] = "speech_cnn"
    channels: Sizes = (32, 32)
    time_strides: Sizes = (2, 2)
    frequency_strides: Sizes = (2, 2)
    output: int = 256  # size of the frame after the projection of all channels and bands
    dropout: float = 0.1

    def __post_init__(self) -> None:
        _require_convolutions(self, "time_strides frequency_strides")
        require(self.output > 0, "output", "must be positive")

    @property
    def strides(self) -> Sizes:
        """By how much each part of the front-end divides the number of frames."""
        return self.time_strides


def _require_convolutions(settings: LineCnn | SpeechCnn, strides: str) -> None:
    channels = settings.channels
    require(len(channels) > 0, "channels", "needs at least one convolution")
    require_each(settings, strides, lambda values: len(values) == len(channels), "needs one number for each entry of channels")
    require_each(settings, strides, lambda values: all(v in (1, 2, 3, 4) for v in values), "strides lie between 1 and 4")
    require(all(c > 0 for c in channels), "channels", "must be positive")
    _require_dropout(settings, "dropout")


def _require_dropout(settings: object, keys: str) -> None:
    require_each(settings, keys, lambda probability: 0 <= probability < 1, "must lie in [0, 1)")


@dataclass(frozen=True)
class MdLstmFrontend:
    """Two-dimensional LSTM layers over a line image, with layers of tanh units between them (Graves & Schmidhuber 2008); a whole encoder."""

    kind: Literal["mdlstm"] = "mdlstm"
    hidden_sizes: Sizes = (2, 10, 50)  # cells per direction of each layer
    units: Sizes = (6, 20)  # tanh units between the layers
    block_heights: Sizes = (4, 4, 4)  # rows of the blocks that each layer reads: of pixels, then of the layer below
    block_widths: Sizes = (3, 3, 2)  # columns of them
    stable: bool = False  # cells whose state cannot grow without limit (Leifert et al. 2016)
    dropout: float = 0.0  # of outputs between the layers (Pham et al. 2014)

    def __post_init__(self) -> None:
        count = len(self.hidden_sizes)
        require(count > 0, "hidden_sizes", "needs at least one layer")
        require(len(self.units) == count - 1, "units", "needs one number less than hidden_sizes")
        require_each(self, "hidden_sizes units", lambda sizes: all(size > 0 for size in sizes), "must be positive")
        require_each(self, "block_heights block_widths", lambda sizes: len(sizes) == count, "needs one number for each entry of hidden_sizes")
        require_each(self, "block_heights block_widths", lambda sizes: all(1 <= v <= 64 for v in sizes), "must lie between 1 and 64")
        _require_dropout(self, "dropout")

    @property
    def strides(self) -> Sizes:
        """By how much each part of the front-end divides the number of frames."""
        return self.block_widths


@dataclass(frozen=True)
class CellParts:
    """What the cell `composed` consists of; all the defaults together are the LSTM."""

    input_gate: bool = True  # without: 1
    forget_gate: str = "gate"  # gate, coupled (1 - input gate; Greff et al. 2017), none (1; Hochreiter & Schmidhuber 1997)
    output_gate: bool = True  # without: 1
    input_activation: bool = True  # tanh of what enters the cell; without: as it is
    output_activation: bool = True  # tanh of the cell state before the output gate; without: as it is
    peepholes: bool = False  # gates see the cell state
    recurrent_gates: bool = True  # gates see the output of the frame before; without: frames alone (and the cell state, with peepholes)
    recurrent_input: bool = True  # so does what enters the cell

    def __post_init__(self) -> None:
        known = ("gate", "coupled", "none")
        require(self.forget_gate in known, "forget_gate", f"{self.forget_gate!r} is not one of {', '.join(known)}{nearest(self.forget_gate, known)}")
        require(self.input_gate or self.forget_gate != "coupled", "forget_gate", "coupled needs input_gate=true")


@dataclass(frozen=True)
class CellSettings:
    """What a recurrent cell can be told besides its size; not every cell uses every key."""

    forget_bias: float = 0.0  # added to the forget gate's bias at the start (Gers et al. 2000; Jozefowicz et al. 2015: 1)
    zoneout: float = 0.0  # probability that a state stays as it was in a frame (Krueger et al. 2017)
    recurrent_dropout: float = 0.0  # of the states in the recurrent products, one mask a sequence (Gal & Ghahramani 2016)
    heads: int = 4  # slstm, mlstm: blocks of the recurrent matrix, matrix memories
    positions: int = 0  # conv_lstm: bands or rows that a frame consists of; divides its size and hidden_size
    kernel: int = 5  # conv_lstm: width of the convolutions, in positions
    peepholes: bool = True  # conv_lstm: gates see the cell state
    parts: CellParts = field(default_factory=CellParts)  # composed: its gates, activations and connections

    def __post_init__(self) -> None:
        _require_dropout(self, "zoneout recurrent_dropout")
        require(abs(self.forget_bias) < float("inf"), "forget_bias", "must be a finite number")
        require(self.heads >= 1, "heads", "must be positive")
        require(self.positions >= 0, "positions", "cannot be negative")
        require(self.kernel >= 1 and self.kernel % 2 == 1, "kernel", "must be odd")


def cell_names() -> list[str]:
    """The recurrent cells there are: one file of ``recognizer/models/cells`` each."""
    return sorted(path.stem for path in (Path(__file__).parent.parent / "models" / "cells").glob("[a-z]*.py"))


@dataclass(frozen=True)
class ModelConfig:
    """Front-end, stacked recurrent layers and CTC output layer."""

    frontend: NoFrontend | Stack | LineCnn | SpeechCnn | MdLstmFrontend = field(default_factory=NoFrontend)
    cell: str = "lstm"  # a file of recognizer/models/cells
    recurrent: CellSettings = field(default_factory=CellSettings)
    num_layers: int = 3  # 0: none, behind a front-end that is an encoder of its own
    hidden_size: int = 250  # cells per direction
    bidirectional: bool = True
    chunk_ms: float = 0.0  # > 0: the backward direction reads chunks of this length one by one, so that the network can stream; 0: all frames at once
    lookahead_ms: float = 0.0  # how far all layers together read beyond the end of a chunk; needs chunk_ms
    tbptt_frames: int = 0  # frames after which the gradient is cut (truncated back-propagation through time); 0: never
    highway: bool = False  # a highway layer after every recurrent one
    attention_heads: int = 0  # heads of a self-attention layer over the last recurrent one; 0: none
    dropout: float = 0.0  # between recurrent layers and before the output layer
    frontend_ctc_weight: float = 0.0  # weight of a CTC loss on the front-end's output, training only
    intermediate_ctc_weight: float = 0.0  # weight of a CTC loss after each layer but the last, whose posteriors the layer above reads; 0: none
    units_layer: int = 0  # layer, from 1, with a second CTC output, of the items' units (phones), which the layers above read; 0: none
    units_ctc_weight: float = 0.3  # weight of its CTC loss
    units: tuple[str, ...] = ()  # its symbols; training finds them
    uniform: float = 0.0  # > 0: all weights drawn from [-uniform, uniform] (Graves et al. 2013: 0.1); 0: the layers' defaults

    def __post_init__(self) -> None:
        fewest = 0 if isinstance(self.frontend, MdLstmFrontend) else 1
        require(fewest <= self.num_layers <= 32, "num_layers", f"must lie between {fewest} and 32")
        require(1 <= self.hidden_size <= 8192, "hidden_size", "must lie between 1 and 8192")
        cells = cell_names()
        require(self.cell in cells, "cell", f"{self.cell!r} is not one of {', '.join(cells)}{nearest(self.cell, cells)}")
        require_not_negative(self, "chunk_ms lookahead_ms tbptt_frames attention_heads uniform")
        require_each(self, "chunk_ms lookahead_ms", lambda ms: ms <= MAX_CHUNK_MS, f"cannot be above {MAX_CHUNK_MS:g}")
        require(self.chunk_ms == 0 or self.bidirectional, "chunk_ms", "divides what the backward direction reads; needs bidirectional=true")
        require(self.chunk_ms == 0 or self.attention_heads == 0, "chunk_ms", "self-attention reads all frames at once; needs attention_heads=0")
        require(self.chunk_ms == 0 or self.num_layers > 0, "chunk_ms", "needs recurrent layers")
        require(self.lookahead_ms == 0 or self.chunk_ms > 0, "lookahead_ms", "lies behind a chunk; needs chunk_ms")
        width = self.hidden_size * (1 + self.bidirectional)
        divides = self.attention_heads == 0 or width % (2 * self.attention_heads) == 0
        require(divides, "attention_heads", f"must divide the encoder's output of {width} into even parts")
        _require_dropout(self, "dropout")
        require_shares(self, "frontend_ctc_weight")
        rest = 1 - self.frontend_ctc_weight
        require(0 <= self.intermediate_ctc_weight <= rest, "intermediate_ctc_weight", "must lie in [0, 1], frontend_ctc_weight added")
        require(0 <= self.units_layer < max(1, self.num_layers), "units_layer", "must lie below the last layer (num_layers)")
        shares = self.frontend_ctc_weight + self.intermediate_ctc_weight + self.units_ctc_weight
        share = self.units_layer == 0 or (self.units_ctc_weight > 0 and shares <= 1)
        require(share, "units_ctc_weight", "must lie in (0, 1], frontend_ctc_weight and intermediate_ctc_weight added")
        enough = self.intermediate_ctc_weight == 0 or self.num_layers >= 2
        require(enough, "intermediate_ctc_weight", "stands between layers; needs two or more")
