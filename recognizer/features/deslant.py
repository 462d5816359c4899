"""Slant: the shear of the strokes against the upright, and its removal."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from recognizer.features.deskew import ink_points, most_concentrated

STEEPEST = 1.2  # tangent of the strongest slant looked for, 50 degrees
LEAST_SHEAR = 0.02  # shearing by less only blurs


def deslant(line: np.ndarray) -> np.ndarray:
    """Stand the strokes of ``line``, uint8 (H, W), ink 255 on paper 0, upright; the picture widens to hold all ink."""
    shear = slant_shear(line)
    if abs(shear) < LEAST_SHEAR:
        return line
    height, width = line.shape
    widening = math.ceil(abs(shear) * (height - 1))
    # Output (x, y) shows input (x - shear * y, y), moved so that nothing has a negative x; as Pillow counts
    # from the corner of a pixel and not from its centre, half a row's shear is added.
    offset = min(0.0, shear * (height - 1)) + shear / 2
    matrix = (1, -shear, offset, 0, 1, 0)
    return np.asarray(Image.fromarray(line).transform((width + widening, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))


def slant_shear(line: np.ndarray) -> float:
    """Tangent of the strokes' angle to the upright, positive when they lean to the right.

    It is the shear whose column projection has the largest sum of squares, after Vinciarelli and Luettin 2001
    (A new normalization technique for cursive handwritten words), less their demand that a column hold one
    unbroken stroke, which a ruled line below the text would never let come true.
    """
    rows, columns, weights = ink_points(line, reduction=2)
    if len(rows) == 0:
        return 0.0
    coarse = np.linspace(-STEEPEST, STEEPEST, 49)
    shear = most_concentrated(columns, rows, weights, coarse)
    return most_concentrated(columns, rows, weights, shear + np.linspace(-0.05, 0.05, 9))
