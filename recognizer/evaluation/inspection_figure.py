"""The picture of a network at work: the input, what is read in it and when, what that hangs on, gates and states of cells, over one axis."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from recognizer.config import Modality
from recognizer.errors import ConfigError, InputError
from recognizer.evaluation.inspection import Inspection, Panel, Saliency

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg", ".pdf")
AXES: dict[Modality, str] = {"audio": "seconds", "line": "pixels", "strokes": "points of the prepared trace"}
SHORT: dict[Modality, str] = {"audio": "s", "line": "pixels", "strokes": "points"}
INK = "#d55e00"  # of saliency, on grey; like COLOURS of the palette of Okabe & Ito 2008, whose colours the colour-blind can tell apart
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
LEAST = 0.02  # posterior below which a symbol has no curve
NAMED = 0.2  # posterior from which a spike is named
SHADE = 99.5  # percentile of weights that has the full colour; a few outliers would leave all others pale
MOST = 97.0  # percentile of gates and states likewise: some cells count to 30 while most stay below 3
NARROWEST, WIDEST, PER_SYMBOL = 12.0, 30.0, 0.16  # inches
TALL, FLAT = 0.75, 0.4  # inches of a panel of units and of a map, which has few rows
WAVE_COLUMNS = 3000
DPI = 130


def require_matplotlib() -> None:
    """See that pictures can be drawn.

    Raises:
        ConfigError: the extra is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ConfigError("inspect draws with matplotlib, an extra: pip install 'recognizer[inspect]'") from None


def draw_inspection(found: Inspection, path: Path) -> None:
    """Write the picture as PNG, SVG or PDF, by the suffix of ``path``, whole or not at all.

    Raises:
        ConfigError: matplotlib is not installed.
        InputError: the file cannot be written.
    """
    require_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    kind = path.suffix.lower().lstrip(".")
    dates: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}  # the same picture is the same file
    unfinished = path.with_name(path.name + ".partial")
    with rc_context({"font.size": 9, "svg.hashsalt": "recognizer", "axes.titlesize": 9, "axes.linewidth": 0.6}):
        width = min(max(NARROWEST, PER_SYMBOL * sum(max(1, len(token.symbol)) for token in found.tokens)), WIDEST)
        rows = _list_rows(found, width)
        heights = [height for height, _, _ in rows]
        figure = Figure(figsize=(width, sum(heights) + 0.28 * len(rows) + 0.9), layout="constrained")
        grid = figure.add_gridspec(len(rows), 2, width_ratios=(1, 0.008), height_ratios=heights)
        shared: Axes | None = None
        for number, (_, timed, draw) in enumerate(rows):
            axes = figure.add_subplot(grid[number, 0], sharex=shared if timed else None)
            legend = draw(axes)
            if legend is not None:
                figure.colorbar(legend, cax=figure.add_subplot(grid[number, 1])).ax.tick_params(labelsize=7, length=2)
            if timed:
                shared = axes
                _mark_symbols(found, axes)
                axes.tick_params(labelbottom=number == len(rows) - 1)
        assert shared is not None
        shared.set_xlim(found.places(0.0), min(found.clock.end, float(found.places(len(found.posteriors)))))
        shared.set_xlabel(AXES[found.modality])
        figure.suptitle(f"{Path(found.name).name}\n{_shorten(found.text, int(11 * width))}", fontsize=11, parse_math=False)
        try:
            figure.savefig(unfinished, format=kind, dpi=DPI, metadata=dates.get(kind))
            unfinished.replace(path)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise InputError(f"{path}: cannot be written: {error.strerror}") from None


Row = tuple[float, bool, Callable[["Axes"], Any]]  # inches, whether it lies over the common axis, what draws it and gives what a colour bar is of


def _list_rows(found: Inspection, width: float) -> list[Row]:
    if found.modality == "line":
        strip = 0.85 * width * found.content.shape[1] / len(found.content)
        tall = min(max(strip, 0.5), 2.5)
        rows: list[Row] = [(tall, True, partial(_draw_line, found))]
    elif found.modality == "audio":
        tall = 1.4
        rows = [(0.8, True, partial(_draw_wave, found))]
    else:
        tall = 1.4
        rows = [(1.4, False, partial(_draw_trace, found))]
    if found.features is not None:
        rows.append((1.4, True, partial(_draw_features, found)))
    rows.append((1.1, True, partial(_draw_posteriors, found)))
    if found.saliency is not None:
        rows += [(tall, True, partial(_draw_weights, found, found.saliency)), (0.6, True, partial(_draw_norms, found, found.saliency))]
    groups = [None, *(panel.group for panel in found.panels)]
    for before, panel in zip(groups, found.panels, strict=False):
        rows.append((TALL if panel.stride is None else FLAT, True, partial(_draw_panel, found, panel, before != panel.group)))
    return rows


def _draw_line(found: Inspection, axes: Axes) -> None:
    _title(axes, "line as prepared for the network", "row")
    axes.imshow(found.content.T, cmap="Greys", extent=_extent(found, len(found.content), found.content.shape[1], True), aspect="auto")


def _draw_wave(found: Inspection, axes: Axes) -> None:
    _title(axes, "waveform", "amplitude")
    step = max(1, len(found.content) // WAVE_COLUMNS)
    columns = np.resize(found.content, (len(found.content) // step, step))
    times = np.linspace(0, found.clock.end, len(columns), endpoint=False)
    axes.fill_between(times, columns.min(1), columns.max(1), color="0.25", linewidth=0.4)


def _draw_trace(found: Inspection, axes: Axes) -> None:
    """The pen's way, over the heights of letters; what its symbols hang on in colour, each symbol above the point where it is read."""
    _title(axes, "trace as prepared for the network", "letter heights")
    x, y, pen = found.content[:, 0], found.content[:, 1], found.content[:, 2] > 0
    axes.plot(np.where(pen, x, np.nan), np.where(pen, y, np.nan), color="0.6", linewidth=1.2)
    if found.saliency is not None:
        axes.scatter(x[pen], y[pen], s=14, color=_shade(found.saliency.norms)[pen], linewidth=0)
    axes.set_aspect("equal", adjustable="datalim")
    for number, (token, frame) in enumerate(zip(found.tokens, found.emitted, strict=True)):
        point = min(int((frame + 0.5) * found.stride), len(x) - 1)
        _write(axes, x[point], 1.02, token.symbol, axes.get_xaxis_transform(), _chosen(found, number))


def _draw_features(found: Inspection, axes: Axes) -> Any:
    assert found.features is not None
    _title(axes, "features as the network gets them", "feature")
    low, high = np.percentile(found.features, (100 - SHADE, SHADE))
    extent = _extent(found, *found.features.shape)
    return axes.imshow(found.features.T, cmap="magma", vmin=low, vmax=high, extent=extent, aspect="auto", origin="lower")


def _draw_posteriors(found: Inspection, axes: Axes) -> None:
    _title(axes, "posteriors (grey: blank)", "probability")
    centres = found.places(np.arange(len(found.posteriors)) + 0.5)
    axes.plot(centres, found.posteriors[:, 0], color="0.7", linewidth=0.8)
    for label in range(1, found.posteriors.shape[1]):
        curve = found.posteriors[:, label]
        if curve.max() < LEAST:
            continue
        colour = COLOURS[label % len(COLOURS)]
        axes.plot(centres, np.where(curve >= LEAST / 4, curve, np.nan), color=colour, linewidth=1.0)
        for peak in _find_peaks(curve):
            _write(axes, centres[peak], curve[peak] + 0.03, found.symbols[label - 1], axes.transData, {"color": colour, "fontsize": 7})
    axes.set_ylim(0, 1.25)
    axes.set_yticks([0, 0.5, 1])


def _find_peaks(curve: np.ndarray) -> list[int]:
    """The highest frame of each run above NAMED."""
    above = np.flatnonzero(curve >= NAMED)
    runs = np.split(above, np.flatnonzero(np.diff(above) > 1) + 1)
    return [int(run[curve[run].argmax()]) for run in runs if len(run)]


def _draw_weights(found: Inspection, weights: Saliency, axes: Axes) -> None:
    whose = "all symbols" if weights.symbol is None else f"symbol {weights.symbol + 1}, {_spell(found.tokens[weights.symbol].symbol)},"
    _title(axes, f"what the log-probability of {whose} hangs on: absolute gradient by the input", "row" if found.features is None else "feature")
    backdrop = found.content.astype(float) if found.features is None else found.features
    size = backdrop.shape[1] if found.features is None else weights.weights.shape[1]
    down = found.features is None
    extent = _extent(found, len(backdrop), size, down)
    low, high = np.percentile(backdrop, (100 - SHADE, SHADE))
    origin: Literal["upper", "lower"] = "upper" if down else "lower"
    # the upper end lies beyond what there is, so that the picture stays pale beneath the colour
    axes.imshow(backdrop.T, cmap="Greys", vmin=low, vmax=max(high, low + 1e-6) + 0.8 * (high - low), extent=extent, aspect="auto", origin=origin)
    axes.imshow(_shade(weights.weights.T), extent=extent, aspect="auto", origin=origin, interpolation="nearest")


def _draw_norms(found: Inspection, weights: Saliency, axes: Axes) -> None:
    reaches = [f"{share:.0%} within {frames * found.clock.step:.3g} {SHORT[found.modality]}" for share, frames in weights.reach.items()]
    _title(axes, "; ".join(["its norm over time", *reaches]), "norm")
    frames = (np.arange(len(weights.norms)) + 0.5) / found.stride
    axes.fill_between(found.places(frames), weights.norms, color=INK, alpha=0.6, linewidth=0)
    axes.set_ylim(0)
    if weights.symbol is not None:
        centre = found.emitted[weights.symbol] + 0.5
        for away in weights.reach.values():
            for side in (-away, away):
                axes.axvline(found.places(centre + side), color="0.2", linewidth=0.8, linestyle=":")


def _draw_panel(found: Inspection, panel: Panel, first: bool, axes: Axes) -> Any:
    if first:
        axes.set_title(panel.group, loc="left", fontweight="bold")
    axes.set_ylabel(panel.name, rotation=0, ha="right", va="center", fontsize=12)
    values, is_map = panel.values, panel.stride is not None
    extent = _extent(found, len(values) * (panel.stride or found.stride), values.shape[1], is_map)
    # two colours around zero, or one scale from zero where nothing is negative; a mean over cells varies little and has a scale of its own
    high = float(np.percentile(np.abs(values), MOST)) or 1.0
    signed = bool((values < 0).any())
    colours, low, high = ("RdBu_r", -high, high) if signed else ("viridis", 0.0, max(high, 1.0))
    if is_map:
        low, high = np.percentile(values, (100 - SHADE, SHADE))
    origin: Literal["upper", "lower"] = "upper" if is_map else "lower"
    return axes.imshow(values.T, cmap=colours, vmin=low, vmax=high, extent=extent, aspect="auto", origin=origin)


def _extent(found: Inspection, frames: int, rows: int, down: bool = False) -> tuple[float, float, float, float]:
    """Of an image of so many feature frames, with its first row at the top if ``down``."""
    sides = float(found.places(0.0)), float(found.places(frames / found.stride))
    return (*sides, rows, 0) if down else (*sides, 0, rows)


def _shade(weights: np.ndarray) -> np.ndarray:
    """Weights as one colour, RGBA, the more of it the higher they are."""
    from matplotlib.colors import to_rgba

    full = float(np.percentile(weights, SHADE)) or float(weights.max()) or 1.0
    colours = np.empty((*weights.shape, 4))
    colours[:] = to_rgba(INK)
    colours[..., 3] = np.clip(weights / full, 0, 1)
    return colours


def _mark_symbols(found: Inspection, axes: Axes) -> None:
    """A thin line where each symbol is likeliest; above the first panel its name."""
    top = axes.get_subplotspec().rowspan.start == 0  # type: ignore[union-attr]
    for number, (token, frame) in enumerate(zip(found.tokens, found.emitted, strict=True)):
        place, chosen = float(found.places(frame + 0.5)), _chosen(found, number)
        axes.axvline(place, color=chosen.get("color", "0.4"), linewidth=0.9 if chosen.get("color") == INK else 0.4, alpha=0.5)
        if top:
            _write(axes, place, 1.02, token.symbol, axes.get_xaxis_transform(), chosen)


def _chosen(found: Inspection, number: int) -> dict[str, Any]:
    """How a symbol is written: the one that saliency is of in colour."""
    one = found.saliency is not None and found.saliency.symbol == number
    return {"color": INK, "fontweight": "bold", "fontsize": 10} if one else {"fontsize": 9}


def _write(axes: Axes, x: float, y: float, symbol: str, transform: Any, style: dict[str, Any]) -> None:
    axes.text(x, y, _spell(symbol), transform=transform, ha="center", va="bottom", clip_on=False, parse_math=False, **style)


def _title(axes: Axes, title: str, rows: str) -> None:
    """To the left; above the first panel it leaves room for the names of symbols."""
    first = axes.get_subplotspec().rowspan.start == 0  # type: ignore[union-attr]
    axes.set_title(title, loc="left", parse_math=False, color="0.3", pad=16 if first else None)
    axes.set_ylabel(rows)


def _spell(symbol: str) -> str:
    return "\u2423" if symbol == " " else symbol


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "\u2026"
