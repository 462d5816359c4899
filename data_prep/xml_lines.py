"""What the readers of ALTO and PAGE XML share: finding the pages and their images, scaling, cutting and naming the lines."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

from recognizer.data.manifest import Item
from recognizer.data_prep.grouping import make_grouper
from recognizer.data_prep.line_cutter import Box, cut_line, open_page
from recognizer.data_prep.picture_writer import write_picture
from recognizer.data_prep.texts import clean_text
from recognizer.errors import InputError
from recognizer.xml_tree import Point, local_name, parse_xml

if TYPE_CHECKING:
    from PIL import Image


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
    rules = "page|folder|none|REGEX" if default in ("page", "folder", "none") or not default.isalpha() else f"{default}|page|folder|none|REGEX"
    parser.add_argument("--group-by", default=default, metavar=rules, help=(
        f"what counts as a writer: {more}the page, its folder, nothing, or what the first (capture group) of a regular expression finds in the path "
        f"of the XML file below SOURCE (default: {default})"))
    parser.add_argument("--crop", choices=("polygon", "box"), default="polygon",
                        help="polygon: paint what lies outside the outline in the colour of the paper; box: leave it (default: polygon)")


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
            yield from _cut_page(file, _parse(file, root, parse), relative.removesuffix(".xml"), find_group(relative), options)
        except InputError as error:
            options.drop(error)


def _parse(file: Path, root: Element, parse: Callable[[Element], Page]) -> Page:
    try:
        return parse(root)
    except ValueError as error:
        raise InputError(f"{file}: {error}") from None


def _cut_page(file: Path, page: Page, name: str, group: str | None, options: argparse.Namespace) -> Iterator[Item]:
    path = _find_image(file, page.image)
    image = open_page(path, page.size)
    scale = _find_scale(file, page, path, image)
    for index, line in enumerate(page.lines, start=1):
        id = f"{name}/{index:04d}"
        try:
            text = clean_text(line.text)
            if line.problem or not text:
                raise ValueError(line.problem or "has no text")
            outline = [(x * scale[0], y * scale[1]) for x, y in line.polygon or line.box or ()]
            if len(outline) < 2:
                raise ValueError("has neither an outline nor a box")
            cut, box = cut_line(image, outline, masked=options.crop == "polygon")
            target = options.made / f"{id}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            write_picture(target, cut)
        except ValueError as error:
            options.drop(InputError(f"{file}: line {line.id or index}: {error}"))
            continue
        yield Item(id, target, text=text, width=cut.width, group=group, meta=_describe(line, path, box, scale))


def _describe(line: TextLine, page: Path, box: Box, scale: tuple[float, float]) -> dict[str, Any]:
    """Where a line stood: page image, box on it in its pixels, id in the XML file, and base line in pixels of the cut."""
    meta: dict[str, Any] = {"page": page.name, "box": list(box)}
    if line.id:
        meta["line"] = line.id
    if line.baseline:
        meta["baseline"] = [[round(x * scale[0] - box[0], 1), round(y * scale[1] - box[1], 1)] for x, y in line.baseline]
    return meta


def _find_scale(file: Path, page: Page, path: Path, image: Image.Image) -> tuple[float, float]:
    """Horizontal and vertical factor from the file's unit to pixels of the image."""
    from PIL import Image

    if page.size is not None:
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
    from recognizer.features.image_file import IMAGE_SUFFIXES

    folders = (file.parent, file.parent.parent, *_folders_in(file.parent.parent))
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


@cache
def _folders_in(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.iterdir() if path.is_dir()))
