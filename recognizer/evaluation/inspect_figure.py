"""The picture of a network at work, over one axis of time: input, posteriors, saliency, gates and states of cells."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recognizer.config import Modality
from recognizer.errors import ConfigError
from recognizer.utils.files import new_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from recognizer.evaluation.inspect import Inspection, Panel

SUFFIXES = (".png", ".svg", ".pdf")
AXES: dict[Modality, str] = {"audio": "seconds", "line": "pixels", "strokes": "points of the prepared trace"}
INK = "#d55e00"  # of saliency, on gray; like COLORS of the palette of Okabe & Ito 2008, which color-blind readers can tell apart
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MIN_POSTERIOR = 0.02  # below which a symbol has no curve
SHADE_PERCENTILE = 99.5  # of weights that has the full color; a few outliers would leave all others pale
STATE_PERCENTILE = 97.0  # of gates and states likewise: some cells count to 30 while most stay below 3
MIN_WIDTH, MAX_WIDTH, SYMBOL_WIDTH = 12.0, 30.0, 0.16  # inches
PANEL_HEIGHT, MAP_HEIGHT = 0.75, 0.4  # inches
DPI = 130

Row = tuple[float, bool, Callable[["Axes"], Any]]  # inches; whether it lies over the common axis; draws it and gives what a color bar is of


def require_matplotlib() -> None:
    """Check that pictures can be drawn.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ConfigError("inspect draws with matplotlib, an extra: pip install 'recognizer[inspect]'") from None


def draw_inspection(found: Inspection, path: Path) -> None:
    """Write the picture as PNG, SVG or PDF, by the suffix of ``path``, whole or not at all.

    Raises:
        ConfigError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    require_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    kind = path.suffix.lower().lstrip(".")
    dates: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}  # the same picture is the same file
    with rc_context({"font.size": 9, "svg.hashsalt": "recognizer", "axes.titlesize": 9, "axes.linewidth": 0.6}):
        width = min(max(MIN_WIDTH, SYMBOL_WIDTH * sum(max(1, len(token.symbol)) for token in found.tokens)), MAX_WIDTH)
        rows = _list_rows(found, width)
        heights = [height for height, _, _ in rows]
        figure = Figure(figsize=(width, sum(heights) + 0.28 * len(rows) + 0.9), layout="constrained")
        grid = figure.add_gridspec(len(rows), 2, width_ratios=(1, 0.008), height_ratios=heights)
        shared: Axes | None = None
        for number, (_, timed, draw) in enumerate(rows):
            axes = figure.add_subplot(grid[number, 0], sharex=shared if timed else None)
            colored = draw(axes)
            if colored is not None:
                figure.colorbar(colored, cax=figure.add_subplot(grid[number, 1])).ax.tick_params(labelsize=7, length=2)
            if timed:
                shared = axes
                _mark_symbols(found, axes, named=number == 0)
                axes.tick_params(labelbottom=number == len(rows) - 1)
        assert shared is not None
        shared.set_xlim(found.positions(0.0), min(found.frame_times.end, float(found.positions(len(found.posteriors)))))
        shared.set_xlabel(AXES[found.modality])
        figure.suptitle(f"{Path(found.name).name}\n{found.text}", fontsize=11, parse_math=False, wrap=True)
        with new_file(path) as partial_path:
            figure.savefig(partial_path, format=kind, dpi=DPI, metadata=dates.get(kind))


def _list_rows(found: Inspection, width: float) -> list[Row]:
    height = 1.4  # inches of the features, and of saliency over them
    if found.modality == "line":
        height = min(max(0.85 * width * found.content.shape[1] / len(found.content), 0.5), 2.5)
        rows: list[Row] = [(height, True, partial(_draw_line, found))]
    else:
        rows = [(0.8, True, partial(_draw_wave, found)) if found.modality == "audio" else (1.4, False, partial(_draw_trace, found))]
    if found.features is not None:
        rows.append((1.4, True, partial(_draw_features, found)))
    rows.append((1.1, True, partial(_draw_posteriors, found)))
    if found.saliency is not None:
        rows.append((height, True, partial(_draw_saliency, found, found.saliency)))
    for number, panel in enumerate(found.panels):
        title = panel.group if number == 0 or found.panels[number - 1].group != panel.group else ""
        rows.append((PANEL_HEIGHT if panel.stride is None else MAP_HEIGHT, True, partial(_draw_panel, found, panel, title)))
    return rows


def _draw_line(found: Inspection, axes: Axes) -> None:
    axes.set_ylabel("prepared line")
    _show(found, axes, found.content, downwards=True, cmap="Greys")


def _draw_wave(found: Inspection, axes: Axes) -> None:
    axes.set_ylabel("waveform")
    axes.plot(np.linspace(0, found.frame_times.end, len(found.content)), found.content, color="0.25", linewidth=0.4)


def _draw_trace(found: Inspection, axes: Axes) -> None:
    """The strokes, over the heights of letters; saliency in color, each symbol above the point where it is likeliest."""
    axes.set_ylabel("prepared trace")
    x, y, pen = found.content[:, 0], found.content[:, 1], found.content[:, 2] > 0
    axes.plot(np.where(pen, x, np.nan), np.where(pen, y, np.nan), color="0.6", linewidth=1.2)
    if found.saliency is not None:
        axes.scatter(x[pen], y[pen], s=14, color=_shade(np.linalg.norm(found.saliency, axis=1))[pen], linewidth=0)
    axes.set_aspect("equal", adjustable="datalim")
    for number, frame in enumerate(found.peaks):
        _name_symbol(found, axes, number, x[min(int((frame + 0.5) * found.stride), len(x) - 1)])


def _draw_features(found: Inspection, axes: Axes) -> Any:
    assert found.features is not None
    axes.set_ylabel("features")
    low, high = np.percentile(found.features, (100 - SHADE_PERCENTILE, SHADE_PERCENTILE))
    return _show(found, axes, found.features, cmap="magma", vmin=low, vmax=high)


def _draw_posteriors(found: Inspection, axes: Axes) -> None:
    _title(axes, "posteriors (gray: blank)")
    centers = found.positions(np.arange(len(found.posteriors)) + 0.5)
    axes.plot(centers, found.posteriors[:, 0], color="0.7", linewidth=0.8)
    for label in range(1, found.posteriors.shape[1]):
        curve = found.posteriors[:, label]
        if curve.max() >= MIN_POSTERIOR:
            axes.plot(centers, curve, color=COLORS[label % len(COLORS)], linewidth=1.0)
    axes.set_ylim(0, 1.05)
    axes.set_yticks([0, 0.5, 1])


def _draw_saliency(found: Inspection, weights: np.ndarray, axes: Axes) -> None:
    """Absolute gradients over a pale picture of the input, with dotted lines where the reach of a symbol ends."""
    whose = "all symbols" if found.symbol is None else f"symbol {found.symbol + 1}, {_spell(found.tokens[found.symbol].symbol)},"
    unit = AXES[found.modality].partition(" ")[0]
    reaches = (f"; {share:.0%} within {frames * found.frame_times.step:.3g} {unit}" for share, frames in found.reach.items())
    _title(axes, f"saliency: absolute gradient of the log-probability of {whose} by the input{''.join(reaches)}")
    backdrop = found.content.astype(float) if found.features is None else found.features
    low, high = np.percentile(backdrop, (100 - SHADE_PERCENTILE, SHADE_PERCENTILE))
    _show(found, axes, backdrop, found.features is None, cmap="Greys", vmin=low, vmax=high, alpha=0.5)
    _show(found, axes, _shade(weights), found.features is None, interpolation="nearest")
    for frames in found.reach.values():
        for side in (-frames, frames):
            axes.axvline(found.positions(found.peaks[found.symbol or 0] + 0.5 + side), color="0.2", linewidth=0.8, linestyle=":")


def _draw_panel(found: Inspection, panel: Panel, title: str, axes: Axes) -> Any:
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_ylabel(panel.name, rotation=0, ha="right", va="center", fontsize=12)
    signed = bool((panel.values < 0).any())  # then two colors around zero, else one scale from zero
    if panel.stride is None:
        high = float(np.percentile(np.abs(panel.values), STATE_PERCENTILE)) or 1.0
        low, high = (-high, high) if signed else (0.0, max(high, 1.0))
    else:  # a mean over cells varies little and has a scale of its own
        low, high = np.percentile(panel.values, (100 - SHADE_PERCENTILE, SHADE_PERCENTILE))
    style = {"cmap": "RdBu_r" if signed else "viridis", "vmin": low, "vmax": high}
    return _show(found, axes, panel.values, panel.stride is not None, panel.stride or found.stride, **style)


def _show(found: Inspection, axes: Axes, values: np.ndarray, downwards: bool = False, stride: int = 1, **style: Any) -> Any:
    """Values (N, rows) or colors (N, rows, 4) as an image whose columns stand for ``stride`` feature frames each."""
    sides = float(found.positions(0.0)), float(found.positions(len(values) * stride / found.stride))
    extent = (*sides, values.shape[1], 0) if downwards else (*sides, 0, values.shape[1])
    return axes.imshow(values.swapaxes(0, 1), extent=extent, aspect="auto", origin="upper" if downwards else "lower", **style)


def _shade(weights: np.ndarray) -> np.ndarray:
    """Weights as one color, RGBA, the more of it the higher they are."""
    from matplotlib.colors import to_rgba

    full = float(np.percentile(weights, SHADE_PERCENTILE)) or float(weights.max()) or 1.0
    colors = np.tile(np.array(to_rgba(INK)), (*weights.shape, 1))
    colors[..., 3] = np.clip(weights / full, 0, 1)
    return colors


def _mark_symbols(found: Inspection, axes: Axes, named: bool) -> None:
    """A thin line where each symbol is likeliest, and its name above if ``named``."""
    for number, frame in enumerate(found.peaks):
        place, chosen = float(found.positions(frame + 0.5)), found.symbol == number
        axes.axvline(place, color=INK if chosen else "0.4", linewidth=0.9 if chosen else 0.4, alpha=0.5)
        if named:
            _name_symbol(found, axes, number, place)


def _name_symbol(found: Inspection, axes: Axes, number: int, x: float) -> None:
    """Write a symbol above a panel; the one that saliency is of in color."""
    style: dict[str, Any] = {"color": INK, "fontweight": "bold", "fontsize": 10} if found.symbol == number else {"fontsize": 9}
    style |= {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom", "parse_math": False}
    axes.text(x, 1.02, _spell(found.tokens[number].symbol), **style)


def _title(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", parse_math=False, color="0.3")


def _spell(symbol: str) -> str:
    return "\u2423" if symbol == " " else symbol
