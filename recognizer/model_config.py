"""Typed settings of the network: front-ends, recurrent cells and layers; every key, its unit, its default and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from recognizer.errors import nearest
from recognizer.strict import require


@dataclass(frozen=True)
class NoFrontend:
    """The recurrent layers read the features themselves."""

    kind: Literal["none"] = "none"


@dataclass(frozen=True)
class Stack:
    """Neighbouring frames are joined into one, ``frames`` at a time, without overlap (Sak et al. 2015)."""

    kind: Literal["stack"] = "stack"
    frames: int = 3

    def __post_init__(self) -> None:
        require(1 <= self.frames <= 32, "frames", "must lie between 1 and 32")


def _require_convolutions(channels: tuple[int, ...], **strides: tuple[int, ...]) -> None:
    require(len(channels) > 0, "channels", "needs at least one convolution")
    for key, values in strides.items():
        require(len(values) == len(channels), key, "needs one number for each entry of channels")
        require(all(v in (1, 2, 3, 4) for v in values), key, "strides lie between 1 and 4")
    require(all(c > 0 for c in channels), "channels", "must be positive")


def _require_ranks(ranks: tuple[int, ...], layers: int, over: str) -> None:
    require(len(ranks) in (0, layers), "ranks", f"needs one number for each {over}, or none at all")
    require(all(rank >= 0 for rank in ranks), "ranks", "cannot be negative")


@dataclass(frozen=True)
class LineCnn:
    """Strided convolutions over a line image, then the maximum of each column (Retsinas et al. 2022)."""

    kind: Literal["line_cnn"] = "line_cnn"
    channels: tuple[int, ...] = (32, 64, 128, 256)  # of each 3 x 3 convolution
    time_strides: tuple[int, ...] = (2, 2, 1, 1)  # horizontal stride of each
    height_strides: tuple[int, ...] = (2, 2, 2, 2)
    ranks: tuple[int, ...] = ()  # filters of each that its channels are mixed from (`recognizer compress`); 0, or none given: as many as channels
    residual: bool = False  # a convolution without stride that keeps the number of channels adds to what it reads (He et al. 2016)
    dropout: float = 0.1  # whole channels, after each convolution but the first

    def __post_init__(self) -> None:
        _require_convolutions(self.channels, time_strides=self.time_strides, height_strides=self.height_strides)
        _require_ranks(self.ranks, len(self.channels), "entry of channels")
        require(0 <= self.dropout < 1, "dropout", "must lie in [0, 1)")


@dataclass(frozen=True)
class SpeechCnn:
    """Strided convolutions over time and frequency, as in Deep Speech 2 (Amodei et al. 2016)."""

    kind: Literal["speech_cnn"] = "speech_cnn"
    channels: tuple[int, ...] = (32, 32)
    time_strides: tuple[int, ...] = (2, 2)
    frequency_strides: tuple[int, ...] = (2, 2)
    ranks: tuple[int, ...] = ()  # as of LineCnn
    output: int = 256  # size of the frame after the projection of all channels and bands
    dropout: float = 0.1

    def __post_init__(self) -> None:
        _require_convolutions(self.channels, time_strides=self.time_strides, frequency_strides=self.frequency_strides)
        _require_ranks(self.ranks, len(self.channels), "entry of channels")
        require(self.output > 0, "output", "must be positive")
        require(0 <= self.dropout < 1, "dropout", "must lie in [0, 1)")


@dataclass(frozen=True)
class MdLstmFrontend:
    """Two-dimensional LSTM layers over a line image, between them blocks of it and tanh units (Graves & Schmidhuber 2008); a whole encoder."""

    kind: Literal["mdlstm"] = "mdlstm"
    hidden: tuple[int, ...] = (2, 10, 50)  # cells per direction of each layer
    units: tuple[int, ...] = (6, 20)  # tanh units between the layers
    block_heights: tuple[int, ...] = (4, 4, 4)  # rows of a block in front of each layer: of pixels, then of the layer below
    block_widths: tuple[int, ...] = (3, 3, 2)  # columns of it
    stable: bool = False  # cells whose state cannot grow without limit (Leifert et al. 2016)
    dropout: float = 0.0  # of outputs between the layers (Pham et al. 2014)

    def __post_init__(self) -> None:
        require(len(self.hidden) > 0, "hidden", "needs at least one layer")
        require(len(self.units) == len(self.hidden) - 1, "units", "needs one number less than hidden")
        for key in ("hidden", "units"):
            require(all(size > 0 for size in getattr(self, key)), key, "must be positive")
        for key in ("block_heights", "block_widths"):
            values = getattr(self, key)
            require(len(values) == len(self.hidden), key, "needs one number for each entry of hidden")
            require(all(1 <= v <= 64 for v in values), key, "must lie between 1 and 64")
        require(0 <= self.dropout < 1, "dropout", "must lie in [0, 1)")


@dataclass(frozen=True)
class CellSettings:
    """What a recurrent cell can be told besides its size; not every cell uses every key."""

    forget_bias: float = 0.0  # added to the forget gate's bias at the start (Gers et al. 2000; Jozefowicz et al. 2015: 1)
    zoneout: float = 0.0  # probability that a state stays as it was in a frame (Krueger et al. 2017)
    recurrent_dropout: float = 0.0  # of the states in the recurrent products, one mask a sequence (Gal & Ghahramani 2016)
    heads: int = 4  # slstm, mlstm: blocks of the recurrent matrix, matrix memories
    positions: int = 0  # conv_lstm: bands or rows that a frame consists of; divides its size and hidden
    kernel: int = 5  # conv_lstm: width of the convolutions, in positions
    peepholes: bool = True  # conv_lstm: gates see the cell state

    def __post_init__(self) -> None:
        for key in ("zoneout", "recurrent_dropout"):
            require(0 <= getattr(self, key) < 1, key, "must lie in [0, 1)")
        require(abs(self.forget_bias) < float("inf"), "forget_bias", "must be a finite number")
        require(self.heads >= 1, "heads", "must be positive")
        require(self.positions >= 0, "positions", "cannot be negative")
        require(self.kernel >= 1 and self.kernel % 2 == 1, "kernel", "must be odd")


def cell_names() -> list[str]:
    """The recurrent cells there are: one file of ``recognizer/models/cells`` each."""
    return sorted(path.stem for path in (Path(__file__).parent / "models" / "cells").glob("[a-z]*.py"))


@dataclass(frozen=True)
class ModelConfig:
    """Front-end, stacked recurrent layers and CTC output layer."""

    frontend: NoFrontend | Stack | LineCnn | SpeechCnn | MdLstmFrontend = field(default_factory=NoFrontend)
    cell: str = "lstm"  # a file of recognizer/models/cells
    recurrent: CellSettings = field(default_factory=CellSettings)
    layers: int = 3  # 0: none, behind a front-end that is an encoder of its own
    hidden: int = 250  # cells per direction
    ranks: tuple[int, ...] = ()  # numbers that each layer's input is first reduced to (`recognizer compress`); 0, or none given: all of it
    bidirectional: bool = True
    truncate: int = 0  # frames after which the gradient is cut (truncated back-propagation through time); 0: never
    highway: bool = False  # a highway layer after every recurrent one
    attention: int = 0  # heads of a self-attention layer over the last recurrent one; 0: none
    dropout: float = 0.0  # between recurrent layers and before the output layer
    auxiliary: float = 0.0  # weight of a second CTC loss on the front-end's output, training only
    conditioning: float = 0.0  # weight of a CTC loss after each layer but the last, whose posteriors the layer above reads; 0: none
    uniform: float = 0.0  # > 0: all weights drawn from [-uniform, uniform] (Graves et al. 2013: 0.1); 0: the layers' defaults

    def __post_init__(self) -> None:
        least = 0 if isinstance(self.frontend, MdLstmFrontend) else 1
        require(least <= self.layers <= 32, "layers", f"must lie between {least} and 32")
        require(1 <= self.hidden <= 8192, "hidden", "must lie between 1 and 8192")
        cells = cell_names()
        require(self.cell in cells, "cell", f"{self.cell!r} is not one of {', '.join(cells)}{nearest(self.cell, cells)}")
        _require_ranks(self.ranks, self.layers, "layer")
        require(self.truncate >= 0, "truncate", "cannot be negative")
        require(self.attention >= 0, "attention", "cannot be negative")
        width = self.hidden * (1 + self.bidirectional)
        require(self.attention == 0 or width % (2 * self.attention) == 0, "attention", f"must divide the encoder's output of {width} into even parts")
        require(0 <= self.dropout < 1, "dropout", "must lie in [0, 1)")
        require(0 <= self.auxiliary <= 1, "auxiliary", "must lie in [0, 1]")
        require(0 <= self.conditioning <= 1 - self.auxiliary, "conditioning", "must lie in [0, 1], auxiliary added")
        require(self.conditioning == 0 or self.layers >= 2, "conditioning", "stands between layers; needs two or more")
        require(self.uniform >= 0, "uniform", "cannot be negative")
