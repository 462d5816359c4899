"""Accents drawn with a pen: for capitals that nobody in a stock of letters wrote with theirs."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

FINE = 4  # times as large when drawn, so that edges are soft
SHAPES: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {  # strokes in a square of one side, y downwards
    "\u0300": (((0.1, 0.1), (0.8, 0.9)),),  # grave
    "\u0301": (((0.9, 0.1), (0.2, 0.9)),),  # acute
    "\u0302": (((0.0, 0.9), (0.5, 0.1), (1.0, 0.9)),),  # circumflex
    "\u0303": (((0.0, 0.7), (0.3, 0.3), (0.7, 0.6), (1.0, 0.2)),),  # tilde
    "\u0308": (((0.1, 0.5), (0.13, 0.55)), ((0.9, 0.5), (0.93, 0.55))),  # diaeresis
    "\u0327": (((0.5, 0.0), (0.4, 0.3), (0.8, 0.55), (0.5, 1.0), (0.1, 0.85)),),  # cedilla
}
DOT = (((0.4, 0.5), (0.6, 0.55)),)  # what some writers make of grave and acute
DOTTED = {"\u0300", "\u0301"}
BELOW = {"\u0327"}


def draw_accent(mark: str, size: float, stroke: float, dotted: bool, generator: np.random.Generator) -> np.ndarray:
    """Draw a combining mark of ``SHAPES``.

    Args:
        mark: one character.
        size: side of the square in which it stands, ``stroke`` the width of the pen, pixels.
        dotted: whether grave and acute become dots, or short dashes.
        generator: makes every mark a little different.

    Returns:
        uint8 (H, W), ink 255 on paper 0, cut to the ink.
    """
    side, edge = max(3.0, size), max(1.0, stroke)
    canvas = Image.new("L", (round((side + 4 * edge) * FINE),) * 2, 0)
    pen = ImageDraw.Draw(canvas)
    for line in DOT if dotted and mark in DOTTED else SHAPES[mark]:
        points = [((x + generator.normal(0, 0.07)) * side + 2 * edge, (y + generator.normal(0, 0.07)) * side + 2 * edge) for x, y in line]
        scaled = [(x * FINE, y * FINE) for x, y in points]
        pen.line(scaled, fill=255, width=max(1, round(edge * FINE)), joint="curve")
        for x, y in (scaled[0], scaled[-1]):  # round ends
            reach = edge * FINE / 2
            pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=255)
    small = canvas.resize((canvas.width // FINE, canvas.height // FINE), Image.Resampling.BOX)
    return np.asarray(small.crop(small.getbbox()))
