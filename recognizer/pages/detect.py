"""Whether a picture shows a page or one line of text."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from recognizer.image.borders import trim_border
from recognizer.image.contrast import INK_LEVEL, normalize_contrast, smooth_noise
from recognizer.image.normalize import crop_margins, orient_polarity
from recognizer.image.rows import count_crossings, describe_rows

MAX_ASPECT = 4.0  # width by height; a longer picture is a line
MAX_PIXELS = 1_000_000  # looked at
MAX_TALLNESS = 50.0  # height by width
MIN_SIDE = 60  # pixels, below which no page can be read
# Strokes that a column crosses: of 357 lines of Copiste and Péraire that are no longer than MAX_ASPECT none has more than 4, parts of pages 5 to 15.
MIN_CROSSINGS = 7.0


def may_be_page(width: int, height: int) -> bool:
    """Whether a picture of this size in pixels can be a page at all; for most line images this tells that it is none."""
    return width <= MAX_ASPECT * height and height <= MAX_TALLNESS * width and min(width, height) >= MIN_SIDE


def looks_like_page(picture: np.ndarray) -> bool:
    """Whether a picture is taken for a page: no long strip, and its ink lies in several rows.

    Args:
        picture: gray uint8 (H, W).
    """
    height, width = picture.shape
    if not may_be_page(width, height):
        return False
    factor = math.ceil(math.sqrt(picture.size / MAX_PIXELS))
    gray = np.asarray(Image.fromarray(picture).reduce(factor)) if factor > 1 else picture
    ink = normalize_contrast(orient_polarity(smooth_noise(trim_border(gray)[0]), "auto"), "background")
    inner, _ = crop_margins(ink)
    return describe_rows(inner) is not None or count_crossings(inner >= INK_LEVEL) > MIN_CROSSINGS
