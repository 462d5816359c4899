"""What happens inside a network on one input: gates and states of its cells, and which part of the input each symbol depends on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from recognizer.audio.io import audio_seconds
from recognizer.config import AudioFeatures, LineFeatures, Modality
from recognizer.decoding.alignment import viterbi_align
from recognizer.decoding.timing import FrameTimes, time_tokens
from recognizer.errors import ConfigError, InputError
from recognizer.inference.inputs import WHOLE_SECONDS
from recognizer.inference.recognizer import Recognizer
from recognizer.models.recorder import STARTS, Direction, MapRecorder, StateRecorder
from recognizer.types import Token

CONTENTS = ("gates", "cells", "saliency")  # what can be asked for
STATES = ("c", "n", "m", "h")  # cell states and output ("cells"); all else that a cell shows are gates
MAP_NAMES = ("i", "f", "a", "o", "c", "h")  # shown of a two-dimensional layer; g has no meaningful mean over cells
MAX_UNITS = 64  # rows of a panel that can still be told apart
MAX_PANELS = 24  # of a picture
REACH_SHARES = (0.5, 0.9)  # of a symbol's gradient

Cell = tuple[int, Direction]  # a layer, counted from 0, and its direction


@dataclass(frozen=True)
class Panel:
    """A gate or state of a cell (``group``) over time.

    ``values`` are (T, units), a row a frame of log-probs; or with a ``stride`` the columns (W, rows) of a map, its uppermost row first,
    that stand for so many feature frames each.
    """

    group: str
    name: str
    values: np.ndarray
    stride: int | None = None


@dataclass(frozen=True)
class Inspection:
    """All there is to draw of one input."""

    name: str
    text: str
    modality: Modality
    content: np.ndarray  # samples (n,), columns (N, H) of the prepared line, ink 255, or points (N, 5) of the prepared trace
    features: np.ndarray | None  # (N, rows), frames as the network gets them; None where they are the columns
    frame_times: FrameTimes  # of the frames of log-probs
    stride: int  # feature frames that are one of them
    posteriors: np.ndarray  # (T, V) probabilities, the blank first
    symbols: tuple[str, ...]  # of the others
    tokens: tuple[Token, ...]  # as recognized
    peaks: tuple[int, ...]  # of each token the frame in which it is likeliest
    saliency: np.ndarray | None  # (N, rows) absolute gradients of the log-probability of the tokens by the features
    symbol: int | None  # number from 0 of the one token that saliency is of; None: all together
    reach: Mapping[float, float]  # shares of its gradient, and within how many frames of log-probs on either side they lie
    panels: tuple[Panel, ...]

    def positions(self, frames: np.ndarray | float) -> Any:
        """Where frames of log-probs lie, in seconds, pixels or points."""
        return self.frame_times.offset + np.asarray(frames) * self.frame_times.step


def inspect(
    recognizer: Recognizer,
    source: str | Path,
    layers: Sequence[int] | None = None,
    directions: Sequence[Direction] | None = None,
    what: Sequence[str] = CONTENTS,
    units: int = MAX_UNITS,
    symbol: int | None = None,
) -> Inspection:
    """Put a file through the network and record what happens.

    Args:
        recognizer: on the CPU.
        source: a recording of up to 30 s, a line image or a pen trace.
        layers: recurrent layers, 1 the lowest, two-dimensional ones below the others; None: the last.
        directions: "forwards", "backwards"; None: those that there are. A two-dimensional layer starts from two corners in each.
        what: "gates", "cells" (states and output), "saliency".
        units: of each cell, those whose output varies most; maps of two-dimensional layers are of all.
        symbol: number from 1 of the recognized symbol that saliency is of; None: all of them together.

    Raises:
        ConfigError: a layer, direction or symbol that is not there, or more than ``MAX_PANELS`` panels.
        InputError: the file cannot be used.
    """
    network = recognizer.network
    states, maps = StateRecorder(network.encoder), MapRecorder(network.frontend)
    cells = choose_cells(list_cells(states, maps), layers, directions) if {"gates", "cells"} & set(what) else []
    inputs, lengths, times, combined = _network_inputs(recognizer, source)
    features, frames = network.features(inputs, lengths)
    features = features[:, : int(frames)].clone().requires_grad_()
    with states.recording(), maps.recording():
        encoded = network.encode(features, frames)
    if encoded.log_probs is None:
        raise ConfigError(f"inspect shows recognizers with CTC, not objective={recognizer.config.objective.kind}")
    log_probs = encoded.log_probs[:, : int(encoded.lengths)]
    table = log_probs[0].detach().numpy()
    labels = list(recognizer.decode(combined).labels)
    alignment = viterbi_align(table, labels)
    runs = zip(labels, alignment.starts, alignment.stops, strict=True)
    peaks = [start + int(table[start:stop, label].argmax()) for label, start, stop in runs]
    if symbol is not None and not 1 <= symbol <= len(labels):
        raise ConfigError(f"--symbol {symbol}: {source} has {len(labels)} recognized symbols")
    panels = [panel for number, side in cells for panel in _make_panels(states, maps, number, side, what, units)]
    if len(panels) > MAX_PANELS:
        raise ConfigError(f"{len(panels)} panels are more than {MAX_PANELS}; ask for less with --layer, --direction or --what")
    blocks = _split_blocks(recognizer, features[0].detach().numpy())
    is_picture = isinstance(recognizer.config.features, LineFeatures) and recognizer.config.features.kind == "pixels"
    saliency, reaches = None, {}
    if "saliency" in what:
        chosen = slice(None) if symbol is None else slice(symbol - 1, symbol)
        gradient = input_gradient(features, log_probs, labels[chosen], peaks[chosen])
        saliency = np.linalg.norm(_split_blocks(recognizer, gradient), axis=1)
        if symbol is not None:
            norms, center = np.linalg.norm(gradient, axis=1), (peaks[symbol - 1] + 0.5) * network.stride
            reaches = {share: reach(norms, center, share) / network.stride for share in REACH_SHARES}
    return Inspection(
        name=str(source),
        text=("" if recognizer.alphabet.level == "characters" else " ").join(recognizer.spell(labels)),
        modality=recognizer.config.modality,
        content=inputs[0, : int(lengths)].numpy(),
        features=None if is_picture else blocks[:, 0],
        frame_times=times,
        stride=network.stride,
        posteriors=np.exp(table),
        symbols=recognizer.alphabet.symbols,
        tokens=time_tokens(recognizer.alphabet.spell(labels), alignment.starts, alignment.stops, times),
        peaks=tuple(peaks),
        saliency=saliency,
        symbol=None if symbol is None else symbol - 1,
        reach=reaches,
        panels=tuple(panels),
    )


def _split_blocks(recognizer: Recognizer, values: np.ndarray) -> np.ndarray:
    """Values of features (N, D) as (N, K, D / K): of the features themselves, then of their differences in time."""
    settings = recognizer.config.features
    return values.reshape(len(values), 1 + settings.deltas if isinstance(settings, AudioFeatures) else 1, -1)


def input_gradient(features: Tensor, log_probs: Tensor, labels: Sequence[int], frames: Sequence[int]) -> np.ndarray:
    """The gradient (N, D) of the sum of some labels' log-probabilities, each in its frame, by the features.

    ``features`` (1, N, D) are those that log-probs (1, T, V) were computed from with gradient; without labels it is zero.
    """
    total = log_probs[0, torch.tensor(frames, dtype=torch.long), torch.tensor(labels, dtype=torch.long)].sum()
    (gradient,) = torch.autograd.grad(total, features, retain_graph=True)
    return gradient[0].cpu().numpy()


def reach(norms: np.ndarray, center: float, share: float) -> float:
    """Frames on either side of ``center`` within which ``share`` of some norms (N,) lies, that of frame n at n + 1/2; 0 where all are 0."""
    if norms.sum() <= 0:
        return 0.0
    distances = np.abs(np.arange(len(norms)) + 0.5 - center)
    order = np.argsort(distances, kind="stable")
    inside = np.cumsum(norms[order])
    return float(distances[order][min(int(np.searchsorted(inside, share * norms.sum())), len(norms) - 1)])


def list_cells(states: StateRecorder, maps: MapRecorder) -> list[Cell]:
    """The cells of a network, those of two-dimensional layers of the front-end first."""
    below = len(maps.scans)
    return [(layer, side) for layer in range(below) for side in get_args(Direction)] + [(below + layer, side) for layer, side in states.cells]


def choose_cells(known: Sequence[Cell], layers: Sequence[int] | None, directions: Sequence[Direction] | None) -> list[Cell]:
    """The cells of some layers, counted from 1, and directions; by default all directions of the last layer.

    Raises:
        ConfigError: there is no such layer, or none of a direction.
    """
    count = len({layer for layer, _ in known})
    for layer in layers or ():
        if not 1 <= layer <= count:
            raise ConfigError(f"--layer {layer}: the recurrent layers are {', '.join(map(str, range(1, count + 1))) or 'none'}")
    chosen = {layer - 1 for layer in layers} if layers else {count - 1}
    sides = list(dict.fromkeys(side for layer, side in known if layer in chosen))
    for direction in directions or ():
        if count and direction not in sides:
            raise ConfigError(f"--direction {direction}: the layers read {' and '.join(sides)} only")
    return [(layer, side) for layer, side in known if layer in chosen and side in (directions or sides)]


def _network_inputs(recognizer: Recognizer, source: str | Path) -> tuple[Tensor, Tensor, FrameTimes, np.ndarray]:
    """What the network is given for a source, (1, N, ...) and lengths (1,), the times of its frames, and what the decoder is given."""
    if recognizer.config.modality == "audio" and audio_seconds(source) > WHOLE_SECONDS:
        raise InputError(f"{source}: is longer than {WHOLE_SECONDS:g} s, more than a picture can show; cut it")
    calls: list[tuple[Tensor, Tensor]] = []
    handle = recognizer.network.register_forward_pre_hook(lambda _, arguments: calls.append(arguments))
    try:
        (emission,) = recognizer.emissions([source])
    finally:
        handle.remove()
    if emission.error is not None:
        raise InputError(emission.error)
    if not calls or emission.frame_times is None or emission.decoder_input is None:
        raise InputError(f"{source}: holds nothing to look at: silence, or a blank line")
    return *calls[0], emission.frame_times, emission.decoder_input


def _make_panels(states: StateRecorder, maps: MapRecorder, layer: int, side: Direction, what: Sequence[str], units: int) -> list[Panel]:
    """A panel for each gate and state of a cell, the units of all in one order; of a two-dimensional layer for each corner it starts from."""

    def choose(names: Iterable[str]) -> list[str]:
        return [name for name in names if ("cells" if name in STATES else "gates") in what]

    if layer >= len(maps.scans):
        seen = {name: tensor[0].numpy() for name, tensor in states.states(layer - len(maps.scans), side).items()}
        hidden = seen["h"].shape[1]
        order = np.sort(np.argsort(-seen["h"].std(0), kind="stable")[:units])
        group = f"layer {layer + 1}, {side}: {len(order)} of {hidden} units"
        return [Panel(group, name, seen[name][:, order] if seen[name].shape[1] == hidden else seen[name]) for name in choose(seen)]
    seen = {name: tensor[0].numpy() for name, tensor in maps.states(layer).items()}
    panels = []
    for corner in (0, 1) if side == "forwards" else (2, 3):
        group = f"layer {layer + 1}, {side} from the {STARTS[corner]}: mean of {seen['h'].shape[3]} cells, of c and h its root mean square"
        for name in choose(MAP_NAMES):
            values = seen[name][:, :, corner].swapaxes(0, 1)  # (W, R, H); states of either sign have a mean near zero
            mean = np.sqrt(np.square(values).mean(2)) if name in STATES else values.mean(2)
            panels.append(Panel(group, name, mean, maps.strides[layer]))
    return panels
