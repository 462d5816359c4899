"""Text lines cut out of page images along their outline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recognizer.errors import InputError
from recognizer.xml_tree import Point

if TYPE_CHECKING:
    from PIL import Image

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom are outside


def open_page(path: Path, size: tuple[float, float] | None) -> Image.Image:
    """Load a page image as grey.

    Raises:
        InputError: it cannot be read, or width and height are not in the proportion of ``size``, by 1 % and more than a pixel.
    """
    from PIL import Image

    from recognizer.features.image_file import load_image

    page = Image.fromarray(load_image(path))
    if size is not None:
        expected = size[1] * page.width / size[0]
        if abs(page.height - expected) > max(1.0, 0.01 * expected):
            raise InputError(f"{path}: is {page.width} x {page.height} pixels, but the page is described as {size[0]:g} x {size[1]:g}")
    return page


def bounding_box(points: Sequence[Point], page: tuple[int, int]) -> Box:
    """The smallest box of whole pixels around points, within a page of (width, height).

    Raises:
        ValueError: nothing of it lies within the page.
    """
    xs, ys = zip(*points, strict=True)
    left, top = max(0, math.floor(min(xs))), max(0, math.floor(min(ys)))
    right, bottom = min(page[0], math.ceil(max(xs))), min(page[1], math.ceil(max(ys)))
    if left >= right or top >= bottom:
        outline = f"({min(xs):g}, {min(ys):g})..({max(xs):g}, {max(ys):g})"
        raise ValueError(f"the outline {outline} encloses nothing of the page ({page[0]} x {page[1]} pixels)")
    return left, top, right, bottom


def cut_line(page: Image.Image, outline: Sequence[Point], *, masked: bool) -> tuple[Image.Image, Box]:
    """Cut out a line.

    Args:
        page: grey.
        outline: at least two points in pixels; two are the corners of a box.
        masked: paint what lies outside the outline in the grey of the paper, taken as the median inside.

    Returns:
        The cut and its box on the page.

    Raises:
        ValueError: the outline encloses nothing of the page.
    """
    from PIL import Image, ImageDraw, ImageStat

    box = bounding_box(outline, page.size)
    line = page.crop(box)
    if not masked or len(outline) < 3:
        return line, box
    inside = Image.new("L", line.size, 0)
    ImageDraw.Draw(inside).polygon([(x - box[0], y - box[1]) for x, y in outline], fill=255)
    if inside.getbbox() is None:
        raise ValueError("the outline encloses no pixel")
    paper = Image.new("L", line.size, ImageStat.Stat(line, inside).median[0])
    return Image.composite(line, paper, inside), box
