"""Text lines cut out of page images by ALTO or PAGE XML: finding pages and images, scaling, cutting, naming."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text, make_grouper, write_picture
from recognizer.data_prep.table import SPLITS
from recognizer.errors import InputError
from recognizer.pages.cut import Box, cut_level, is_same
from recognizer.pages.files import Parsers, load_layout
from recognizer.pages.layout import Page
from recognizer.pages.pictures import PictureFinder
from recognizer.pages.placing import place_lines

# Words in the path of an XML file that say where its text comes from.
TRUTH = frozenset({"gt", "truth", "groundtruth", "ground"})
PREDICTION = frozenset({"pred", "prediction", "predictions", "predicted", "ocr", "htr", "auto", "hyp", "hypothesis"})


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
    source: Path, options: argparse.Namespace, parsers: Parsers, least_splits: int = 2
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
            understand; files with another root are noted and left alone, with their lines where they describe a picture that is read.
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
            page = load_layout(description.file, parsers)
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
    files: Sequence[Path], base: Path, options: argparse.Namespace, parsers: Parsers
) -> list[list[_Description]]:
    """The descriptions of each picture, the winning one first."""
    finder = PictureFinder(base)
    pictures: dict[Any, list[_Description]] = {}
    foreign: list[tuple[Path, list[str]]] = []  # files with another root, and what there is to say of each
    for file in files:
        lines = 1
        try:
            notes: list[str] = []
            page = load_layout(file, parsers, notes.append)
            if page is None:
                foreign.append((file, notes))
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
    for file, notes in foreign:
        twin = _describe_twin(file, finder, pictures.keys())
        for note in notes if twin is None else [twin]:
            options.note(note)
    return [sorted(descriptions, key=lambda description: description.rank) for descriptions in pictures.values()]


def _describe_twin(file: Path, finder: PictureFinder, read: Collection[Any]) -> str | None:
    """What to say of a page in a format that is not asked for whose picture is among those ``read``; None if it is none."""
    try:
        page = load_layout(file)
        picture = None if page is None else finder.find(file, page.image)
        if page is None or picture is None or finder.identity(picture) not in read:
            return None
    except InputError:
        return None
    lines = f"{len(page.lines)} lines are left out (prepare htr_united reads both)"
    return f"{file}: another reading of the picture {picture.name}, in {page.format.upper()}; {lines}"


def _cut_page(
    described: _Description, page: Page, group: str | None, taken: Sequence[Box], readable: bool, counts: Counter[str], options: argparse.Namespace
) -> list[Item]:
    """Cut the lines that no better description of the picture has (``taken``).

    Raises:
        InputError: the picture cannot be read or is not the one described.
    """
    file, path, name = described.file, described.picture, _drop_suffix(described.relative)
    placed = place_lines(file, page, path)
    items: list[Item] = []
    others = 0
    for index, (line, outline, baseline) in enumerate(zip(page.lines, placed.outlines, placed.baselines, strict=True), start=1):
        id = f"{name}/{index:04d}"
        try:
            text = clean_text(line.text)
            if line.problem:
                raise ValueError(line.problem)
            if not text and readable:
                counts["empty"] += 1
                continue
            cut = cut_level(placed.picture, outline, baseline, masked=options.crop == "polygon")
            if any(is_same(cut.box, other) for other in taken):
                others += 1
                continue
            target = options.made / f"{id}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            write_picture(target, cut.picture)
        except ValueError as error:
            options.drop(InputError(f"{file}: line {line.id[:40] or index}: {error}"))
            continue
        counts["cut"] += 1
        counts["predicted"] += line.predicted
        meta: dict[str, Any] = {"page": path.name, "box": list(cut.box), **({"line": line.id} if line.id else {})}
        if cut.baseline:  # in pixels of the cut
            meta["baseline"] = [[round(x, 1), round(y, 1)] for x, y in cut.baseline]
        if cut.angle:
            meta["turned"] = round(cut.angle, 1)  # degrees, counterclockwise
        items.append(Item(id, target, text=text or None, width=cut.picture.width, group=group, meta=meta))
    if others:
        options.note(f"{file}: another reading of the picture {path.name}; {others} of its lines are already those of a better one and left out")
    return items


def _drop_suffix(path: str) -> str:
    return path[:-4] if path.lower().endswith(".xml") else path
