"""The picture that an ALTO or PAGE file means, and its lines in the pixels of that picture."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recognizer.errors import InputError
from recognizer.pages.layout import Page
from recognizer.utils.xml import Point

if TYPE_CHECKING:
    from PIL import Image

UNTURNED = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # by EXIF orientation, the transposition (of Pillow) that undoes it


@dataclass(frozen=True)
class PlacedLines:
    """The lines of a page in pixels of its picture.

    Attributes:
        picture: gray, upright as the file means it.
        outlines: by line; two points are the corners of a box, none: the line has neither outline nor box.
        baselines: by line.
        scale: pixels by the file's unit of length, horizontal and vertical.
    """

    picture: Image.Image
    outlines: Sequence[Sequence[Point]]
    baselines: Sequence[Sequence[Point]]
    scale: tuple[float, float]


def place_lines(file: Path, page: Page, path: Path) -> PlacedLines:
    """Open the picture at ``path`` that ``file`` describes as ``page``.

    Raises:
        InputError: it cannot be read, or is not the one described: by its proportions, by the place of the outlines, by how it is turned.
    """
    picture = load_picture(file, page, path)
    x_scale, y_scale = find_scale(file, page, path, picture)
    outlines = [[(x * x_scale, y * y_scale) for x, y in line.polygon or line.box or ()] for line in page.lines]
    check_outlines(file, path, outlines, picture)
    return PlacedLines(picture, outlines, [[(x * x_scale, y * y_scale) for x, y in line.baseline] for line in page.lines], (x_scale, y_scale))


def check_outlines(file: Path, path: Path, outlines: Sequence[Sequence[Point]], image: Image.Image) -> None:
    """Refuse a page whose outlines are those of another picture, or of this one at another size.

    An outline lies beyond the picture if it does so by more than half of its shorter side; one that touches the edge does not.

    Raises:
        InputError: that is so of more than half of the lines, and of more than one.
    """
    beyond, total = 0, 0
    for outline in outlines:
        if len(outline) < 2:
            continue
        xs, ys = zip(*outline, strict=True)
        excess = max(-min(xs), -min(ys), max(xs) - image.width, max(ys) - image.height)
        total += 1
        beyond += excess > 0.5 * min(max(xs) - min(xs), max(ys) - min(ys)) and excess > 1
    if beyond > 1 and beyond > total / 2:
        raise InputError(f"{file}: the outlines of {beyond} of {total} lines lie beyond the picture {path} ({image.width} x {image.height} pixels); "
                         "they belong to another picture, or to this one at another size")


def load_picture(file: Path, page: Page, path: Path) -> Image.Image:
    """The picture, gray, as the outlines mean it: turned as its EXIF data say, or as it is stored where the size of the page says that.

    Raises:
        InputError: it cannot be read, or it is turned and the size of the page does not tell which of the two is meant.
    """
    from PIL import Image

    from recognizer.image.io import SIDEWAYS, load_image

    image = Image.fromarray(load_image(path))
    orientation = _read_header(path)[0]
    if orientation not in UNTURNED:
        return image
    tool = f"write it anew as it is to be seen (magick {path.name} -auto-orient NEW), or take the tag off (exiftool -Orientation= {path.name})"
    width, height = page.size or (0.0, 0.0)
    sizes = [size for size in (image.size, image.size[::-1]) if width and abs(size[1] - height * size[0] / width) <= max(1.0, 0.01 * size[1])]
    if orientation not in SIDEWAYS or len(sizes) != 1:
        raise InputError(f"{path}: its EXIF data turn it (orientation {orientation}), and {file.name} does not tell whether its outlines mean "
                         f"the picture as stored or as turned; {tool}")
    return image if sizes[0] == image.size else image.transpose(Image.Transpose(UNTURNED[orientation]))


def _read_header(path: Path) -> tuple[int, tuple[float, float]]:
    """EXIF orientation, 1 if there is none, and dots per inch, 0 if not stated."""
    from PIL import Image

    from recognizer.image.io import EXIF_ORIENTATION, FORMATS

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with path.open("rb") as file, Image.open(file, formats=FORMATS) as header:
                horizontal, vertical = header.info.get("dpi", (0, 0))
                return int(Image.Image.getexif(header).get(EXIF_ORIENTATION) or 1), (float(horizontal), float(vertical))
    except Exception as error:  # decoders of damaged files raise whatever the bytes lead them to
        raise InputError(f"{path}: the image cannot be read ({' '.join(str(error).split()) or type(error).__name__})") from None


def find_scale(file: Path, page: Page, path: Path, image: Image.Image) -> tuple[float, float]:
    """Horizontal and vertical factor from the file's unit to pixels of the image.

    Raises:
        InputError: the image is not in the proportion of the page, by 1 % and more than a pixel, or nothing says how large a unit is.
    """
    if page.size is not None:
        expected = page.size[1] * image.width / page.size[0]
        if abs(image.height - expected) > max(1.0, 0.01 * expected):
            described = f"{page.size[0]:g} x {page.size[1]:g}"
            raise InputError(f"{path}: is {image.width} x {image.height} pixels, but the page is described as {described}")
        return image.width / page.size[0], image.height / page.size[1]
    if page.unit is None:
        return 1.0, 1.0
    dpi = _read_header(path)[1]
    if not all(value > 1 for value in dpi):
        raise InputError(f"{file}: measures in fractions of an inch, but states no page size, and the image no resolution")
    return dpi[0] * page.unit, dpi[1] * page.unit
