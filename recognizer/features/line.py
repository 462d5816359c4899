"""A photographed or scanned line of text as a strip of ink of a given height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from recognizer.config import LineFeatures
from recognizer.features.contrast import LEAST_CONTRAST, find_levels, flatten_paper, is_light_on_dark, stretch_levels
from recognizer.features.deskew import deskew
from recognizer.features.deslant import deslant
from recognizer.features.margins import crop_margins


@dataclass(frozen=True)
class Placement:
    """Where the columns of a prepared line lie in its picture: column ``c`` begins at ``offset + c * scale`` pixels.

    For a picture that was turned or sheared this holds at half its height, turning taken for a mere shift.
    """

    offset: float
    scale: float


def prepare_line(grey: np.ndarray, config: LineFeatures) -> np.ndarray:
    """Make the strip of ink that columns are read from.

    Args:
        grey: uint8 (H, W), at least one pixel.
        config: which steps are taken; they come in the order polarity, contrast, crop, deskew, deslant, height.

    Returns:
        uint8 (``config.height``, W'), ink 255 on paper 0, W' >= 1, with the aspect ratio of the text. A picture
        without ink gives zeros.
    """
    return place_line(grey, config)[0]


def place_line(grey: np.ndarray, config: LineFeatures) -> tuple[np.ndarray, Placement]:
    """As :func:`prepare_line`, and where the columns come from."""
    ink = normalise_contrast(orient_polarity(grey, config.polarity), config.contrast)
    offset = 0.0
    if config.crop:
        ink, left = crop_margins(ink)
        offset += left
    for wanted, straighten in ((config.deskew, deskew), (config.deslant, deslant)):
        if wanted:
            straight = straighten(ink)
            offset -= (straight.shape[1] - ink.shape[1]) / 2  # both keep the middle in the middle
            ink = straight
    if config.crop and (config.deskew or config.deslant):
        ink, left = crop_margins(ink)
        offset += left
    strip = scale_height(ink, config.height)
    return strip, Placement(offset, ink.shape[1] / strip.shape[1])


def is_blank(line: np.ndarray) -> bool:
    """Whether a prepared line, uint8 (H, W), holds no ink."""
    return line.size == 0 or int(line.max()) - int(line.min()) < LEAST_CONTRAST


def orient_polarity(grey: np.ndarray, polarity: str) -> np.ndarray:
    """Return ``grey``, uint8 (H, W), with dark ink on light paper."""
    if polarity == "light_on_dark" or (polarity == "auto" and is_light_on_dark(grey)):
        return np.subtract(255, grey, dtype=np.uint8)
    return grey


def normalise_contrast(grey: np.ndarray, contrast: str) -> np.ndarray:
    """Turn dark ink on light paper into ink 255 on paper 0 (``contrast="none"``: merely invert), uint8 (H, W).

    Where "stretch" finds no level that parts ink from paper, it tries "background" before it calls the picture blank.
    """
    if contrast == "background":
        grey = flatten_paper(grey)
    ink = np.subtract(255, grey, dtype=np.uint8)
    levels = find_levels(ink)
    if levels is None and contrast != "background":
        flat = np.subtract(255, flatten_paper(grey), dtype=np.uint8)
        levels = find_levels(flat)
        ink = flat if contrast == "stretch" else ink
    if levels is None:
        return np.zeros_like(ink)
    return ink if contrast == "none" else stretch_levels(ink, *levels)


def scale_height(line: np.ndarray, height: int) -> np.ndarray:
    """Scale ``line``, uint8 (H, W), to ``height`` rows, keeping the aspect ratio, with the filter widened against aliasing."""
    rows, columns = line.shape
    if rows == height:
        return np.array(line)
    width = max(1, round(columns * height / rows))
    return np.array(Image.fromarray(line).resize((width, height), Image.Resampling.BICUBIC))
