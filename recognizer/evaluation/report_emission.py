"""The picture every CTC paper has: probabilities of the labels over time, with the spikes named (Graves et al. 2006, figure 1)."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from recognizer.decoding.greedy import greedy
from recognizer.decoding.timing import Clock
from recognizer.evaluation.report_markup import Html, element, name_token, shorten

GUTTER = 44  # pixels left of the first frame, for names; the picture of a line leaves as many
NAMES = 30  # height of two rows of names above the curves
CURVES = 90
ROW = 10  # of the map of log-probs
MOST_ROWS = 24
FLOOR = -8.0  # natural log-prob at which the map is blank
LEAST = 0.02  # probability below which a curve is not drawn
SEEN = 0.1  # probability that a label must reach to have a curve and a row
WAVE = 56
HUES = (210, 20, 145, 280, 355, 185, 325, 40)  # of the colours of labels, degrees


@dataclass(frozen=True)
class Scale:
    """How times or pixels of the source become pixels of the page: ``x = GUTTER + factor * place``; ``width`` is that of the source on the page."""

    factor: float
    width: float


def draw_emission(log_probs: np.ndarray, clock: Clock, symbols: Sequence[str], scale: Scale, samples: np.ndarray | None = None) -> Html:
    """Spikes, then the map of log-probs, then for a recording its waveform and a time axis.

    Args:
        log_probs: (T, V), label 0 the blank.
        clock: of its frames.
        symbols: label n writes ``symbols[n - 1]``.
        scale: of the picture.
        samples: (N,) of what lies within ``scale.width``; None for a line, which stands above the picture.
    """
    edges = GUTTER + scale.factor * (clock.offset + clock.step * np.arange(len(log_probs) + 1))  # (T + 1,)
    inside = edges[:-1] < GUTTER + scale.width
    log_probs, edges = log_probs[inside], edges[: int(inside.sum()) + 1]
    best = greedy(log_probs)
    ends = [*best.frames[1:], len(log_probs)][: len(best.frames)]
    spikes = [  # (frame, label): the frame where each is likeliest within its run
        (start + int(log_probs[start:end, label].argmax()), label) for start, end, label in zip(best.frames, ends, best.labels, strict=True)
    ]
    bottom = NAMES + CURVES
    marks = [*_draw_curves(log_probs, edges), *_name_spikes(spikes, edges, symbols)]
    rows = _choose_rows(log_probs, spikes)
    marks += _draw_map(log_probs[:, rows], edges, [name_token(symbols[label - 1], 6) for label in rows], bottom + 6)
    bottom += 6 + ROW * len(rows)
    if samples is not None:
        marks += [*_draw_wave(samples, scale.width, bottom + 6), *_draw_seconds(scale, bottom + 6 + WAVE)]
        bottom += WAVE + 26
    marks.append(element("path", d=f"M{GUTTER} 0V{bottom}", class_="playhead", visibility="hidden"))
    width, read = GUTTER + scale.width + 16, " ".join(name_token(symbols[label - 1]) for _, label in spikes)
    label = f"Probability of each label over time, {len(spikes)} spikes: {shorten(read, 300)}"
    return element("svg", *marks, viewBox=f"0 0 {width:.0f} {bottom + 4}", width=round(width), height=bottom + 4, role="img", aria_label=label)


def _draw_curves(log_probs: np.ndarray, edges: np.ndarray) -> list[Html]:
    probs = np.exp(np.asarray(log_probs, np.float64))
    middles = (edges[1:] + edges[:-1]) / 2
    bottom = NAMES + CURVES
    marks = []
    for share, text in ((0.0, "0"), (0.5, "\u00bd"), (1.0, "1")):
        y = bottom - share * CURVES
        marks.append(element("path", d=f"M{GUTTER} {y:.1f}H{edges[-1]:.1f}", class_="grid"))
        marks.append(element("text", text, x=GUTTER - 6, y=y + 4, text_anchor="end", class_="tick"))
    if len(probs):
        marks.append(element("path", _title("blank"), d=_trace(middles, probs[:, 0], np.arange(len(probs)), bottom), class_="blank"))
    for label in (np.flatnonzero(probs[:, 1:].max(axis=0, initial=0.0) >= SEEN) + 1).tolist():
        shown = np.flatnonzero(probs[:, label] >= LEAST)
        stretches = np.split(shown, np.flatnonzero(np.diff(shown) > 1) + 1)
        path = "".join(_trace(middles, probs[:, label], np.arange(max(0, s[0] - 1), min(len(probs), s[-1] + 2)), bottom) for s in stretches)
        marks.append(element("path", d=path, class_="curve", style=_colour(label)))
    return marks


def _trace(middles: np.ndarray, probs: np.ndarray, frames: np.ndarray, bottom: float) -> str:
    return "M" + "L".join(f"{middles[n]:.1f} {bottom - probs[n] * CURVES:.1f}" for n in frames.tolist())


def _name_spikes(spikes: Sequence[tuple[int, int]], edges: np.ndarray, symbols: Sequence[str]) -> list[Html]:
    """Names in two rows, so that those of close spikes do not overlap."""
    marks = []
    free = [0.0, 0.0]  # where each row ends so far
    for frame, label in spikes:
        x = float(edges[frame] + edges[frame + 1]) / 2
        name = name_token(symbols[label - 1], 6)
        half = 3.6 * len(name) + 1
        row = next((n for n in (0, 1) if x - half >= free[n]), None)
        if row is None:
            continue
        free[row] = x + half
        marks.append(element("text", name, x=x, y=NAMES - 5 - 13 * row, text_anchor="middle", class_="spike", style=_colour(label)))
    return marks


def _choose_rows(log_probs: np.ndarray, spikes: Sequence[tuple[int, int]]) -> list[int]:
    """Labels of the map: those that spike in order of appearance, then others that come near to it."""
    rows = list(dict.fromkeys(label for _, label in spikes))
    highest = log_probs[:, 1:].max(axis=0, initial=-np.inf)
    others = [int(label) + 1 for label in np.argsort(-highest, kind="stable") if highest[label] >= np.log(SEEN)]
    return list(dict.fromkeys([*rows[:MOST_ROWS], *others]))[:MOST_ROWS]


def _draw_map(log_probs: np.ndarray, edges: np.ndarray, names: Sequence[str], top: float) -> list[Html]:
    """A pixel a frame and label; the darker the likelier, on a logarithmic scale down to exp(``FLOOR``)."""
    if not log_probs.size:
        return []
    pixels = np.empty((*log_probs.T.shape, 4), np.uint8)
    pixels[..., :3] = (70, 120, 200)
    pixels[..., 3] = np.rint(255 * np.clip(1 - log_probs.T / FLOOR, 0, 1))
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    source = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    box = {"x": float(edges[0]), "y": float(top), "width": float(edges[-1] - edges[0]), "height": ROW * len(names)}
    marks = [element("image", href=source, preserveAspectRatio="none", class_="map", **box)]
    for n, name in enumerate(names):
        marks.append(element("text", name, x=GUTTER - 6, y=top + ROW * n + ROW - 1, text_anchor="end", class_="row"))
    return marks


def _draw_wave(samples: np.ndarray, width: float, top: float) -> list[Html]:
    """Highest and lowest sample of every two pixels, scaled to the loudest."""
    columns = max(1, min(len(samples), int(width / 2)))
    starts = np.linspace(0, len(samples), columns, endpoint=False).astype(np.int64)
    peak = max(float(np.abs(samples).max(initial=0.0)), 1e-3)
    middle, half = top + WAVE / 2, WAVE / 2 / peak
    highs, lows = (middle - half * reduce.reduceat(samples, starts) for reduce in (np.maximum, np.minimum))
    x = GUTTER + width * (np.arange(columns) + 0.5) / columns
    there = [f"{a:.0f} {b:.1f}" for a, b in zip(x, highs, strict=True)]
    back = [f"{a:.0f} {b:.1f}" for a, b in zip(x[::-1], lows[::-1], strict=True)]
    return [element("path", d="M" + "L".join(there + back) + "Z", class_="wave")]


def _draw_seconds(scale: Scale, top: float) -> list[Html]:
    step = next(s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0) if s * scale.factor >= 50 or s == 60.0)
    marks = []
    for n in range(int(scale.width / scale.factor / step + 1e-6) + 1):
        x = GUTTER + n * step * scale.factor
        marks.append(element("path", d=f"M{x:.1f} {top:.1f}v5", class_="whisker"))
        marks.append(element("text", f"{n * step:.3g}\u00a0s", x=x, y=top + 17, text_anchor="middle", class_="tick"))
    return marks


def _title(text: str) -> Html:
    return element("title", text)


def _colour(label: int) -> str:
    return f"--hue:{HUES[label % len(HUES)]}"
