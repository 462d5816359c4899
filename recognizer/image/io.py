"""Image files: one gray picture from whatever a scanner, a phone or a drawing program wrote."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from recognizer.errors import InputError
from recognizer.utils.archives import as_file
from recognizer.utils.limits import advice, limits
from recognizer.utils.memory import release_free_memory
from recognizer.utils.reading import BoundedFile

IMAGE_SUFFIXES: frozenset[str] = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})

# Pillow can read more, but some of that (EPS) runs other programs.
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP")
EXIF_ORIENTATION = 0x0112  # tag
SIDEWAYS = (5, 6, 7, 8)  # values of that tag that swap width and height
UPRIGHT = {  # by value of that tag, what turns the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
REDUCED_PAGE = 0x00FE  # TIFF tag; its lowest bit marks a smaller copy of another page
MAX_PIXELS = limits().picture_pixels
LARGE_PIXELS = 20_000_000  # of larger pictures one is decoded at a time, whatever the number of threads that read: each takes 5 bytes a pixel
STRIP_PIXELS = 4_000_000  # brought to gray at a time, so that a large color picture is not held several times over
MAX_PAGES = 10_000  # looked at in a file

if Image.MAX_IMAGE_PIXELS is not None:  # Pillow's own limit against decompression bombs is below what scanners of newspapers write
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, MAX_PIXELS)

# Pillow holds large pictures in blocks of 16 MB, which the system's allocator keeps for the thread when they are freed; from 32 MB on it gives back
Image.core.set_block_size(64 << 20)
_one_large = threading.Lock()


def load_image(path: str | os.PathLike[str], page: int | None = None) -> np.ndarray:
    """Read an image file as gray, uint8 (H, W), turned upright as its EXIF data say.

    Transparent parts count as white paper. Colors become gray by ITU-R 601 luma. More than 8 bits a sample
    are scaled down from the smallest of 8, 12, 16 or 32 bits that holds the largest value; so are floating-point
    samples, unless none is above 1.

    Args:
        path: of the file.
        page: which page of a TIFF file, from 1; None: the file must hold one.

    Raises:
        InputError: the file is missing, empty, not an image, cut short, holds several pages, or more than ``MAX_PIXELS``.
    """
    with _open(path, page) as image:
        if image.width * image.height <= LARGE_PIXELS:
            return _read_upright(image)
        with _one_large:
            release_free_memory()  # what an earlier large picture took
            gray = _read_upright(image)
            image.close()  # its colors, which take four times as much as the gray
            release_free_memory()
            return gray


def gray_picture(image: Image.Image, name: str) -> np.ndarray:
    """A picture that Pillow has opened or made as gray, as :func:`load_image` reads one from a file.

    Raises:
        InputError: it has no pixels or too many, or cannot be read; the message begins with ``name``.
    """
    _check_size(name, *image.size)
    try:
        return _read_upright(image)
    except Exception as error:  # decoders of damaged files raise whatever the bytes lead them to
        raise InputError(f"{name}: the image cannot be read ({' '.join(str(error).split()) or type(error).__name__})") from None


def _read_upright(image: Image.Image) -> np.ndarray:
    image.load()
    gray = _to_gray(image)
    turn = UPRIGHT.get(image.getexif().get(EXIF_ORIENTATION, 1))
    return gray if turn is None else np.array(Image.fromarray(gray).transpose(turn))


def count_pages(path: str | os.PathLike[str]) -> int:
    """How many pages a TIFF file holds, smaller copies of pages not counted; 1 for every other image file.

    Raises:
        InputError: as :func:`image_size`.
    """
    with _open(path, 0) as image:
        return len(_page_frames(image)) if image.format == "TIFF" else 1


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
def _open(path: str | os.PathLike[str], page: int | None = None) -> Iterator[Image.Image]:
    """The image of a file whose data are not read yet: the only one, or that of a page from 1 on; 0 stands for the first of any number."""
    try:
        with as_file(path) as place, warnings.catch_warnings():
            _check_readable(path, place)
            warnings.simplefilter("ignore")
            # Given a name, Pillow maps uncompressed TIFF into memory, and garbles those stored sideways (13.0).
            with BoundedFile(place) as file, Image.open(file, formats=FORMATS) as image:
                if page is None:
                    _check_pages(path, image)
                elif page:
                    _seek_page(path, image, page)
                _check_size(path, *image.size)
                yield image
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{path}: not a readable image (png, jpg, tiff, webp or bmp)") from None
    except Image.DecompressionBombError:
        raise InputError(f"{path}: more than {MAX_PIXELS:,} pixels; cut it into pages or lines, or {advice('picture_pixels')}") from None
    except Exception as error:  # decoders of damaged files raise whatever the bytes lead them to
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: the image cannot be read ({reason})") from None


def _check_readable(path: str | os.PathLike[str], file: Path) -> None:
    try:
        if file.is_dir():
            raise InputError(f"{path}: is a folder, not an image")
        if file.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _check_size(path: str | os.PathLike[str], width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(f"{path}: {width} x {height} pixels, more than {MAX_PIXELS:,}; cut it into pages or lines, or {advice('picture_pixels')}")
    if width * height == 0:
        raise InputError(f"{path}: the image has no pixels")


def _check_pages(path: str | os.PathLike[str], image: Image.Image) -> None:
    """Refuse several pages or frames in one file: all but the first would be lost.

    Smaller copies within a TIFF file are no pages; nor are the further pictures of a JPEG file, by which a phone
    describes depth and brightness.
    """
    pages = 1
    if image.format == "TIFF":
        pages = len(_page_frames(image))
    elif image.format in ("PNG", "WEBP"):
        pages = getattr(image, "n_frames", 1)
    if pages > 1:
        how = "recognizer transcribe --page reads each; or save each" if image.format == "TIFF" else "save each"
        raise InputError(f"{path}: holds {pages} pages; {how} as a file of its own")


def _page_frames(image: Image.Image) -> list[int]:
    """Numbers of the frames of a TIFF file that are pages; the first stays the current one."""
    frames = [0]
    for frame in count(1):
        try:
            image.seek(frame)
        except EOFError:
            break
        if frame >= MAX_PAGES:
            raise ValueError(f"more than {MAX_PAGES} pages; save some of them as a file of their own")
        if not int(image.tag_v2.get(REDUCED_PAGE, 0)) & 1:  # type: ignore[attr-defined]
            frames.append(frame)
    image.seek(0)
    return frames


def _seek_page(path: str | os.PathLike[str], image: Image.Image, page: int) -> None:
    frames = _page_frames(image) if image.format == "TIFF" else [0]
    if page > len(frames):
        raise InputError(f"{path}: has no page {page}, only {len(frames)}")
    image.seek(frames[page - 1])


def _to_gray(image: Image.Image) -> np.ndarray:
    """Gray of a picture that was read, uint8 (H, W), strip by strip."""
    width, height = image.size
    rows = max(1, STRIP_PIXELS // width)
    strips = [(top, min(height, top + rows)) for top in range(0, height, rows)]
    gray = np.empty((height, width), dtype=np.uint8)
    if image.mode.startswith("I") or image.mode == "F":
        low, full = _find_range((_read_samples(image, *strip) for strip in strips), floating=image.mode == "F")
        for top, bottom in strips:
            gray[top:bottom] = np.rint((_read_samples(image, top, bottom) - low) * (255 / full))
    else:
        for top, bottom in strips:
            gray[top:bottom] = np.asarray(_strip_to_gray(image.crop((0, top, width, bottom))))
    return gray


def _strip_to_gray(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(paper, layer).convert("L")
    return image.convert("L") if image.mode in ("1", "L") else image.convert("RGB").convert("L")


def _read_samples(image: Image.Image, top: int, bottom: int) -> np.ndarray:
    """Samples of more than 8 bits, or floating-point ones, of some rows: float64."""
    strip = image.crop((0, top, image.width, bottom))
    return np.nan_to_num(np.asarray(strip if strip.mode == "F" else strip.convert("I"))).astype(np.float64)


def _find_range(strips: Iterable[np.ndarray], floating: bool) -> tuple[float, float]:
    """What becomes 0, and by how much more becomes 255."""
    ends = [(strip.min(), strip.max()) for strip in strips]
    low = min(0.0, float(min(first for first, _ in ends)))
    high = float(max(last for _, last in ends)) - low
    fulls = [*([1] if floating else []), *(2**bits - 1 for bits in (8, 12, 16, 32))]
    return low, next((full for full in fulls if high <= full), high)
