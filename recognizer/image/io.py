"""Image files: one gray picture from whatever a scanner, a phone or a drawing program wrote."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from recognizer.errors import InputError

IMAGE_SUFFIXES: frozenset[str] = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})

# Pillow can read more, but some of that (EPS) runs other programs.
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP")
EXIF_ORIENTATION = 0x0112  # tag
SIDEWAYS = (5, 6, 7, 8)  # values of that tag that swap width and height


def load_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Read the first page of an image file as gray, uint8 (H, W), turned upright as its EXIF data say.

    Transparent parts count as white paper. Colors become gray by ITU-R 601 luma. More than 8 bits a sample
    are scaled down from the smallest of 8, 12, 16 or 32 bits that holds the largest value; so are floating-point
    samples, unless none is above 1.

    Raises:
        InputError: the file is missing, empty, not an image, cut short, or too large to be a line or page
            (Pillow's limit against decompression bombs, 89 million pixels).
    """
    with _open(path) as image:
        gray = np.array(_to_gray(ImageOps.exif_transpose(image)), dtype=np.uint8)
        if gray.size == 0:
            raise ValueError("the image has no pixels")
        return gray


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Read (width, height) in pixels from the header, as :func:`load_image` would turn the picture.

    Raises:
        InputError: as :func:`load_image`, but damage behind the header goes unnoticed.
    """
    with _open(path) as image:
        width, height = image.size
        # The PNG reader's own getexif decodes the whole picture first; and the TIFF reader swaps by itself.
        orientation = Image.Image.getexif(image).get(EXIF_ORIENTATION)
        return (height, width) if orientation in SIDEWAYS and image.format != "TIFF" else (width, height)


@contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    _check_readable(Path(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Given a name, Pillow maps uncompressed TIFF into memory, and garbles those stored sideways (13.0).
            with open(path, "rb") as file, Image.open(file, formats=FORMATS) as image:
                yield image
    except UnidentifiedImageError:
        raise InputError(f"{path}: not a readable image (png, jpg, tiff, webp or bmp)") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise InputError(f"{path}: more than {Image.MAX_IMAGE_PIXELS} pixels; cut it into pages or lines") from None
    except Exception as error:  # decoders of damaged files raise whatever the bytes lead them to
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: the image cannot be read ({reason})") from None


def _check_readable(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder, not an image")
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _to_gray(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_scale_samples(np.asarray(image if image.mode == "F" else image.convert("I"))))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(paper, layer).convert("L")
    return image.convert("L") if image.mode in ("1", "L") else image.convert("RGB").convert("L")


def _scale_samples(samples: np.ndarray) -> np.ndarray:
    """Bring samples of more than 8 bits, or floating-point ones, to uint8."""
    values = np.nan_to_num(samples.astype(np.float64))
    values -= min(values.min(), 0.0)
    high = values.max()
    fulls = [2**bits - 1 for bits in (8, 12, 16, 32)]
    if samples.dtype.kind == "f":
        fulls.insert(0, 1)
    full = next((full for full in fulls if high <= full), high)
    return np.rint(values * (255 / full)).astype(np.uint8)
