"""The spectral features of :class:`recognizer.audio.features.AudioFeatureExtractor` as nodes of a graph."""

from __future__ import annotations

import math

import numpy as np

from recognizer.audio.features import DITHER_PERIOD, ENERGY_FLOOR, MAX_GAIN, MIN_DEVIATION, MIN_RMS, AudioFeatureExtractor
from recognizer.models.export.graph import END, Graph, Name

DELTA_SPAN = 2  # frames on either side of which differences are taken


def add_audio_features(graph: Graph, extractor: AudioFeatureExtractor, samples: Name, lengths: Name) -> tuple[Name, Name]:
    """Normalized features (B, T, D), zero in the padding, of samples (B, N) float32 with lengths (B,) int64; and the frames of each, (B,)."""
    config, window, hop = extractor.config, extractor.window, extractor.hop
    size = graph.size(samples, 1)
    inside, zero = graph.inside(lengths, size), graph.constant(0.0)
    count = graph.add("Unsqueeze", graph.cast(graph.add("Max", lengths, graph.ints(1)), "double"), graph.ints(1))
    samples = graph.add("Where", inside, samples, zero)
    if config.dither or config.normalize == "utterance":
        level = graph.add("Where", inside, graph.add("Sub", samples, _average(graph, samples, count)), zero)
        rms = graph.cast(graph.add("Sqrt", _average(graph, graph.add("Mul", level, level), count, "double")), "float")  # (B, 1)
        if config.dither:
            samples = graph.add("Add", samples, graph.add("Where", inside, _noise(graph, extractor, rms, size), zero))
    missing = graph.add("Max", graph.add("Sub", graph.ints(window), size), graph.ints(0))
    samples = graph.add("Pad", samples, graph.add("Concat", graph.ints(0, 0, 0), missing, axis=0))
    if config.normalize == "utterance":
        gain = graph.add("Div", graph.constant(MIN_RMS), graph.add("Max", rms, graph.constant(MIN_RMS / MAX_GAIN)))
        samples = graph.add("Mul", samples, graph.add("Max", gain, graph.constant(1.0)))
    frames = _count_frames(graph, lengths, window, hop)
    features = _static(graph, extractor, _cut_frames(graph, samples, window, hop))
    total = graph.size(features, 1)
    blocks = [features]
    for _ in range(config.deltas):
        blocks.append(_deltas(graph, blocks[-1], frames, total))
    features = graph.add("Concat", *blocks, axis=2) if len(blocks) > 1 else features
    real = graph.add("Unsqueeze", graph.inside(frames, total), graph.ints(2))  # (B, T, 1)
    features = graph.add("Where", real, features, zero)
    if config.normalize == "corpus":
        mean, std = (graph.constant(values.numpy()) for values in (extractor.mean, extractor.std))
        features = graph.add("Where", real, graph.add("Div", graph.add("Sub", features, mean), std), zero)
    elif config.normalize == "utterance":
        features = _normalize(graph, features, frames, real)
    # a batch of empty recordings has no frames
    return graph.cut(features, 1, 0, graph.add("ReduceMax", _count_frames(graph, size, window, hop), keepdims=1)), frames


def _average(graph: Graph, values: Name, count: Name, kind: str = "float") -> Name:
    """Mean of (B, N, ...) over the first axis, the sum taken in float64."""
    total = graph.add("ReduceSum", graph.cast(values, "double"), graph.ints(1), keepdims=1)
    average = graph.add("Div", total, count)
    return average if kind == "double" else graph.cast(average, kind)


def _noise(graph: Graph, extractor: AudioFeatureExtractor, rms: Name, size: Name) -> Name:
    """The dither (B, N) of recordings of so many samples."""
    noise = graph.stored(extractor._dither.numpy()[None], axis=0)  # (1, P)
    times = graph.add("Add", graph.add("Div", size, graph.ints(DITHER_PERIOD)), graph.ints(1))
    noise = graph.cut(graph.add("Tile", noise, graph.add("Concat", graph.ints(1), times, axis=0)), 1, 0, size)
    return graph.add("Mul", graph.add("Mul", graph.constant(extractor.config.dither), rms), noise)


def _count_frames(graph: Graph, lengths: Name, window: int, hop: int) -> Name:
    """Frames of recordings of so many samples: at least one, none of an empty one."""
    beyond = graph.add("Max", graph.add("Sub", lengths, graph.ints(window)), graph.ints(0))
    frames = graph.add("Add", graph.add("Div", beyond, graph.ints(hop)), graph.ints(1))
    return graph.add("Where", graph.add("Less", lengths, graph.ints(1)), graph.ints(0), frames)


def _cut_frames(graph: Graph, samples: Name, window: int, hop: int) -> Name:
    """Overlapping frames (B, T, window) of samples (B, N), N at least ``window``; copied block by block, which is faster than one by one."""
    block = math.gcd(window, hop)
    whole = graph.add("Div", graph.add("Sub", graph.size(samples, 1), graph.ints(window)), graph.ints(hop))  # frames but one
    used = graph.add("Add", graph.add("Mul", whole, graph.ints(hop)), graph.ints(window))
    blocks = graph.add("Reshape", graph.cut(samples, 1, 0, used), graph.ints(0, -1, block))
    starts = graph.add("Mul", graph.count_up(graph.add("Add", whole, graph.ints(1))), graph.ints(hop // block))
    places = graph.add("Add", graph.add("Unsqueeze", starts, graph.ints(1)), graph.constant(np.arange(window // block), np.int64))
    return graph.add("Reshape", graph.add("Gather", blocks, places, axis=1), graph.ints(0, -1, window))


def _static(graph: Graph, extractor: AudioFeatureExtractor, pieces: Name) -> Name:
    """Static columns (B, T, S) of the samples (B, T, window) of every frame."""
    config, floor = extractor.config, graph.constant(ENERGY_FLOOR)
    pieces = graph.add("Sub", pieces, graph.add("ReduceMean", pieces, axes=[2], keepdims=1))
    energy = graph.add("ReduceSum", graph.add("Mul", pieces, pieces), graph.ints(2), keepdims=1) if config.energy else ""
    previous = graph.add("Concat", graph.cut(pieces, 2, 0, 1), graph.cut(pieces, 2, 0, -1), axis=2)
    pieces = graph.add("Sub", pieces, graph.add("Mul", previous, graph.constant(config.preemphasis)))
    pieces = graph.add("Mul", pieces, graph.constant(extractor._window.numpy()))
    features = _power(graph, pieces, extractor.window, extractor.fft)
    if config.kind != "spectrogram":
        features = graph.add("MatMul", features, graph.constant(extractor._bank.numpy()))
    features = graph.add("Log", graph.add("Max", features, floor))
    if config.kind == "mfcc":
        features = graph.add("MatMul", features, graph.constant(extractor._cosines.numpy()))
    return graph.add("Concat", features, graph.add("Log", graph.add("Max", energy, floor)), axis=2) if config.energy else features


def _power(graph: Graph, pieces: Name, window: int, fft: int) -> Name:
    """Power spectrum (B, T, fft / 2 + 1) of frames (B, T, window) padded with zeros to ``fft``.

    A shift does not change it, so that frames are centered: their even part then has cosines only and the odd part sines, half the
    products. The tables are made when the graph is loaded: stored, they would be as large as a layer of the network.
    """
    half = window // 2
    right, left = graph.cut(pieces, 2, half, END), graph.cut(pieces, 2, half - 1, -END, -1)  # from the middle outwards; the latter one later
    left = graph.add("Pad", left, graph.ints(0, 0, 1, 0, 0, 0))
    if window % 2 == 0:
        right = graph.add("Pad", right, graph.ints(0, 0, 0, 0, 0, 1))
    count = half + 1
    turns = graph.add("Mul", graph.constant(np.arange(count)[:, None], np.int64), graph.constant(np.arange(fft // 2 + 1), np.int64))
    turns = graph.add("Mod", turns, graph.ints(fft))
    circle = 2 * np.pi * np.arange(fft) / fft
    parts = []
    for operator, wave in (("Add", np.cos), ("Sub", np.sin)):
        table = graph.add("Gather", graph.constant(wave(circle)), turns, axis=0)  # (count, fft / 2 + 1)
        part = graph.add("MatMul", graph.add(operator, right, left), table)
        parts.append(graph.add("Mul", part, part))
    return graph.add("Add", *parts)


def _deltas(graph: Graph, features: Name, frames: Name, total: Name) -> Name:
    """Slope (B, T, S) of each column over two frames on either side; the ends of every utterance repeat."""
    last = graph.add("Unsqueeze", graph.add("Max", graph.add("Sub", frames, graph.ints(1)), graph.ints(0)), graph.ints(1))  # (B, 1)
    wide = graph.add("Shape", features)
    slopes = ""
    for step in range(1, DELTA_SPAN + 1):
        shifted = []
        for sign in (1, -1):
            place = graph.add("Add", graph.count_up(total), graph.ints(sign * step))
            place = graph.add("Min", graph.add("Max", place, graph.ints(0)), last)  # (B, T)
            place = graph.add("Expand", graph.add("Unsqueeze", place, graph.ints(2)), wide)
            shifted.append(graph.add("GatherElements", features, place, axis=1))
        slope = graph.add("Mul", graph.add("Sub", *shifted), graph.constant(step / (2 * sum(n * n for n in range(1, DELTA_SPAN + 1)))))
        slopes = graph.add("Add", slopes, slope) if slopes else slope
    return slopes


def _normalize(graph: Graph, features: Name, frames: Name, real: Name) -> Name:
    """Features (B, T, D) with mean 0 and deviation 1 in each column of each utterance."""
    count = graph.add("Unsqueeze", graph.cast(graph.add("Max", frames, graph.ints(1)), "double"), graph.ints(1, 2))
    centered = graph.add("Where", real, graph.add("Sub", features, _average(graph, features, count)), graph.constant(0.0))
    variance = _average(graph, graph.add("Mul", centered, centered), count, "double")
    deviation = graph.add("Max", graph.cast(graph.add("Sqrt", variance), "float"), graph.constant(MIN_DEVIATION))
    return graph.add("Div", centered, deviation)
