"""IAM-OnDB, pen traces from a whiteboard: the published sets by the form lists that come with the corpus, checked by their counts."""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data.preparation import measure
from recognizer.data_prep.common import add_partial_argument, clean_text, read_text, report_deviations
from recognizer.errors import InputError

CORPUS = "iam_ondb"
FORM = re.compile(r"[a-z]\d\d-\d{3}[a-z]?")
LINE = re.compile(rf"({FORM.pattern})-(\d\d)")

# The form lists of the benchmark, the manifest each becomes, and its lines (Liwicki & Bunke; their sum, 12,179, is quoted for the whole).
SETS = {
    "trainset": ("train", 5364),
    "testset_v": ("dev", 1438),  # first validation set
    "testset_t": ("dev2", 1518),  # second validation set
    "testset_f": ("test", 3859),
}


@dataclass
class Files:
    """What lies where in a copy of IAM-OnDB."""

    traces: dict[str, dict[int, Path]] = field(default_factory=lambda: defaultdict(dict))  # by form and number of the line
    texts: dict[str, Path] = field(default_factory=dict)  # transcripts by form
    forms: dict[str, Path] = field(default_factory=dict)  # whole forms with their writer, by form
    lists: dict[str, Path] = field(default_factory=dict)
    writers: Path | None = None  # forms.txt
    duplicates: int = 0  # lines with a second file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--lists`` and ``--partial``."""
    parser.add_argument("--lists", type=Path, metavar="FOLDER", help=(
        "where trainset.txt, testset_v.txt, testset_t.txt and testset_f.txt lie (default: anywhere below SOURCE)"))
    add_partial_argument(parser)


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the lines of the four sets in the order of the lists: train, dev (validation 1), dev2 (validation 2) and test.

    The k-th line below "CSR:" in a form's transcript is that of the trace numbered k. Published recipes swap the validation
    sets and the test set now and then, so each list is known by its name and checked by its count. The traces are read here,
    so that one that cannot be read counts as missing.

    Raises:
        InputError: traces or lists are not there, two copies of a list differ, or (without ``--partial``) something differs from
            the published sets.
    """
    files = _find_files(source, options.lists)
    lists = {name: _read_list(files.lists[name]) for name in SETS}
    forms = {form for wanted in lists.values() for form in wanted}
    texts = {form: _read_transcript(files.texts[form]) for form in sorted(forms & files.texts.keys())}
    writers = _load_writers(files, forms)
    items = []
    for name, form in ((name, form) for name, wanted in lists.items() for form in wanted):
        rows = texts.get(form, [])
        for number, path in sorted(files.traces.get(form, {}).items()):
            if not 1 <= number <= len(rows):
                table = f"{files.texts[form]} has {len(rows)} lines below 'CSR:'" if form in files.texts else f"there is no {form}.txt"
                options.drop(InputError(f"{path}: has no text: {table}"))
                continue
            meta = {"split": SETS[name][0], "part": name, "form": form}
            items.append(Item(path.stem.lower(), path, text=rows[number - 1], group=writers.get(form), meta=meta))
    items = measure(items, options.drop)
    report_deviations("IAM-OnDB", source, list(_check_lists(files, lists)), list(_check_counts(items)), options)
    _add_notes(files, texts, writers, forms, options)
    yield from items


def _find_files(source: Path, lists: Path | None) -> Files:
    """Traces, transcripts, forms and lists, wherever they lie."""
    files = Files()
    for top, folders, names in os.walk(source):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for name in sorted(names):
            path, low = Path(top) / name, name.lower()
            stem, _, suffix = low.rpartition(".")
            if suffix == "xml" and (match := LINE.fullmatch(stem)):
                files.duplicates += files.traces[match[1]].setdefault(int(match[2]), path) is not path
            elif suffix == "xml" and re.fullmatch(r"strokes[a-z]?", stem):
                files.forms.setdefault(path.parent.name.lower() + stem.removeprefix("strokes"), path)
            elif suffix == "txt" and FORM.fullmatch(stem):
                files.texts.setdefault(stem, path)
            elif low == "forms.txt":
                files.writers = files.writers or path
            elif suffix == "txt" and stem in SETS and lists is None:
                other = files.lists.setdefault(stem, path)
                if other != path and _read_list(other) != _read_list(path):
                    raise InputError(f"{path}: differs from {other}; say with --lists which folder to take")
    if not files.traces:
        raise InputError(f"{source}: no traces of lines found; expected files such as lineStrokes/a01/a01-000/a01-000u-01.xml")
    if lists is not None:
        files.lists = {name: lists / f"{name}.txt" for name in SETS if (lists / f"{name}.txt").is_file()}
    absent = [f"{name}.txt" for name in SETS if name not in files.lists]
    if absent:
        raise InputError(f"{lists or source}: {', '.join(absent)} not found; download the lists of the benchmark (IAM-OnDB-t1 or -t2 have the same)")
    return files


def _read_list(path: Path) -> dict[str, None]:
    """The forms of a list, in order; a line stands for its form."""
    forms: dict[str, None] = {}
    for number, row in enumerate(read_text(path).split("\n"), start=1):
        for word in row.lower().split():
            match = FORM.match(word)
            if not match:
                raise InputError(f"{path}:{number}: expected the id of a form such as a01-000u, found {word!r}")
            forms[match[0]] = None
    return forms


def _read_transcript(path: Path) -> list[str]:
    """The lines below ``CSR:`` (those below ``OCR:`` are the text as it was to be copied); none without that section."""
    _, _, below = read_text(path).partition("CSR:")
    return [text for row in below.split("\n") if (text := clean_text(row))]


def _load_writers(files: Files, forms: set[str]) -> dict[str, str]:
    """Writers by form: as original/.../strokes*.xml has them, else the number that follows the form in forms.txt."""
    writers: dict[str, str] = {}
    for row in read_text(files.writers).split("\n") if files.writers else ():
        fields = row.split()
        if len(fields) > 1 and FORM.fullmatch(fields[0].lower()) and fields[1].isdecimal():
            writers[fields[0].lower()] = fields[1]
    for form in sorted(forms & files.forms.keys()):
        with files.forms[form].open("rb") as file:
            match = re.search(rb"\bwriterID\s*=\s*[\"']([^\"']+)", file.read(8192))  # it stands first, before megabytes of points
        if match:
            writers[form] = match[1].decode("latin-1")
    return writers


def _check_lists(files: Files, lists: dict[str, dict[str, None]]) -> Iterator[str]:
    """Forms without traces, and those that are in two sets."""
    places: dict[str, str] = {}
    for name, forms in lists.items():
        for form in forms:
            if form not in files.traces:
                yield f"{SETS[name][0]} lacks the form {form} (list {files.lists[name].name})"
            if places.setdefault(form, name) != name:
                yield f"{files.lists[name]}: the form {form} is also in {files.lists[places[form]].name}"


def _check_counts(items: Sequence[Item]) -> Iterator[str]:
    """Lines of each set, where they are not as many as published."""
    counts = Counter(item.meta["part"] for item in items)
    for name, (manifest, expected) in SETS.items():
        if counts[name] != expected:
            other = next((f", which is the count of {o}.txt" for o, (_, count) in SETS.items() if count == counts[name]), "")
            yield f"{manifest}: {counts[name]} lines by {name}.txt, published {expected}{other}"


def _add_notes(files: Files, texts: dict[str, list[str]], writers: dict[str, str], forms: set[str], options: argparse.Namespace) -> None:
    uneven = [form for form, rows in texts.items() if form in files.traces and max(files.traces[form]) != len(rows)]
    unknown = sum(form not in writers for form in forms & files.traces.keys())
    left = sum(len(lines) for form, lines in files.traces.items() if form not in forms)
    if uneven:
        options.note(f"{len(uneven)} forms have not as many traces as lines of text, whose texts may be those of other lines: "
                     f"{', '.join(uneven[:5])}")
    if files.duplicates:
        options.note(f"{files.duplicates} lines have several traces; the first by path was taken")
    if unknown:
        options.note(f"{unknown} forms have no writer, as neither original/ (original-xml-part.tar.gz) nor forms.txt tells; "
                     "intervals of scores will be too narrow")
    if left:
        options.note(f"left out: {left} lines of forms that are in none of the lists")
