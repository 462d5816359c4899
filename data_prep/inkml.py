"""A folder of InkML files (W3C), nested or not, each one line of writing with its text as an annotation."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text, make_grouper
from recognizer.errors import InputError, nearest
from recognizer.utils.xml import local_name, parse_xml

CORPUS = "inkml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--text``, ``--group-by`` and ``--split``."""
    parser.add_argument("--text", default="truth", metavar="TYPE", help="type of the annotation that is the transcript (default: truth)")
    parser.add_argument("--group-by", default="writer", metavar="writer|folder|none|REGEX", help=(
        "what counts as a writer: the annotation of type writer, the folder of a file, nothing, or what the first (capture group) of a regular "
        "expression finds in the path below SOURCE (default: writer)"))
    parser.add_argument("--split", metavar="TYPE", help="type of the annotation that names the split")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the files in the order of their paths; annotations of the document without a role go to ``meta``.

    Raises:
        InputError: ``source`` is not a folder; ConfigError: ``--group-by`` makes no sense.
    """
    from recognizer.strokes.io import parse_ink, read_annotations

    if not source.is_dir():
        raise InputError(f"{source}: not a folder")
    notes: dict[str, str] = {}  # of the file in hand
    named: dict[str, Callable[[str], str | None]] = {
        "writer": lambda path: notes.pop("writer", None),
        "folder": lambda path: path.rpartition("/")[0] or source.name,
        "none": lambda path: None,
    }
    find_group = make_grouper(options.group_by, named, source)
    for path in sorted(p for p in source.rglob("*") if p.suffix.lower() == ".inkml" and p.is_file()):
        relative = path.relative_to(source)
        try:
            root = parse_xml(path)
            if local_name(root) != "ink":
                raise InputError(f"{path}: not InkML: its root element is <{local_name(root)}>")
            try:
                trace = parse_ink(root)
            except ValueError as error:
                raise InputError(f"{path}: {error}") from None
            if not trace.strokes:
                raise InputError(f"{path}: holds no strokes")
            notes.clear()
            notes |= read_annotations(root)
            meta = {}
            for role in filter(None, (options.text, options.split)):
                if role not in notes:
                    raise InputError(f"{path}: has no annotation of the type {role!r}{nearest(role, notes)} (there are {', '.join(notes) or 'none'})")
            text = clean_text(notes.pop(options.text))
            if options.split:
                meta["split"] = notes.pop(options.split)
            group = find_group(relative.as_posix())
            yield Item(relative.with_suffix("").as_posix(), path, text=text, seconds=trace.seconds, group=group, meta={**notes, **meta})
        except InputError as error:
            options.drop(error)
