"""Text lines cut out of page images by ALTO or PAGE XML: finding pages and images, scaling, cutting, naming."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text, make_grouper, write_picture
from recognizer.errors import InputError
from recognizer.utils.xml import Point, local_name, parse_xml

if TYPE_CHECKING:
    from PIL import Image

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom are outside


@dataclass(frozen=True)
class TextLine:
    """A line as its file describes it, in the file's unit of length."""

    id: str
    text: str = ""
    polygon: Sequence[Point] = ()
    box: tuple[Point, Point] | None = None  # top left, bottom right
    baseline: Sequence[Point] = ()
    problem: str | None = None  # why this line cannot be used


@dataclass(frozen=True)
class Page:
    """A page as its file describes it."""

    image: str | None  # as the file names it
    size: tuple[float, float] | None  # width and height, in the file's unit
    unit: float | None  # of an inch; None: pixels
    lines: Sequence[TextLine] = field(default_factory=list)  # in reading order


def add_line_arguments(parser: argparse.ArgumentParser, default: str = "page", more: str = "") -> None:
    """Add ``--group-by``, with another default and ``more`` said of it where a corpus knows better, and ``--crop``."""
    rules = f"{default}|page|folder|none|REGEX" if default == "catalogue" else "page|folder|none|REGEX"
    parser.add_argument("--group-by", default=default, metavar=rules, help=(
        f"what counts as a writer: {more}the page, its folder, nothing, or what the first (capture group) of a regular expression finds in the path "
        f"of the XML file below SOURCE (default: {default})"))
    parser.add_argument("--crop", choices=("polygon", "box"), default="polygon",
                        help="polygon: paint what lies outside the outline in the color of the paper; box: leave it (default: polygon)")


def read_lines(source: Path, options: argparse.Namespace, parsers: Mapping[str, Callable[[Element], Page]]) -> Iterator[Item]:
    """Cut the lines of all pages into ``options.made`` and name them, page by page in the order of their paths.

    Args:
        source: an XML file or a folder that is searched for them.
        options: those of :func:`add_line_arguments` and what every reader gets.
        parsers: by the local name of the root element, what makes a page of it and raises ValueError for what it cannot
            understand; files with another root are noted and left alone.
    """
    files = [source] if source.is_file() else sorted(source.rglob("*.xml"))
    base = source.parent if source.is_file() else source
    named = {"page": lambda path: path.removesuffix(".xml"), "folder": lambda path: path.rpartition("/")[0] or base.name, "none": lambda path: None}
    find_group = make_grouper(options.group_by, named, base)
    for file in files:
        relative = file.relative_to(base).as_posix()
        try:
            root = parse_xml(file)
            parse = parsers.get(local_name(root))
            if parse is None:
                options.note(f"{file}: left alone, its root element is <{local_name(root)}> and not <{'> or <'.join(parsers)}>")
                continue
            try:
                page = parse(root)
            except ValueError as error:
                raise InputError(f"{file}: {error}") from None
            yield from _cut_page(file, page, relative.removesuffix(".xml"), find_group(relative), options)
        except InputError as error:
            options.drop(error)


def _cut_page(file: Path, page: Page, name: str, group: str | None, options: argparse.Namespace) -> Iterator[Item]:
    from PIL import Image

    from recognizer.image.io import load_image

    path = _find_image(file, page.image)
    image = Image.fromarray(load_image(path))
    x_scale, y_scale = _find_scale(file, page, path, image)
    for index, line in enumerate(page.lines, start=1):
        id = f"{name}/{index:04d}"
        try:
            text = clean_text(line.text)
            if line.problem or not text:
                raise ValueError(line.problem or "has no text")
            outline = [(x * x_scale, y * y_scale) for x, y in line.polygon or line.box or ()]
            if len(outline) < 2:
                raise ValueError("has neither an outline nor a box")
            cut, box = cut_line(image, outline, masked=options.crop == "polygon")
            target = options.made / f"{id}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            write_picture(target, cut)
        except ValueError as error:
            options.drop(InputError(f"{file}: line {line.id or index}: {error}"))
            continue
        meta: dict[str, Any] = {"page": path.name, "box": list(box), **({"line": line.id} if line.id else {})}
        if line.baseline:  # in pixels of the cut
            meta["baseline"] = [[round(x * x_scale - box[0], 1), round(y * y_scale - box[1], 1)] for x, y in line.baseline]
        yield Item(id, target, text=text, width=cut.width, group=group, meta=meta)


def _find_scale(file: Path, page: Page, path: Path, image: Image.Image) -> tuple[float, float]:
    """Horizontal and vertical factor from the file's unit to pixels of the image.

    Raises:
        InputError: the image is not in the proportion of the page, by 1 % and more than a pixel, or nothing says how large a unit is.
    """
    from PIL import Image

    if page.size is not None:
        expected = page.size[1] * image.width / page.size[0]
        if abs(image.height - expected) > max(1.0, 0.01 * expected):
            described = f"{page.size[0]:g} x {page.size[1]:g}"
            raise InputError(f"{path}: is {image.width} x {image.height} pixels, but the page is described as {described}")
        return image.width / page.size[0], image.height / page.size[1]
    if page.unit is None:
        return 1.0, 1.0
    with Image.open(path) as header:
        dpi = header.info.get("dpi", (0, 0))
    if not all(value > 1 for value in dpi):
        raise InputError(f"{file}: measures in fractions of an inch, but states no page size, and the image no resolution")
    return float(dpi[0]) * page.unit, float(dpi[1]) * page.unit


def _find_image(file: Path, named: str | None) -> Path:
    """The page's image: as named, or by that name, or by the stem of the XML file; beside it, one folder up or in a folder beside its own.

    Raises:
        InputError: there is none.
    """
    from recognizer.image.io import IMAGE_SUFFIXES

    folders = (file.parent, file.parent.parent, *sorted(path for path in file.parent.parent.iterdir() if path.is_dir()))
    candidates: list[Path] = []
    if named:
        bare = re.split(r"[/\\]", named.strip())[-1]  # also of a path on somebody's Windows machine
        candidates = [file.parent / named.strip(), *(folder / bare for folder in folders)]
    candidates += [folder / f"{file.stem}{suffix}" for folder in folders for suffix in sorted(IMAGE_SUFFIXES)]
    for candidate in candidates:
        if candidate.is_file() and candidate.suffix.lower() in IMAGE_SUFFIXES:
            return candidate
    wanted = named.strip() if named else file.stem + ".*"
    raise InputError(f"{file}: its image is not there ({wanted}, beside it, one folder up or in a folder beside its own)")


def cut_line(page: Image.Image, outline: Sequence[Point], *, masked: bool) -> tuple[Image.Image, Box]:
    """Cut out a line.

    Args:
        page: gray.
        outline: at least two points in pixels; two are the corners of a box.
        masked: paint what lies outside the outline in the gray of the paper, taken as the median inside.

    Returns:
        The cut and its box on the page, the smallest of whole pixels around the outline.

    Raises:
        ValueError: the outline encloses nothing of the page.
    """
    from PIL import Image, ImageDraw, ImageStat

    xs, ys = zip(*outline, strict=True)
    left, top = max(0, math.floor(min(xs))), max(0, math.floor(min(ys)))
    right, bottom = min(page.width, math.ceil(max(xs))), min(page.height, math.ceil(max(ys)))
    if left >= right or top >= bottom:
        spans = f"({min(xs):g}, {min(ys):g})..({max(xs):g}, {max(ys):g})"
        raise ValueError(f"the outline {spans} encloses nothing of the page ({page.width} x {page.height} pixels)")
    box = (left, top, right, bottom)
    line = page.crop(box)
    if not masked or len(outline) < 3:
        return line, box
    inside = Image.new("L", line.size, 0)
    ImageDraw.Draw(inside).polygon([(x - left, y - top) for x, y in outline], fill=255)
    if inside.getbbox() is None:
        raise ValueError("the outline encloses no pixel")
    paper = Image.new("L", line.size, ImageStat.Stat(line, inside).median[0])
    return Image.composite(line, paper, inside), box
