"""A photographed or scanned line of text as a strip of ink of a given height."""

from __future__ import annotations

import numpy as np
from PIL import Image

from recognizer.config import LineFeatures
from recognizer.features.contrast import LEAST_CONTRAST, find_levels, flatten_paper, is_light_on_dark, stretch_levels
from recognizer.features.deskew import deskew
from recognizer.features.deslant import deslant
from recognizer.features.margins import crop_margins


def prepare_line(grey: np.ndarray, config: LineFeatures) -> np.ndarray:
    """Make the strip of ink that columns are read from.

    Args:
        grey: uint8 (H, W), at least one pixel.
        config: which steps are taken; they come in the order polarity, contrast, crop, deskew, deslant, height.

    Returns:
        uint8 (``config.height``, W'), ink 255 on paper 0, W' >= 1, with the aspect ratio of the text. A picture
        without ink gives zeros.
    """
    ink = normalise_contrast(orient_polarity(grey, config.polarity), config.contrast)
    if config.crop:
        ink = crop_margins(ink)
    if config.deskew:
        ink = deskew(ink)
    if config.deslant:
        ink = deslant(ink)
    if config.crop and (config.deskew or config.deslant):
        ink = crop_margins(ink)
    return scale_height(ink, config.height)


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
