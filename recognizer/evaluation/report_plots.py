"""The items of a report: their log-probs as inline SVG, their recordings and images as data that the page itself holds."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soundfile
from PIL import Image

from recognizer.audio.io import audio_seconds, load_audio
from recognizer.config import Modality
from recognizer.decoding.timing import FrameTimes
from recognizer.evaluation.report_data import name_token, shorten, spell
from recognizer.image.io import load_image
from recognizer.strokes.io import load_trace

if TYPE_CHECKING:
    from recognizer.inference.runner import Emission

GUTTER = 44  # pixels left of the first frame, for names; the image of a line leaves as many
NAMES_HEIGHT, CURVES_HEIGHT, WAVE_HEIGHT, ROW_HEIGHT = 30, 90, 56, 10  # pixels of the parts of a plot of log-probs
MAX_LABELS = 24  # rows of the map of log-probs
LOG_PROB_FLOOR = -8.0  # natural log-prob at which the map is blank
MIN_LABEL_PROB = 0.1  # that a label must reach to have a curve and a row
MIN_DRAWN_PROB = 0.02  # below which a curve is not drawn
HUES = (210, 20, 145, 280, 355, 185, 325, 40)  # of the colors of labels, degrees
FRAME_WIDTH, MAX_WAVE_WIDTH = 7.0, 4_000.0  # pixels of a frame, so that close spikes can be told apart; of a recording at most
SAMPLE_RATE, MAX_SECONDS = 16_000, 30.0  # of an embedded recording
IMAGE_HEIGHT, IMAGE_WIDTH, WEBP_QUALITY = 120, 2_000, 60  # of an embedded image at most


class Html(str):
    """Markup, which the template leaves as it is. Every other string is text and is escaped wherever it is put into markup."""

    def __html__(self) -> str:
        return self


def element(name: str, *children: object, **attributes: object) -> Html:
    """An element of HTML or SVG; ``_`` in names of attributes stands for ``-``, fractions are rounded to a tenth."""
    parts = [name]
    for key, value in attributes.items():
        written = f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
        parts.append(f'{key.rstrip("_").replace("_", "-")}="{html.escape(spell(written))}"')
    inner = "".join(child if isinstance(child, Html) else html.escape(spell(str(child))) for child in children)
    return Html(f"<{' '.join(parts)}>{inner}</{name}>")


def _text(content: str, x: float, y: float, anchor: str = "middle", kind: str = "tick", **attributes: object) -> Html:
    return element("text", content, x=x, y=y, text_anchor=anchor, class_=kind, **attributes)


def _path(d: str, kind: str, *children: object, **attributes: object) -> Html:
    return element("path", *children, d=d, class_=kind, **attributes)


class Scale(NamedTuple):
    """How seconds or pixels of a source become pixels of the page: ``x = GUTTER + factor * place``; ``width`` is that of the whole source."""

    factor: float
    width: float


def draw_log_probs(
    log_probs: np.ndarray, times: FrameTimes, symbols: Sequence[str], scale: Scale, samples: np.ndarray | None = None
) -> Html:
    """Probabilities of the labels over time with the spikes named (Graves et al. 2006, figure 1), and below them a map of the log-probs.

    Args:
        log_probs: (T, V), label 0 the blank.
        times: of its frames.
        symbols: label n writes ``symbols[n - 1]``.
        scale: of the picture.
        samples: (N,) of a recording, for a waveform and a time axis below.
    """
    edges = GUTTER + scale.factor * (times.offset + times.step * np.arange(len(log_probs) + 1))  # (T + 1,)
    inside = int((edges[:-1] < GUTTER + scale.width).sum())
    log_probs, edges = log_probs[:inside], edges[: inside + 1]
    best = log_probs.argmax(1)
    starts = np.flatnonzero(np.diff(best, prepend=-1)).tolist()
    runs = [(start, end, int(best[start])) for start, end in zip(starts, [*starts[1:], inside], strict=False) if best[start]]
    spikes = [(start + int(log_probs[start:end, label].argmax()), label) for start, end, label in runs]  # where each is likeliest
    peaks = log_probs[:, 1:].max(axis=0, initial=-np.inf)
    likely = [int(n) + 1 for n in np.argsort(-peaks, kind="stable") if peaks[n] >= math.log(MIN_LABEL_PROB)]
    rows = list(dict.fromkeys([*(label for _, label in spikes), *likely]))[:MAX_LABELS]
    bottom = NAMES_HEIGHT + CURVES_HEIGHT
    marks = [*_draw_curves(np.exp(log_probs.astype(np.float64)), edges, sorted(likely)), *_name_spikes(spikes, edges, symbols)]
    marks += _draw_map(log_probs[:, rows], edges, [name_token(symbols[label - 1], 6) for label in rows], bottom + 6)
    bottom += 6 + ROW_HEIGHT * len(rows)
    if samples is not None:
        marks += [_draw_wave(samples, scale.width, bottom + 6), *_draw_seconds(scale, bottom + 6 + WAVE_HEIGHT)]
        bottom += WAVE_HEIGHT + 26
    marks.append(_path(f"M{GUTTER} 0V{bottom}", "playhead", visibility="hidden"))
    width, read = GUTTER + scale.width + 16, " ".join(name_token(symbols[label - 1]) for _, label in spikes)
    title = f"Probability of each label over time, {len(spikes)} spikes: {shorten(read, 300)}"
    return element("svg", *marks, viewBox=f"0 0 {width:.0f} {bottom + 4}", width=round(width), height=bottom + 4, role="img", aria_label=title)


def _draw_curves(probs: np.ndarray, edges: np.ndarray, labels: Sequence[int]) -> list[Html]:
    """The blank, and of each label the stretches where it can be seen."""
    middles, heights = (edges[1:] + edges[:-1]) / 2, NAMES_HEIGHT + CURVES_HEIGHT * (1 - probs)

    def trace(label: int, first: int, stop: int) -> str:
        return "M" + "L".join(f"{middles[n]:.1f} {heights[n, label]:.1f}" for n in range(max(first, 0), min(stop, len(probs))))

    marks = []
    for share, name in ((0.0, "0"), (0.5, "\u00bd"), (1.0, "1")):
        y = NAMES_HEIGHT + CURVES_HEIGHT * (1 - share)
        marks += [_path(f"M{GUTTER} {y:.1f}H{edges[-1]:.1f}", "grid"), _text(name, GUTTER - 6, y + 4, "end")]
    if len(probs):
        marks.append(_path(trace(0, 0, len(probs)), "blank", element("title", "blank")))
    for label in labels:
        shown = np.flatnonzero(probs[:, label] >= MIN_DRAWN_PROB)
        stretches = np.split(shown, np.flatnonzero(np.diff(shown) > 1) + 1)
        marks.append(_path("".join(trace(label, s[0] - 1, s[-1] + 2) for s in stretches), "curve", style=_color(label)))
    return marks


def _name_spikes(spikes: Sequence[tuple[int, int]], edges: np.ndarray, symbols: Sequence[str]) -> list[Html]:
    """Names in two rows, so that those of close spikes do not overlap; where both are taken a spike has no name."""
    marks = []
    free = [0.0, 0.0]  # where each row ends so far
    for frame, label in spikes:
        x, name = float(edges[frame] + edges[frame + 1]) / 2, name_token(symbols[label - 1], 6)
        half = 3.6 * len(name) + 1
        row = next((n for n in (0, 1) if x - half >= free[n]), None)
        if row is not None:
            free[row] = x + half
            marks.append(_text(name, x, NAMES_HEIGHT - 5 - 13 * row, kind="spike", style=_color(label)))
    return marks


def _color(label: int) -> str:
    return f"--hue:{HUES[label % len(HUES)]}"


def _draw_map(log_probs: np.ndarray, edges: np.ndarray, names: Sequence[str], top: float) -> list[Html]:
    """A pixel a frame and label; the darker the likelier, on a logarithmic scale down to ``LOG_PROB_FLOOR``."""
    if not log_probs.size:
        return []
    pixels = np.full((*log_probs.T.shape, 4), (70, 120, 200, 0), np.uint8)
    pixels[..., 3] = np.rint(255 * np.clip(1 - log_probs.T / LOG_PROB_FLOOR, 0, 1))
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    place = {"x": float(edges[0]), "y": top, "width": float(edges[-1] - edges[0]), "height": ROW_HEIGHT * len(names)}
    image = element("image", href=_data_uri("image/png", stream), preserveAspectRatio="none", class_="map", **place)
    return [image, *(_text(name, GUTTER - 6, top + ROW_HEIGHT * (n + 1) - 1, "end", "row") for n, name in enumerate(names))]


def _draw_wave(samples: np.ndarray, width: float, top: float) -> Html:
    """Highest and lowest sample of every two pixels, scaled to the loudest."""
    columns = max(1, min(len(samples), int(width / 2)))
    starts = np.linspace(0, len(samples), columns, endpoint=False).astype(np.int64)
    half = WAVE_HEIGHT / 2 / max(float(np.abs(samples).max(initial=0.0)), 1e-3)
    x = GUTTER + width * (np.arange(columns) + 0.5) / columns
    highs, lows = (top + WAVE_HEIGHT / 2 - half * reduce.reduceat(samples, starts) for reduce in (np.maximum, np.minimum))
    outline = zip([*x, *x[::-1]], [*highs, *lows[::-1]], strict=True)
    return _path("M" + "L".join(f"{a:.0f} {b:.1f}" for a, b in outline) + "Z", "wave")


def _draw_seconds(scale: Scale, top: float) -> list[Html]:
    step = next((s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0) if s * scale.factor >= 50), 60.0)
    marks = []
    for n in range(int(scale.width / scale.factor / step + 1e-6) + 1):
        x = GUTTER + n * step * scale.factor
        marks += [_path(f"M{x:.1f} {top:.1f}v5", "whisker"), _text(f"{n * step:.3g}\u00a0s", x, top + 17)]
    return marks


@dataclass(frozen=True)
class Media:
    """The recording, line image or pen trace of an item, as the page embeds it.

    Attributes:
        audio: URI of an MP3; ``image``: of a WebP of ``width`` x ``height`` pixels.
        trace, log_probs: drawings of a pen trace and of the log-probs.
        second: pixels of a second of a recording.
        note: what is to be said of it.
    """

    audio: str = ""
    image: str = ""
    width: int = 0
    height: int = 0
    trace: str = ""
    log_probs: str = ""
    second: float = 0.0
    note: str = ""

    @property
    def size(self) -> int:
        """Characters on the page, about."""
        return len(self.audio) + len(self.image) + len(self.trace) + len(self.log_probs)


def embed_source(source: Path, modality: Modality, symbols: Sequence[str], emission: Emission | None) -> Media:
    """Read the source of an item, and draw the log-probs below it if they are known.

    Raises:
        InputError: the source cannot be read.
    """
    if modality == "audio":
        uri, samples, seconds = embed_audio(source)
        media = Media(audio=uri, note=f"The first {MAX_SECONDS:g} of {seconds:.0f} seconds." if seconds > MAX_SECONDS else "")
    elif modality == "strokes":
        media = Media(trace=draw_trace(source))
    else:
        uri, width, height, factor = embed_image(source)
        media = Media(image=uri, width=width, height=height)
    if emission is None or emission.log_probs is None or emission.frame_times is None:
        return media
    log_probs, times = emission.log_probs, emission.frame_times
    if modality == "audio":
        shown = max(len(samples), 1) / SAMPLE_RATE
        factor = min(FRAME_WIDTH / times.step, MAX_WAVE_WIDTH / shown)
        return replace(media, log_probs=draw_log_probs(log_probs, times, symbols, Scale(factor, factor * shown), samples), second=factor)
    scale = Scale(FRAME_WIDTH / times.step, FRAME_WIDTH * len(log_probs)) if modality == "strokes" else Scale(factor, width)
    return replace(media, log_probs=draw_log_probs(log_probs, times, symbols, scale))


def embed_audio(path: Path) -> tuple[str, np.ndarray, float]:
    """Read a recording and encode its first ``MAX_SECONDS`` as MP3, which every browser plays.

    Returns:
        Its URI, the encoded samples (N,) at ``SAMPLE_RATE``, and the full length in seconds.

    Raises:
        InputError: it cannot be read.
    """
    seconds = audio_seconds(path)
    samples = load_audio(path, SAMPLE_RATE, seconds=MAX_SECONDS)
    stream = io.BytesIO()
    kind = {"format": "MP3", "subtype": "MPEG_LAYER_III", "compression_level": 0.7, "bitrate_mode": "VARIABLE"}
    soundfile.write(stream, samples, SAMPLE_RATE, **kind)
    return _data_uri("audio/mpeg", stream), samples, seconds


def embed_image(path: Path) -> tuple[str, int, int, float]:
    """Read an image as the recognizer does (gray, upright) and encode it as WebP, scaled down where it is large.

    Returns:
        Its URI, width and height in pixels, and how many times its own size this is.

    Raises:
        InputError: it cannot be read.
    """
    gray = load_image(path)
    scale = min(1.0, IMAGE_HEIGHT / gray.shape[0], IMAGE_WIDTH / gray.shape[1])
    height, width = (max(1, round(size * scale)) for size in gray.shape)
    stream = io.BytesIO()
    Image.fromarray(gray).resize((width, height), Image.Resampling.LANCZOS).save(stream, "WEBP", quality=WEBP_QUALITY, method=4)
    return _data_uri("image/webp", stream), width, height, width / gray.shape[1]


def draw_trace(path: Path) -> Html:
    """Read a pen trace and draw its strokes.

    Raises:
        InputError: it cannot be read.
    """
    strokes = [stroke[:, :2] for stroke in load_trace(path).strokes]
    points = np.concatenate(strokes)
    low, extent = points.min(axis=0), np.maximum(np.ptp(points, axis=0), 1e-9)
    scale = min(IMAGE_HEIGHT / extent[1], IMAGE_WIDTH / extent[0])
    drawn = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in ((stroke - low) * scale + 4).tolist()) for stroke in strokes)
    width, height = (extent * scale + 8).tolist()
    size = {"viewBox": f"0 0 {width:.0f} {height:.0f}", "width": width, "height": height}
    return element("svg", _path(drawn, "pen"), **size, role="img", aria_label="The pen trace")


def _data_uri(kind: str, stream: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
