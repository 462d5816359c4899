"""Clones of HTR-United repositories: ALTO and PAGE XML anywhere below, with what htr-united.yml says of their license and writers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from recognizer.data.manifest import Item
from recognizer.data_prep.common import read_text
from recognizer.data_prep.xml_lines import add_line_arguments, read_lines
from recognizer.errors import InputError
from recognizer.pages.files import PARSERS
from recognizer.utils.reading import parse_yaml

CORPUS = "htr_united"
CATALOGUE = "htr-united.yml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--group-by`` and ``--crop``."""
    add_line_arguments(parser, "catalogue", "the folder where the catalogue says that a folder is one writer and else the page, ")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Cut the lines of every repository at ``source``, one or a folder of several; each is a ``dataset`` in ``meta``.

    The licenses are noted, for ``corpus.license`` of a training.

    Raises:
        InputError: a catalogue file cannot be read.
    """
    repositories = sorted({path.parent for path in source.rglob(CATALOGUE)}) or [source]
    inner = [folder for folder in repositories if any(folder != other and folder.is_relative_to(other) for other in repositories)]
    for folder in (folder for folder in repositories if folder not in inner):
        catalogue = _load_catalogue(folder / CATALOGUE, options)
        title = str(catalogue.get("title") or folder.name)
        rule = options.group_by
        if rule == "catalogue":
            rule = "folder" if "per-folder" in str((catalogue.get("hands") or {}).get("count")) else "page"
        base = "" if folder == source else folder.relative_to(source).as_posix() + "/"
        settings = argparse.Namespace(**{**vars(options), "group_by": rule, "made": options.made / base})
        for item in read_lines(folder, settings, PARSERS):
            group = None if item.group is None else base + item.group
            yield replace(item, id=base + item.id, group=group, meta={**item.meta, "dataset": title})


def _load_catalogue(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What a catalogue file says; its license is noted."""
    if not path.is_file():
        options.note(f"{path}: not there, so the license is not known; ask before anything trained on it is given away")
        return {}
    catalogue = parse_yaml(read_text(path), str(path))
    if not isinstance(catalogue, dict):
        raise InputError(f"{path}: expected keys such as title and license")
    entries = catalogue.get("license") or []
    names = [str(entry.get("name") if isinstance(entry, dict) else entry) for entry in (entries if isinstance(entries, list) else [entries])]
    options.note(f"{path}: license: {', '.join(names) or 'not stated'} ({catalogue.get('title') or path.parent.name})")
    if not isinstance(catalogue.get("hands"), dict):
        catalogue["hands"] = {}
    return catalogue
