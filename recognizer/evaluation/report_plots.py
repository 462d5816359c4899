"""Plots of a report as inline SVG: intervals, confusions, rates by length, calibration."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from recognizer.decoding.calibration import Bin
from recognizer.evaluation.edits import Edit
from recognizer.evaluation.report_markup import Html, element, join, name_token, percent, shorten

WIDTH, HEIGHT = 420, 250  # of a plot; small enough that its letters can be read on a phone
LEFT, RIGHT, TOP, BOTTOM = 46, 16, 26, 52  # margins
CELL = 16  # of a confusion matrix
SHOWN = 30  # symbols of a confusion matrix

Ends = tuple[float | None, float | None]


def draw_interval(rate: float | None, ends: Ends, overall: float | None, top: float) -> Html:
    """A bar from 0 to the rate with its interval, and a line at the rate of all items; ``top`` is where the scale ends."""
    if rate is None:
        return Html()
    width, scale = 150, 150 / top
    marks = [element("rect", x=0, y=4, width=min(rate, top) * scale, height=8, class_="bar")]
    low, high = ends
    if low is not None and high is not None:
        left, right = min(low, top) * scale, min(high, top) * scale
        marks.append(element("path", d=f"M{left:.1f} 8H{right:.1f}M{left:.1f} 4v8M{right:.1f} 4v8", class_="whisker"))
    if overall is not None:
        marks.append(element("path", d=f"M{overall * scale:.1f} 0v16", class_="all"))
    return element("svg", *marks, viewBox=f"-1 0 {width + 2} 16", width=width, height=16, aria_hidden="true")


def draw_confusions(edits: Mapping[Edit, int]) -> tuple[Html, list[str]]:
    """Heat map of what became of the symbols with the most errors, and these symbols.

    Rows are references, the last of them nothing (insertions); columns hypotheses, the last nothing (deletions). The shade of
    a cell is its share of its row's symbol.
    """
    involved: Counter[str] = Counter()
    for edit, count in edits.items():
        if edit.kind != "match":
            involved.update({token: count for token in (edit.reference, edit.hypothesis) if token is not None})
    symbols = sorted(sorted(involved, key=lambda s: (-involved[s], s))[:SHOWN], key=lambda s: (s.casefold(), s))
    places = {symbol: n for n, symbol in enumerate(symbols)}
    cells: Counter[tuple[int, int]] = Counter()
    totals: Counter[int] = Counter()
    for edit, count in edits.items():
        row = len(symbols) if edit.reference is None else places.get(edit.reference)
        column = len(symbols) if edit.hypothesis is None else places.get(edit.hypothesis)
        if row is not None:
            totals[row] += count
            if column is not None and (edit.kind != "match" or edit.hypothesis is not None):
                cells[row, column] += count
    names = [name_token(symbol, 8) for symbol in symbols]
    longest = max(map(len, names), default=1)
    margin = 16 + 8 * longest
    marks = []
    for n, name in enumerate([*names, "\u2205"]):
        middle = margin + (n + 0.5) * CELL
        marks.append(element("text", name, x=margin - 5, y=middle + 4, text_anchor="end"))
        turn = f"rotate(-90 {number_pair(middle + 4, margin - 5)})" if longest > 1 else None
        marks.append(element("text", name, x=middle + 4 if turn else middle, y=margin - 5, text_anchor=None if turn else "middle", transform=turn))
    for (row, column), count in sorted(cells.items()):
        share = count / totals[row]
        kind = "right" if row == column else "wrong"
        strength = 0.06 + 0.94 * (share if kind == "right" else min(1.0, 3 * share))  # errors are rare; a third is already very dark
        said, found = (("nothing" if n == len(symbols) else names[n]) for n in (row, column))
        title = element("title", f"{said} as {found}: {count}, {percent(share)} of {said}" if row < len(symbols) else f"inserted {found}: {count}")
        x, y = margin + column * CELL, margin + row * CELL
        marks.append(element("rect", title, x=x, y=y, width=CELL - 1, height=CELL - 1, class_=kind, fill_opacity=f"{strength:.2f}"))
    side = margin + (len(symbols) + 1) * CELL + 2
    label = f"Confusion matrix of {len(symbols)} symbols; the tables beside it list the most frequent errors"
    return element("svg", *marks, viewBox=f"0 0 {side} {side}", width=side, height=side, role="img", aria_label=label), symbols


def number_pair(x: float, y: float) -> str:
    """Two coordinates."""
    return f"{x:.1f} {y:.1f}"


def draw_rates(rows: Sequence[tuple[str, float | None, Ends]], axis: str, rate: str) -> Html:
    """Rates with intervals, from left to right, over the bands they belong to."""
    highest = max([value for _, share, ends in rows for value in (share, ends[1]) if value is not None], default=0.0)
    top = _round_up(min(highest, 2.0))
    marks = [*_grid(top), _name_axes(axis, rate)]
    step = (WIDTH - LEFT - RIGHT) / max(1, len(rows))
    staggered = 7 * max((len(label) for label, _, _ in rows), default=0) > step
    points = []
    for n, (label, share, ends) in enumerate(rows):
        x = LEFT + (n + 0.5) * step
        drop = 16 + 13 * (n % 2 if staggered else 0)
        marks.append(element("text", shorten(label, 13), x=x, y=HEIGHT - BOTTOM + drop, text_anchor="middle", class_="tick"))
        if share is None:
            continue
        points.append((x, _height(share, top)))
        low, high = ends
        if low is not None and high is not None:
            bottom, tip = _height(low, top), _height(high, top)
            marks.append(element("path", d=f"M{x:.1f} {bottom:.1f}V{tip:.1f}M{x - 4:.1f} {bottom:.1f}h8M{x - 4:.1f} {tip:.1f}h8", class_="whisker"))
        marks.append(element("circle", element("title", f"{label}: {percent(share)}"), cx=x, cy=points[-1][1], r=4, class_="dot"))
    marks.append(element("path", d="M" + "L".join(number_pair(*point) for point in points) if points else None, class_="line"))
    listed = "; ".join(f"{label}: {percent(share)}" for label, share, _ in rows)
    return _plot(marks, f"{rate} against {axis}. {listed}")


def draw_calibration(bins: Sequence[Bin], name: str) -> Html:
    """Share that is right against confidence; points on the diagonal say what is true, their size how many there are."""
    most = max((row.count for row in bins), default=1)
    marks = [*_grid(1.0), _name_axes("confidence", "right")]
    ends = [(LEFT, _height(0, 1)), (WIDTH - RIGHT, _height(1, 1))]
    marks.append(element("path", d=f"M{number_pair(*ends[0])}L{number_pair(*ends[1])}", class_="all"))
    for n in range(0, 11, 2):
        x = LEFT + n / 10 * (WIDTH - LEFT - RIGHT)
        marks.append(element("text", f"{10 * n}\u00a0%", x=x, y=HEIGHT - BOTTOM + 16, text_anchor="middle", class_="tick"))
    for row in bins:
        x = LEFT + row.confidence * (WIDTH - LEFT - RIGHT)
        title = element("title", f"confidence {percent(row.confidence)}: {percent(row.accuracy)} of {row.count} right")
        marks.append(element("circle", title, cx=x, cy=_height(row.accuracy, 1), r=3 + 9 * math.sqrt(row.count / most), class_="dot"))
    listed = "; ".join(f"{percent(row.confidence)}: {percent(row.accuracy)} of {row.count}" for row in bins)
    return _plot(marks, f"Calibration of {name}: confidence, and share that is right. {listed}")


def _plot(marks: Sequence[object], label: str) -> Html:
    return element("svg", *marks, viewBox=f"0 0 {WIDTH} {HEIGHT}", class_="plot", role="img", aria_label=label)


def _grid(top: float) -> list[Html]:
    lines = []
    for n in range(5):
        share = top * n / 4
        y = _height(share, top)
        lines.append(element("path", d=f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}", class_="grid"))
        digits = 0 if top >= 0.2 else 1
        lines.append(element("text", percent(share, digits), x=LEFT - 6, y=y + 4, text_anchor="end", class_="tick"))
    return lines


def _name_axes(below: str, beside: str) -> Html:
    return join((element("text", below, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 6, text_anchor="middle"), element("text", beside, x=LEFT, y=12)))


def _height(share: float, top: float) -> float:
    return HEIGHT - BOTTOM - min(share / top, 1.0) * (HEIGHT - TOP - BOTTOM)


def _round_up(share: float) -> float:
    """The next round share that four equal steps lead to."""
    return next((top for top in (0.004, 0.01, 0.02, 0.04, 0.08, 0.12, 0.2, 0.4, 0.6, 0.8, 1.0) if share <= top), 2.0)
