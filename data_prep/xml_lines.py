"""Text lines cut out of page images by ALTO or PAGE XML: finding pages and images, scaling, cutting, naming."""

from __future__ import annotations

import argparse
import math
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

import numpy as np

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text, make_grouper, write_picture
from recognizer.data_prep.level_lines import baseline_angle, level_line
from recognizer.data_prep.page_images import PictureFinder
from recognizer.data_prep.table import SPLITS
from recognizer.errors import InputError
from recognizer.utils.xml import Point, local_name, parse_xml

if TYPE_CHECKING:
    from PIL import Image

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom are outside

# Words in the path of an XML file that say where its text comes from.
TRUTH = frozenset({"gt", "truth", "groundtruth", "ground"})
PREDICTION = frozenset({"pred", "prediction", "predictions", "predicted", "ocr", "htr", "auto", "hyp", "hypothesis"})
MAX_COORDINATE = 1e6  # pixels
UNTURNED = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # by EXIF orientation, the transposition (of Pillow) that undoes it


@dataclass(frozen=True)
class TextLine:
    """A line as its file describes it, in the file's unit of length."""

    id: str
    text: str = ""
    polygon: Sequence[Point] = ()
    box: tuple[Point, Point] | None = None  # top left, bottom right
    baseline: Sequence[Point] = ()
    problem: str | None = None  # why this line cannot be used
    predicted: bool = False  # the text carries a confidence, as recognizers write it


@dataclass(frozen=True)
class Page:
    """A page as its file describes it."""

    image: str | None  # as the file names it
    size: tuple[float, float] | None  # width and height, in the file's unit
    unit: float | None  # of an inch; None: pixels
    lines: Sequence[TextLine] = field(default_factory=list)  # in reading order
    format: str = "alto"


def add_line_arguments(parser: argparse.ArgumentParser, default: str = "page", more: str = "") -> None:
    """Add ``--group-by``, with another default and ``more`` said of it where a corpus knows better, and ``--crop``."""
    rules = f"{default}|page|folder|none|REGEX" if default == "catalogue" else "page|folder|none|REGEX"
    parser.add_argument("--group-by", default=default, metavar=rules, help=(
        f"what counts as a writer: {more}the page, its folder, nothing, or what the first (capture group) of a regular expression finds in the path "
        f"of the XML file below SOURCE (default: {default})"))
    parser.add_argument("--crop", choices=("polygon", "box"), default="polygon",
                        help="polygon: paint what lies outside the outline in the color of the paper; box: leave it (default: polygon)")


@dataclass(frozen=True)
class _Description:
    """An XML file and the picture that it describes; of several for one picture the one with the lowest rank wins."""

    file: Path
    relative: str
    picture: Path
    rank: tuple[Any, ...]
    texts: int  # lines that have text


def read_lines(
    source: Path, options: argparse.Namespace, parsers: Mapping[str, Callable[[Element], Page]], least_splits: int = 2
) -> Iterator[Item]:
    """Cut the lines of all pages into ``options.made`` and name them, picture by picture in the order of the paths of the XML files.

    Where several files describe one picture, their lines are those of one page and one group. Of two at the same place one is
    taken: that of the file that has text; then of one called ground truth (gt, truth) before others and those before one called a
    prediction (ocr, pred, auto, htr); then PAGE before ALTO; then the shorter name. The others are counted in a note.
    Lines that slope are turned level by their baselines; vertical ones are left out and named.
    Lines without text are left out with a note, unless no line at all has text: then all are cut, to be read.
    Where folders are called like splits (train, dev, val, test ...), the first on the way to a page is its ``meta["split"]``.

    Args:
        source: an XML file or a folder that is searched for them.
        options: those of :func:`add_line_arguments` and what every reader gets.
        parsers: by the local name of the root element, what makes a page of it and raises ValueError for what it cannot
            understand; files with another root are noted and left alone.
        least_splits: how many different splits there must be; a single folder called "test" may mean anything.
    """
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.suffix.lower() == ".xml" and path.is_file())
    base = source.parent if source.is_file() else source
    named = {"page": _drop_suffix, "folder": lambda path: path.rpartition("/")[0] or base.name, "none": lambda path: None}
    find_group = make_grouper(options.group_by, named, base)
    pictures = _find_pictures(files, base, options, parsers)
    readable = any(description.texts for descriptions in pictures for description in descriptions)
    counts: Counter[str] = Counter()
    splits = {find_split(descriptions[0].relative) for descriptions in pictures} - {None}
    if len(splits) < least_splits:
        splits.clear()
    elif splits:
        options.note(f"{source}: its folders are kept as the splits {', '.join(sorted(filter(None, splits)))}")
    for descriptions in pictures:
        split = find_split(descriptions[0].relative) if splits else None
        try:
            group = find_group(descriptions[0].relative)
        except InputError as error:
            options.drop(error)
            continue
        taken: list[Box] = []
        for description in descriptions:
            page = _load_page(description.file, parsers)
            if page is None:
                continue
            try:
                items = _cut_page(description, page, group, taken, readable, counts, options)
            except InputError as error:
                error.items = max(1, len(page.lines))
                options.drop(error)
                continue
            yield from items if split is None else (replace(item, meta={**item.meta, "split": split}) for item in items)
            taken += [tuple(item.meta["box"]) for item in items]
    if counts["empty"] and readable:
        options.note(f"{source}: {counts['empty']} lines have no text and are left out")
    elif counts["cut"] and not readable:
        options.note(f"{source}: no line has text; {counts['cut']} line pictures without a transcript lie in {options.made}, to be read")
    if counts["predicted"]:
        options.note(f"{source}: {counts['predicted']} lines have the text of a prediction only (it carries a confidence); is it ground truth?")


def find_split(path: str) -> str | None:
    """The split that a page at this path (with "/") belongs to: that of its first folder with the name of one; None if there is none."""
    parts = (part.lower() for part in path.split("/")[:-1])
    return next((SPLITS.get(part, part) for part in parts if part in SPLITS or part in SPLITS.values()), None)


def _find_pictures(
    files: Sequence[Path], base: Path, options: argparse.Namespace, parsers: Mapping[str, Callable[[Element], Page]]
) -> list[list[_Description]]:
    """The descriptions of each picture, the winning one first."""
    finder = PictureFinder(base)
    pictures: dict[Any, list[_Description]] = {}
    for file in files:
        lines = 1
        try:
            page = _load_page(file, parsers, options.note)
            if page is None:
                continue
            lines = max(1, len(page.lines))
            picture = finder.find(file, page.image)
            texts = sum(bool(clean_text(line.text)) for line in page.lines)
            kind = 0 if page.format == "page" else 1
            words = re.split(r"[^a-z]+", file.relative_to(base).as_posix().lower())
            truth = 0 if TRUTH.intersection(words) else 2 if PREDICTION.intersection(words) else 1
            rank = (not texts, truth, kind, len(file.name), file.relative_to(base).as_posix())
            description = _Description(file, file.relative_to(base).as_posix(), picture, rank, texts)
            pictures.setdefault(finder.identity(picture), []).append(description)
        except InputError as error:
            error.items = lines
            options.drop(error)
    return [sorted(descriptions, key=lambda description: description.rank) for descriptions in pictures.values()]


def _load_page(file: Path, parsers: Mapping[str, Callable[[Element], Page]], note: Callable[[str], None] | None = None) -> Page | None:
    """The page of a file; None for XML of another kind, which is noted."""
    root = parse_xml(file)
    known = {name.lower(): parser for name, parser in parsers.items()}  # PAGE 2009 writes pcGts
    parse = known.get(local_name(root).lower())
    if parse is None:
        if note is not None:
            note(f"{file}: left alone, its root element is <{local_name(root)[:40]}> and not <{'> or <'.join(parsers)}>")
        return None
    try:
        return parse(root)
    except ValueError as error:
        raise InputError(f"{file}: {error}") from None


def _cut_page(
    described: _Description, page: Page, group: str | None, taken: Sequence[Box], readable: bool, counts: Counter[str], options: argparse.Namespace
) -> list[Item]:
    """Cut the lines that no better description of the picture has (``taken``).

    Raises:
        InputError: the picture cannot be read or is not the one described.
    """
    file, path, name = described.file, described.picture, _drop_suffix(described.relative)
    image = _load_picture(file, page, path)
    x_scale, y_scale = _find_scale(file, page, path, image)
    outlines = [[(x * x_scale, y * y_scale) for x, y in line.polygon or line.box or ()] for line in page.lines]
    _check_outlines(file, path, outlines, image)
    items: list[Item] = []
    others = 0
    for index, (line, outline) in enumerate(zip(page.lines, outlines, strict=True), start=1):
        id = f"{name}/{index:04d}"
        try:
            text = clean_text(line.text)
            if line.problem:
                raise ValueError(line.problem)
            if not text and readable:
                counts["empty"] += 1
                continue
            if len(outline) < 2:
                raise ValueError("has neither an outline nor a box")
            cut, box = cut_line(image, outline, masked=options.crop == "polygon")
            if any(_is_same(box, other) for other in taken):
                others += 1
                continue
            baseline = [(x * x_scale, y * y_scale) for x, y in line.baseline]
            angle = baseline_angle(baseline, outline)
            baseline, inner = ([(x - box[0], y - box[1]) for x, y in points] for points in (baseline, outline))
            if angle:
                cut, baseline = level_line(cut, inner, baseline, angle)
            target = options.made / f"{id}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            write_picture(target, cut)
        except ValueError as error:
            options.drop(InputError(f"{file}: line {line.id[:40] or index}: {error}"))
            continue
        counts["cut"] += 1
        counts["predicted"] += line.predicted
        meta: dict[str, Any] = {"page": path.name, "box": list(box), **({"line": line.id} if line.id else {})}
        if baseline:  # in pixels of the cut
            meta["baseline"] = [[round(x, 1), round(y, 1)] for x, y in baseline]
        if angle:
            meta["turned"] = round(angle, 1)  # degrees, counterclockwise
        items.append(Item(id, target, text=text or None, width=cut.width, group=group, meta=meta))
    if others:
        options.note(f"{file}: another reading of the picture {path.name}; {others} of its lines are already those of a better one and left out")
    return items


def _is_same(box: Box, other: Box) -> bool:
    """Whether two boxes are of one line: they share more than half of what they cover together, or most of the smaller one."""
    width, height = min(box[2], other[2]) - max(box[0], other[0]), min(box[3], other[3]) - max(box[1], other[1])
    if width <= 0 or height <= 0:
        return False
    first, second = ((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other))
    return width * height > min(0.5 * (first + second - width * height), 0.75 * min(first, second))


def _check_outlines(file: Path, path: Path, outlines: Sequence[Sequence[Point]], image: Image.Image) -> None:
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


def _load_picture(file: Path, page: Page, path: Path) -> Image.Image:
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


def _find_scale(file: Path, page: Page, path: Path, image: Image.Image) -> tuple[float, float]:
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


def _drop_suffix(path: str) -> str:
    return path[:-4] if path.lower().endswith(".xml") else path


def cut_line(page: Image.Image, outline: Sequence[Point], *, masked: bool) -> tuple[Image.Image, Box]:
    """Cut out a line.

    Args:
        page: gray.
        outline: at least two points in pixels; two are the corners of a box.
        masked: paint what lies outside the outline in the gray of the paper, taken as the median inside; or, where ink covers
            more than it leaves, as that of those pixels inside that are on the same side of the gray levels as the outline.

    Returns:
        The cut and its box on the page, the smallest of whole pixels around the outline.

    Raises:
        ValueError: the outline encloses nothing of the page, or reaches beyond a million pixels.
    """
    from PIL import Image, ImageDraw

    xs, ys = zip(*outline, strict=True)
    if max(map(abs, (*xs, *ys))) > MAX_COORDINATE:  # Pillow counts in 32 bits
        raise ValueError(f"the outline reaches {max(map(abs, (*xs, *ys))):g} pixels, beyond any picture")
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
    paper = Image.new("L", line.size, _find_paper(line, inside, [(x - left, y - top) for x, y in outline]))
    return Image.composite(line, paper, inside), box


def _find_paper(line: Image.Image, inside: Image.Image, outline: Sequence[Point]) -> int:
    """Gray of the paper within an outline, whose pixels are 255 in ``inside``."""
    from PIL import Image, ImageChops, ImageDraw, ImageStat

    from recognizer.image.contrast import otsu_threshold

    histogram = line.histogram(inside)
    threshold = otsu_threshold(np.array(histogram))
    median = ImageStat.Stat(line, inside).median[0]
    edge = Image.new("L", line.size, 0)
    ImageDraw.Draw(edge).line([*outline, outline[0]], fill=255, width=3)
    along = ImageStat.Stat(line, ImageChops.multiply(edge, inside)).median[0]
    if (along < threshold) == (median < threshold):
        return median
    side = line.point([255 * ((level < threshold) == (along < threshold)) for level in range(256)])
    return ImageStat.Stat(line, ImageChops.multiply(side, inside)).median[0]
