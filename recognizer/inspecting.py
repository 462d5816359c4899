"""`recognizer inspect`: what goes on inside a network while it hears or sees one file, and what of the file its reading hangs on."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from torch import Tensor

from recognizer.config import AudioFeatures, LineFeatures
from recognizer.decoding.alignment import viterbi_align
from recognizer.decoding.timing import Clock, time_tokens
from recognizer.errors import ConfigError, InputError, nearest
from recognizer.evaluation.inspection import Inspection, Panel, Saliency
from recognizer.evaluation.inspection_figure import SUFFIXES, draw_inspection, require_matplotlib
from recognizer.evaluation.saliency import emission_frames, reach, saliency
from recognizer.features.audio_file import audio_seconds
from recognizer.models.mdlstm_watching import STARTS, MapWitness
from recognizer.models.watching import Direction, Witness
from recognizer.pipeline import WINDOW_SECONDS, Recognizer
from recognizer.progress import Progress

WHAT = ("gates", "cells", "saliency")
OUTPUTS = ("c", "n", "m", "h")  # what a cell holds and gives; all else that it shows are gates
MAPS = ("i", "f", "a", "o", "c", "h")  # drawn of a two-dimensional layer; g has no mean over cells that says anything
UNITS = 64  # rows of a panel that can still be told apart
MOST_PANELS = 24  # of gates and states in a picture
SHARES = (0.5, 0.9)  # of a symbol's evidence, whose reach is told


def inspect(
    recognizer: Recognizer,
    source: str | Path,
    layers: Sequence[int] | None = None,
    directions: Sequence[Direction] | None = None,
    what: Sequence[str] = WHAT,
    units: int = UNITS,
    symbol: int | None = None,
) -> Inspection:
    """Put a file through the network and look at it.

    Args:
        recognizer: on the CPU.
        source: a recording of up to 30 s, a line image or a pen trace.
        layers: recurrent layers, 1 the lowest, two-dimensional ones below the others; None: the last.
        directions: "forwards", "backwards"; None: those that there are. A two-dimensional layer reads from two corners in each.
        what: "gates", "cells" (states and output), "saliency".
        units: of each cell, those whose output varies most; maps of two-dimensional layers are of all.
        symbol: number from 1 of the recognised symbol that saliency is of; None: all of them together.

    Raises:
        ConfigError: a layer, direction or symbol that is not there, or more than ``MOST_PANELS`` panels.
        InputError: the file cannot be used.
    """
    network = recognizer.network
    witness, maps = Witness(network.encoder), MapWitness(network.frontend)
    places = _choose_cells(_list_cells(witness, maps), layers, directions) if {"gates", "cells"} & set(what) else []
    inputs, lengths, clock, said = _read(recognizer, source)
    features, frames = network.features(inputs, lengths)
    features = features[:, : int(frames)].clone().requires_grad_()
    with witness.listen(), maps.listen():
        log_probs, _, counts = network.encode(features, frames)
    log_probs = log_probs[:, : int(counts)]
    table = log_probs[0].detach().numpy()
    labels = list(recognizer.decode(said).labels)
    alignment = viterbi_align(table, labels)
    emitted = emission_frames(table, alignment)
    if symbol is not None and not 1 <= symbol <= len(labels):
        raise ConfigError(f"--symbol {symbol}: {source} reads {len(labels)} symbols")
    wanted = range(len(labels)) if symbol is None else range(symbol - 1, symbol)
    gradient = saliency(features, log_probs, [labels[k] for k in wanted], [emitted[k] for k in wanted])
    panels = [panel for place in places for panel in _look(witness, maps, place, what, units)]
    if len(panels) > MOST_PANELS:
        raise ConfigError(f"{len(panels)} panels are more than {MOST_PANELS}; ask for less with --layer, --direction or --what")
    return Inspection(
        name=str(source),
        text=recognizer.alphabet.decode(labels),
        modality=recognizer.recipe.modality,
        content=inputs[0, : int(lengths)].numpy(),
        features=None if _is_picture(recognizer) else _fold(recognizer, features[0].detach().numpy())[0],
        clock=clock,
        stride=network.stride,
        posteriors=np.exp(table),
        symbols=recognizer.alphabet.symbols,
        tokens=time_tokens(recognizer.alphabet.spell(labels), alignment.starts, alignment.stops, clock),
        emitted=tuple(emitted),
        saliency=_weigh(recognizer, gradient, emitted, symbol) if "saliency" in what else None,
        panels=tuple(panels),
    )


def _list_cells(witness: Witness, maps: MapWitness) -> list[tuple[int, Direction]]:
    """Layers, number from 0, and the directions of each; those of the front-end first."""
    below = len(maps.scans)
    return [(number, side) for number in range(below) for side in get_args(Direction)] + [(below + number, side) for number, side in witness.cells]


def _choose_cells(
    there: Sequence[tuple[int, Direction]], layers: Sequence[int] | None, directions: Sequence[Direction] | None
) -> list[tuple[int, Direction]]:  # fmt: skip
    count = len({number for number, _ in there})
    for layer in layers or ():
        if not 1 <= layer <= count:
            known = ", ".join(map(str, range(1, count + 1)))
            raise ConfigError(f"--layer {layer}: the recogniser's recurrent layers: {known or 'none'}")
    numbers = {layer - 1 for layer in layers} if layers else {count - 1}
    sides = list(dict.fromkeys(side for number, side in there if number in numbers))
    for direction in directions or ():
        if count and direction not in sides:
            raise ConfigError(f"--direction {direction}: the recogniser's layers read {' and '.join(sides)} only")
    return [(number, side) for number, side in there if number in numbers and side in (directions or sides)]


def _read(recognizer: Recognizer, source: str | Path) -> tuple[Tensor, Tensor, Clock, np.ndarray]:
    """What the pipeline gives the network of a source: padded (1, N, ...), lengths (1,); the clock of its frames; and what the decoder takes."""
    if recognizer.recipe.modality == "audio" and audio_seconds(source) > WINDOW_SECONDS:
        raise InputError(f"{source}: is longer than {WINDOW_SECONDS:g} s, more than a picture can show; cut it")
    calls: list[tuple[Tensor, Tensor]] = []
    handle = recognizer.network.register_forward_pre_hook(lambda _, arguments: calls.append(arguments))
    try:
        (emission,) = recognizer.emissions([source])
    finally:
        handle.remove()
    if emission.error is not None:
        raise InputError(emission.error)
    if not calls or emission.clock is None or emission.table is None:
        raise InputError(f"{source}: holds nothing to look at: silence, or a blank line")
    return calls[0][0], calls[0][1], emission.clock, emission.table


def _look(witness: Witness, maps: MapWitness, place: tuple[int, Direction], what: Sequence[str], units: int) -> list[Panel]:
    """A panel for each gate and state of a cell, the units of all in one order."""
    number, side = place
    if number < len(maps.scans):
        return _look_at_maps(maps, number, side, what)
    seen = {name: tensor[0].numpy() for name, tensor in witness.watch(number - len(maps.scans), side).items()}
    hidden = seen["h"].shape[1]
    order = order_units(seen["h"], units)
    shown = len(order) if len(order) == hidden else f"{len(order)} of {hidden}"
    group = f"layer {number + 1}, {side}: {shown} units, like ones side by side"
    return [Panel(group, name, seen[name][:, order] if seen[name].shape[1] == hidden else seen[name]) for name in _choose_names(seen, what)]


def _look_at_maps(maps: MapWitness, number: int, side: Direction, what: Sequence[str]) -> list[Panel]:
    """A map for each gate and state of a two-dimensional layer, one group for each corner that the direction starts from."""
    seen = {name: tensor[0].numpy() for name, tensor in maps.watch(number).items()}
    panels = []
    for corner in (0, 1) if side == "forwards" else (2, 3):
        group = f"layer {number + 1}, {side} from the {STARTS[corner]}: mean of {seen['h'].shape[3]} cells, of c and h its root mean square"
        for name in _choose_names(MAPS, what):
            values = seen[name][:, :, corner].swapaxes(0, 1)  # (W, R, H); states of either sign have a mean near zero
            mean = np.sqrt(np.square(values).mean(2)) if name in OUTPUTS else values.mean(2)
            panels.append(Panel(group, name, mean, maps.strides[number]))
    return panels


def _choose_names(names: Iterable[str], what: Sequence[str]) -> list[str]:
    return [name for name in names if ("cells" if name in OUTPUTS else "gates") in what]


def order_units(outputs: np.ndarray, most: int) -> np.ndarray:
    """Of units (T, H) those ``most`` that vary most, like ones side by side.

    Their order is that of the angles in the plane of the first two principal components of their correlations (Friendly 2002,
    "Corrgrams"): units that rise and fall together lie close, those that do the opposite half way round.
    """
    spread = outputs.std(0)
    chosen = np.sort(np.argsort(-spread, kind="stable")[:most])
    scaled = (outputs[:, chosen] - outputs[:, chosen].mean(0)) / np.maximum(spread[chosen], 1e-6)
    if min(scaled.shape) < 2:
        return chosen
    components = np.linalg.svd(scaled, full_matrices=False)[2]
    order: np.ndarray = chosen[np.argsort(np.arctan2(components[1], components[0]), kind="stable")]
    return order


def _is_picture(recognizer: Recognizer) -> bool:
    """Whether the features are the pixels that are drawn anyway."""
    return isinstance(recognizer.recipe.features, LineFeatures) and recognizer.recipe.features.kind == "pixels"


def _fold(recognizer: Recognizer, features: np.ndarray) -> np.ndarray:
    """(N, D) as blocks (K, N, D / K): the numbers themselves, then their differences in time."""
    settings = recognizer.recipe.features
    blocks = 1 + settings.deltas if isinstance(settings, AudioFeatures) else 1
    return features.reshape(len(features), blocks, -1).swapaxes(0, 1)


def _weigh(recognizer: Recognizer, gradient: np.ndarray, emitted: Sequence[int], symbol: int | None) -> Saliency:
    norms = np.linalg.norm(gradient, axis=1)
    weights = np.linalg.norm(_fold(recognizer, gradient), axis=0)
    if symbol is None:
        return Saliency(weights, norms)
    stride = recognizer.network.stride
    centre = (emitted[symbol - 1] + 0.5) * stride
    return Saliency(weights, norms, symbol - 1, {share: reach(norms, centre, share) / stride for share in SHARES})


def inspect_file(options: argparse.Namespace) -> int:
    """Carry out the command: write one picture, print its path."""
    what = _choose_what(options.what)
    out = _choose_output(options.source, options.output)
    require_matplotlib()
    if options.units < 1:
        raise ConfigError(f"--units {options.units}: must be 1 or more")
    recognizer = Recognizer.load(options.bundle, "cpu", threads=options.threads)
    found = inspect(recognizer, options.source, options.layer, options.direction, what, options.units, options.symbol)
    draw_inspection(found, out)
    if not found.panels and set(what) - {"saliency"}:
        Progress(options.quiet).line(f"{options.bundle}: has no recurrent layers to show")
    print(out)
    return 0


def _choose_what(words: str) -> list[str]:
    what = [word.strip() for word in words.split(",")]
    for word in what:
        if word not in WHAT:
            raise ConfigError(f"--what: {word!r} is not one of {', '.join(WHAT)}{nearest(word, WHAT)}")
    return what


def _choose_output(source: str, name: str | None) -> Path:
    """Where the picture goes: never over something that is there."""
    out = Path(name) if name is not None else Path(source + ".inspect.png")
    if out.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{out}: a picture's name ends in {', '.join(SUFFIXES)}")
    if out.exists():
        raise ConfigError(f"{out}: is there already; remove it, or name another file with -o")
    if not out.parent.is_dir():
        raise ConfigError(f"{out}: the folder {out.parent} is not there")
    return out
