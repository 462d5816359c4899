"""A photographed or scanned line of text as a strip of ink of a given height: margins, skew, slant, scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from recognizer.config import LineFeatures
from recognizer.errors import InputError
from recognizer.image.borders import trim_border
from recognizer.image.contrast import INK_LEVEL, MIN_CONTRAST, is_light_on_dark, normalize_contrast, smooth_noise
from recognizer.image.rows import describe_rows
from recognizer.utils.limits import advice, limits

MAX_INPUT_PIXELS = 2**23  # of a picture: a larger one is reduced first; a line at 600 dpi has 2 million
MAX_LINE_PIXELS = limits().line_pixels
MAX_TALLNESS = 100  # height by width
MARGIN = 0.03  # paper left on each side, share of the height
MIN_CROP_HEIGHT = 1 / 3  # of the picture: a lone dash must not fill the line
MAX_SKEW = math.tan(math.radians(10))
MIN_ASPECT = 1.5  # width by height of the ink; what is narrower has no direction of its own
MIN_SKEW_DEGREES = 0.1  # turning by less only blurs
MAX_SLANT = 1.2  # tangent of the strongest slant looked for, 50 degrees
MIN_SLANT = 0.02  # shearing by less only blurs
MAX_SKEW_STEPS = 250  # tried on either side of level, however long the line
MAX_GROWTH = 4  # of a picture's pixels by turning: text that sloped so over its whole width would not have fitted into it
MAX_SLANTED_TALLNESS = 8  # height by width above which a picture has no slant


@dataclass(frozen=True)
class ColumnTransform:
    """Where the columns of a prepared line lie in its picture: column ``c`` begins at ``offset + c * scale`` pixels.

    For a picture that was turned or sheared this holds at half its height, turning taken for a mere shift.
    """

    offset: float
    scale: float


def prepare_line(gray: np.ndarray, config: LineFeatures, name: str = "picture") -> tuple[np.ndarray, ColumnTransform]:
    """Make the strip of ink that columns are read from.

    Args:
        gray: uint8 (H, W), at least one pixel; one of more than ``MAX_INPUT_PIXELS`` is reduced by a whole factor first.
        config: which steps are taken; they come in the order borders, noise, polarity, contrast, crop, deskew, deslant, height.
        name: what errors call the picture.

    Returns:
        uint8 (``config.height``, W'), ink 255 on paper 0, W' >= 1, with the aspect ratio of the text (a picture
        without ink gives zeros), and where its columns lie in the picture.

    Raises:
        InputError: the picture cannot be one line of text: several rows of ink, more than 100 times as tall as wide, or so long that
            the strip would have more than ``MAX_LINE_PIXELS``.
    """
    _check_shape(gray.shape, config.height, f"{name}: {gray.shape[1]} x {gray.shape[0]} pixels")
    factor = math.ceil(math.sqrt(gray.size / MAX_INPUT_PIXELS))
    if factor > 1:
        gray = np.asarray(Image.fromarray(gray).reduce(factor))
    offset = 0.0
    if config.crop:
        gray, left = trim_border(gray)
        offset += left
    ink = normalize_contrast(orient_polarity(smooth_noise(gray), config.polarity), config.contrast)
    inner, left = crop_margins(ink)
    if rows := describe_rows(inner):
        raise InputError(f"{name}: not one line: {rows}; transcribe reads it as a page with --page, prepare page or alto cuts it by its XML")
    if config.crop:
        ink = inner
        offset += left
    for wanted, straighten in ((config.deskew, deskew), (config.deslant, deslant)):
        if wanted:
            straight = straighten(ink)
            offset -= (straight.shape[1] - ink.shape[1]) / 2  # both keep the middle in the middle
            ink = straight
    if config.crop and (config.deskew or config.deslant):
        ink, left = crop_margins(ink)
        offset += left
    _check_shape(ink.shape, config.height, f"{name}: {ink.shape[1]} x {ink.shape[0]} pixels of ink")
    strip = scale_height(ink, config.height)
    return strip, ColumnTransform(offset * factor, factor * ink.shape[1] / strip.shape[1])


def _check_shape(shape: tuple[int, ...], height: int, subject: str) -> None:
    rows, columns = shape
    if rows > MAX_TALLNESS * columns:
        raise InputError(f"{subject}, more than {MAX_TALLNESS} times as tall as wide: not a line of text")
    if columns * height * height > MAX_LINE_PIXELS * rows:
        raise InputError(f"{subject}, at {height} rows more than {MAX_LINE_PIXELS:,}: is this one line of text? Cut it, or {advice('line_pixels')}")


def is_blank(line: np.ndarray) -> bool:
    """Whether a prepared line, uint8 (H, W), holds no ink."""
    return line.size == 0 or int(line.max()) - int(line.min()) < MIN_CONTRAST


def orient_polarity(gray: np.ndarray, polarity: str) -> np.ndarray:
    """Return ``gray``, uint8 (H, W), with dark ink on light paper."""
    if polarity == "light_on_dark" or (polarity == "auto" and is_light_on_dark(gray)):
        return np.subtract(255, gray, dtype=np.uint8)
    return gray


def scale_height(line: np.ndarray, height: int) -> np.ndarray:
    """Scale ``line``, uint8 (H, W), to ``height`` rows, keeping the aspect ratio, with the filter widened against aliasing."""
    rows, columns = line.shape
    if rows == height:
        return np.array(line)
    width = max(1, round(columns * height / rows))
    return np.array(Image.fromarray(line).resize((width, height), Image.Resampling.BICUBIC))


def crop_margins(line: np.ndarray) -> tuple[np.ndarray, int]:
    """Cut empty margins off ``line``, uint8 (H, W), ink 255 on paper 0; a picture without ink comes back as it is.

    Connected pieces as large as a dot of an i (a square of H/20) decide where the text is. Smaller ones stretch
    its bounding box when they are near it (H/2 sideways, H/4 up or down): a thin full stop, an accent. The rest is specks.
    At least a third of the height stays.

    Returns:
        The picture, and how many columns went on its left.
    """
    bounds = _text_bounds(line)
    if bounds is None:
        return line, 0
    height, width = line.shape
    top, bottom, left, right = bounds
    margin = max(1, round(MARGIN * height))
    missing = max(0, int(np.ceil(MIN_CROP_HEIGHT * height)) - (bottom - top) - 2 * margin)
    top, bottom = top - margin - missing // 2, bottom + margin + (missing + 1) // 2
    top, bottom = max(0, top - max(0, bottom - height)), min(height, bottom + max(0, -top))
    left = max(0, left - margin)
    return line[top:bottom, left : min(width, right + margin)], left


def _text_bounds(line: np.ndarray) -> tuple[int, int, int, int] | None:
    """First and last row, first and last column of the text, ends excluded."""
    from scipy import ndimage  # a quarter of a second that speech can do without

    height = line.shape[0]
    pieces, count = ndimage.label(line >= INK_LEVEL, structure=np.ones((3, 3), dtype=np.int8))
    if count == 0:
        return None
    area = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    large = area >= max(2.0, (height / 20) ** 2)
    if not large.any():
        return _enclose(_piece_bounds(pieces > 0, 1))
    # Specks are forgotten before pieces are described, as a dotted ground has millions of them.
    number = np.zeros(count + 1, dtype=pieces.dtype)
    kept = area >= max(2.0, (height / 60) ** 2)
    number[1:][kept] = np.arange(1, np.count_nonzero(kept) + 1)
    bounds = _piece_bounds(number[pieces], int(kept.sum()))
    large = large[kept]
    top, bottom, left, right = _enclose(bounds[large])
    near = (bounds[:, 0] < bottom + height / 4) & (bounds[:, 1] > top - height / 4)
    near &= (bounds[:, 2] < right + height / 2) & (bounds[:, 3] > left - height / 2)
    return _enclose(bounds[large | near])


def _piece_bounds(pieces: np.ndarray, count: int) -> np.ndarray:
    """First and last row, first and last column, ends excluded, (``count``, 4), of the pieces numbered from 1 in ``pieces`` (H, W)."""
    rows, columns = np.nonzero(pieces)
    number = pieces[rows, columns].astype(np.intp) - 1
    bounds = np.empty((4, count), dtype=np.intp)
    for axis, at in enumerate((rows, columns)):
        bounds[2 * axis], bounds[2 * axis + 1] = max(pieces.shape), -1
        np.minimum.at(bounds[2 * axis], number, at)
        np.maximum.at(bounds[2 * axis + 1], number, at)
    bounds[1::2] += 1
    return bounds.T


def _enclose(bounds: np.ndarray) -> tuple[int, int, int, int]:
    (top, _, left, _), (_, bottom, _, right) = bounds.min(axis=0).tolist(), bounds.max(axis=0).tolist()
    return top, bottom, left, right


def deskew(line: np.ndarray) -> np.ndarray:
    """Level ``line``, uint8 (H, W), ink 255 on paper 0, by turning it; the picture grows to hold all ink."""
    angle = skew_degrees(line)
    if abs(angle) < MIN_SKEW_DEGREES:
        return line
    height, width = line.shape
    sine, cosine = abs(math.sin(math.radians(angle))), math.cos(math.radians(angle))
    if (width * cosine + height * sine) * (height * cosine + width * sine) > MAX_GROWTH * max(line.size, MAX_INPUT_PIXELS):
        return line
    return np.asarray(Image.fromarray(line).rotate(-angle, Image.Resampling.BILINEAR, expand=True))


def skew_degrees(line: np.ndarray) -> float:
    """Angle of the text in degrees, positive when it climbs to the right.

    It is the angle along which the ink's projection on the vertical axis is most concentrated (largest sum of
    squares), among those up to 10 degrees: first over a picture reduced four times, then nearby in full.
    """
    rows, columns, weights = _ink_points(line, reduction=4)
    if len(rows) == 0 or np.ptp(columns) < MIN_ASPECT * np.ptp(rows):
        return 0.0
    step = min(0.02, max(4.0, line.shape[0] / 16) / line.shape[1])
    step = max(step, MAX_SKEW / MAX_SKEW_STEPS)
    coarse = np.arange(-math.ceil(MAX_SKEW / step), math.ceil(MAX_SKEW / step) + 1) * step
    slope = _most_concentrated(rows, columns, weights, coarse)
    slope = _most_concentrated(*_ink_points(line, reduction=2), slope + np.linspace(-1, 1, 17) * step)
    return math.degrees(math.atan(slope))


def deslant(line: np.ndarray) -> np.ndarray:
    """Stand the strokes of ``line``, uint8 (H, W), ink 255 on paper 0, upright; the picture widens to hold all ink."""
    shear = slant_shear(line)
    height, width = line.shape
    if abs(shear) < MIN_SLANT or height > MAX_SLANTED_TALLNESS * width:
        return line
    widening = math.ceil(abs(shear) * (height - 1))
    # Output (x, y) shows input (x - shear * y, y), moved so that nothing has a negative x; as Pillow counts
    # from the corner of a pixel and not from its center, half a row's shear is added.
    offset = min(0.0, shear * (height - 1)) + shear / 2
    matrix = (1, -shear, offset, 0, 1, 0)
    return np.asarray(Image.fromarray(line).transform((width + widening, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))


def slant_shear(line: np.ndarray) -> float:
    """Tangent of the strokes' angle to the upright, positive when they lean to the right.

    It is the shear whose column projection has the largest sum of squares, after Vinciarelli and Luettin 2001
    (A new normalization technique for cursive handwritten words), less their demand that a column hold one
    unbroken stroke, which a ruled line below the text would never let come true.
    """
    rows, columns, weights = _ink_points(line, reduction=2)
    if len(rows) == 0:
        return 0.0
    shear = _most_concentrated(columns, rows, weights, np.linspace(-MAX_SLANT, MAX_SLANT, 49))
    return _most_concentrated(columns, rows, weights, shear + np.linspace(-0.05, 0.05, 9))


def _ink_points(line: np.ndarray, reduction: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and weights, each float32 (N,), of the inked pixels of ``line`` reduced ``reduction`` times."""
    small = np.asarray(Image.fromarray(line).reduce(reduction))
    rows, columns = np.nonzero(small >= INK_LEVEL // 2)
    return rows.astype(np.float32), columns.astype(np.float32), small[rows, columns].astype(np.float32)


def _most_concentrated(along: np.ndarray, across: np.ndarray, weights: np.ndarray, slopes: np.ndarray) -> float:
    """The slope s for which the histogram of ``along + s * across`` has the largest sum of squares; of equals the one nearest to zero."""
    best, highest = 0.0, -1.0
    for slope in sorted(slopes.tolist(), key=abs):
        shifted = along + slope * across
        histogram = np.bincount((shifted - shifted.min()).astype(np.intp), weights=weights)
        score = float(histogram @ histogram)
        if score > highest * (1 + 1e-9):
            best, highest = slope, score
    return best
