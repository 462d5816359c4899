"""IAM handwriting (IAM-DB 3.0), offline lines: the published splits by their lists of ids, checked by their counts."""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from recognizer.data.manifest import Item
from recognizer.data.preparation import measure
from recognizer.data_prep.common import add_partial_argument, clean_text, read_text, report_deviations
from recognizer.errors import InputError
from recognizer.text.normalize import TEXT_FORM, join_contractions
from recognizer.utils.xml import children, descend, parse_xml

CORPUS = "iam"
LINE = re.compile(r"[a-z]\d\d-\d{3}[a-z]?-\d\d")
FORM = re.compile(r"[a-z]\d\d-\d{3}[a-z]?")
OTHER_FOLDERS = ("words", "sentences")  # images that are not needed

FORMS, LINES = 1539, 13353  # of IAM 3.0

# Sets of each split by manifest: the lists they are made of, the lines they count, and forms that are taken out again.
SPLITS: dict[str, dict[str, tuple[tuple[str, ...], int, tuple[str, ...]]]] = {
    "official": {  # Large Writer Independent Text Line Recognition Task
        "train": (("official_train",), 6161, ()),
        "dev": (("official_validation1", "official_validation2"), 1840, ()),  # 900 + 940
        "test": (("official_test",), 1861, ()),
    },
    "aachen": {  # RWTH Aachen
        "train": (("aachen_train",), 6482, ()),
        "dev": (("aachen_validation",), 976, ()),
        "test": (("aachen_test",), 2915, ()),
    },
    "aachen_laia": {  # as Laia and PyLaia have it (Puigcerver 2017)
        "train": (("official_train",), 6161, ()),
        "dev": (("aachen_validation",), 966, ("c04-160",)),
        "test": (("aachen_test",), 2915, ()),
    },
}

# The lists of the official task under the names they are distributed by.
DISTRIBUTED = {
    "trainset.txt": "official_train",
    "validationset1.txt": "official_validation1",
    "validationset2.txt": "official_validation2",
    "testset.txt": "official_test",
}


@dataclass
class Files:
    """What lies where in a copy of IAM."""

    images: dict[str, Path] = field(default_factory=dict)  # by line
    forms: dict[str, Path] = field(default_factory=dict)  # XML by form
    texts: dict[str, Path] = field(default_factory=dict)  # lines.txt, forms.txt and the lists of the official task
    duplicates: int = 0  # lines with a second image


@dataclass
class Line:
    """What is known of a line."""

    tokens: str | None = None  # of lines.txt, separated by spaces
    natural: str | None = None  # of the XML, as it was to be written
    segmentation: str | None = None  # "ok" or "err": of its words, it says nothing against the line
    box: list[int] | None = None  # on the form: x, y, width, height in pixels
    writer: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--split``, ``--text`` and ``--partial``."""
    parser.add_argument("--split", choices=tuple(SPLITS), default="aachen", help=(
        "official: Large Writer Independent Text Line Recognition Task, both validation sets as dev; aachen: RWTH Aachen, 6482/976/2915 lines; "
        "aachen_laia: its variant of 6161/966/2915 lines (default: aachen). Their test sets differ: never select on one and test on another"))
    parser.add_argument("--text", choices=("natural", "tokenised", "laia"), default="natural", help=(
        "natural: spaced as in writing, needs xml/; tokenised: as lines.txt, a space before every mark; laia: the same with contractions "
        "joined (default: natural)"))
    add_partial_argument(parser)


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the lines of a split, in the order of its lists.

    The images are measured here, so that one that cannot be read counts as missing. Lines marked ``err`` are kept, as in
    every published split: the mark is about words.

    Raises:
        InputError: what ``--text`` needs is not there, or (without ``--partial``) something differs from the published split.
    """
    split = load_split(options.split)
    files = _find_files(source)
    lines = _load_lines(files, options)
    _load_forms(files, lines, {id[:-3] for id in split}, options)
    if all(getattr(line, "natural" if options.text == "natural" else "tokens") is None for line in lines.values()):
        wanted = "xml/ (xml.tgz)" if options.text == "natural" else "ascii/lines.txt (ascii.tgz)"
        raise InputError(f"{source}: --text {options.text} needs {wanted}, which is not there; unpack it or take another --text")
    both = [(id, line) for id, line in lines.items() if line.tokens is not None and line.natural is not None]
    differing = [id for id, line in both if (line.tokens or "").replace(" ", "") != (line.natural or "").replace(" ", "")]
    if differing:
        options.note(f"{len(differing)} of {len(both)} lines read otherwise in lines.txt and in the XML, spaces aside: {', '.join(differing[:5])}")
    items = []
    for id, (manifest, part) in split.items():
        try:
            items.append(_make_item(id, lines.get(id), files, {"split": manifest, "part": part}, options))
        except InputError as error:
            options.drop(error)
    items = measure(items, options.drop)
    present = {item.id for item in items}
    missing = [f"{manifest} lacks {id} (list {part})" for id, (manifest, part) in split.items() if id not in present]
    causes = [*(_check_lists(files) if options.split == "official" else ()), *missing]
    report_deviations(f"IAM ({options.split})", source, causes, list(_check_counts(items, options.split)), options)
    left = len(lines.keys() - split.keys())
    if left:
        options.note(f"left out: {left} lines that belong to no set of the split {options.split}")
    if files.duplicates:
        options.note(f"{files.duplicates} lines have several images; the first by path was taken")
    yield from items


def _find_files(source: Path) -> Files:
    """Images of lines (nested or all in one folder), XML of forms, and text files, wherever they lie."""
    from recognizer.image.io import IMAGE_SUFFIXES

    files = Files()
    for top, folders, names in os.walk(source):
        folders[:] = sorted(f for f in folders if f.lower() not in OTHER_FOLDERS and not f.startswith("."))
        for name in sorted(names):
            path = Path(top) / name
            stem, suffix = path.stem.lower(), path.suffix.lower()
            if suffix in IMAGE_SUFFIXES and LINE.fullmatch(stem):
                files.duplicates += files.images.setdefault(stem, path) is not path
            elif suffix == ".xml" and FORM.fullmatch(stem):
                files.forms.setdefault(stem, path)
            elif name.lower() in ("lines.txt", "forms.txt", *DISTRIBUTED):
                files.texts.setdefault(name.lower(), path)
    if not files.images:
        raise InputError(f"{source}: no images of lines found; expected files such as lines/a01/a01-000u/a01-000u-00.png")
    return files


def _load_lines(files: Files, options: argparse.Namespace) -> dict[str, Line]:
    """The rows of lines.txt: id, ok or err, gray level, components, x, y, width, height, tokens separated by "|"."""
    lines: dict[str, Line] = {}
    path = files.texts.get("lines.txt")
    for number, row in enumerate(read_text(path).split("\n") if path else (), start=1):
        if not row.strip() or row.startswith("#"):
            continue
        fields = row.strip().split(" ", 8)
        try:
            if len(fields) != 9 or not LINE.fullmatch(fields[0]) or fields[1] not in ("ok", "err"):
                raise InputError(f"{path}:{number}: expected a line id, ok or err, six numbers and the text, found {row.strip()!r}")
            if fields[0] in lines:
                raise InputError(f"{path}:{number}: the line {fields[0]} stands there twice")
            box = [int(value) for value in fields[4:8] if re.fullmatch(r"-?\d+", value)]
            tokens = fields[8].replace(" ", "").split("|")  # a space within a token is a slip of the transcribers
            usable = len(box) == 4 and box[2] > 0 and box[3] > 0
            lines[fields[0]] = Line(" ".join(filter(None, tokens)), segmentation=fields[1], box=box if usable else None)
        except InputError as error:
            options.drop(error)
    if path and (len(lines), len({id[:-3] for id in lines})) != (LINES, FORMS):
        options.note(f"{path}: has {len(lines)} lines of {len({id[:-3] for id in lines})} forms; IAM 3.0 has {LINES} of {FORMS}")
    return lines


def _load_forms(files: Files, lines: dict[str, Line], wanted: set[str], options: argparse.Namespace) -> None:
    """Add the writers (forms.txt, or else the XML) and the text as written (XML) of the wanted forms."""
    writers = {}
    path = files.texts.get("forms.txt")
    for row in read_text(path).split("\n") if path else ():
        fields = row.split()
        if len(fields) > 1 and FORM.fullmatch(fields[0]):
            writers[fields[0]] = fields[1]
    for form in sorted(wanted & files.forms.keys()):
        try:
            root = parse_xml(files.forms[form])
        except InputError as error:
            options.drop(error)
            continue
        if root.get("writer-id"):
            writers.setdefault(form, root.get("writer-id", ""))
        for element in children(part, "line") if (part := descend(root, "handwritten-part")) is not None else ():
            line = lines.setdefault(element.get("id", ""), Line())
            line.natural = clean_text(unescape(element.get("text", "")))
            line.segmentation = line.segmentation or element.get("segmentation")
    for id, line in lines.items():
        line.writer = writers.get(id[:-3])
    unknown = sum(line.writer is None and id[:-3] in wanted for id, line in lines.items())
    if unknown:
        options.note(f"{unknown} lines have no writer, as neither ascii/forms.txt nor xml/ tells; intervals of scores will be too narrow")


def unescape(text: str) -> str:
    """Resolve the entities that IAM's XML escapes once more than XML asks for."""
    return text.replace("&quot;", '"').replace("&apos;", "'").replace("&amp;", "&")


def _make_item(id: str, line: Line | None, files: Files, meta: dict[str, Any], options: argparse.Namespace) -> Item:
    if id not in files.images:
        raise InputError(f"{id}: has no image")
    text = None if line is None else line.natural if options.text == "natural" else line.tokens
    if line is None or not text:
        place = f"the XML of form {id[:-3]}" if options.text == "natural" else "lines.txt"
        raise InputError(f"{files.images[id]}: has no text in {place}")
    if options.text == "laia":
        text = join_contractions(text)
    known = {"segmentation": line.segmentation, "box": line.box}
    meta = {**meta, "form": id[:-3], TEXT_FORM: options.text, **{key: value for key, value in known.items() if value is not None}}
    return Item(id, files.images[id], text=clean_text(text), group=line.writer, meta=meta)


def _check_lists(files: Files) -> Iterator[str]:
    """Where the copy's own lists of the official task are not the published ones."""
    for name, part in DISTRIBUTED.items():
        if name not in files.texts:
            continue
        path, expected = files.texts[name], set(load_list(part))
        found = set(read_text(path).split())
        if found != expected:
            other = next((n for n, p in DISTRIBUTED.items() if found == set(load_list(p))), None)
            what = f"holds the lines of {other}" if other else f"lacks {len(expected - found)} lines and has {len(found - expected)} others"
            yield f"{path}: {what}; published: {len(expected)} lines, {load_list(part)[0]} to {load_list(part)[-1]}"


def _check_counts(items: Sequence[Item], split: str) -> Iterator[str]:
    counts = Counter(item.meta["split"] for item in items)
    for manifest, (_, expected, _) in SPLITS[split].items():
        if counts[manifest] != expected:
            yield f"{manifest}: {counts[manifest]} lines, published {expected}"


def load_split(name: str) -> dict[str, tuple[str, str]]:
    """The manifest ("train", "dev", "test") and the list of every line id of a split, in published order.

    Raises:
        InputError: the package data are damaged: a set has not as many lines as were published.
    """
    lines: dict[str, tuple[str, str]] = {}
    for manifest, (lists, count, without) in SPLITS[name].items():
        chosen = {id: (manifest, part) for part in lists for id in load_list(part) if id[:-3] not in without}
        if len(chosen) != count or chosen.keys() & lines.keys():
            raise InputError(f"split {name}: the installed lists have {len(chosen)} lines for {manifest}, published {count}; install again")
        lines |= chosen
    return lines


@cache
def load_list(name: str) -> tuple[str, ...]:
    """The line ids of one list, in order."""
    text = (resources.files("recognizer.data_prep") / "lists" / f"iam_{name}.txt").read_text(encoding="utf-8")
    words = [word for row in text.split("\n") if not row.startswith("#") for word in row.split()]
    return tuple(id for word in words for id in _expand(word))


def _expand(word: str) -> list[str]:
    """``a01-000u:0-3,6`` stands for a01-000u-00 to a01-000u-03 and a01-000u-06."""
    form, _, ranges = word.partition(":")
    ends = [re.split("-", part) for part in ranges.split(",")]
    return [f"{form}-{number:02d}" for first, *last in ends for number in range(int(first), int((last or [first])[0]) + 1)]
