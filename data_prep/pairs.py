"""A folder of recordings or images, nested or not, each beside its transcript: x.wav + x.txt, x.png + x.gt.txt."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.grouping import make_grouper
from recognizer.data_prep.texts import clean_text, read_text
from recognizer.errors import InputError

CORPUS = "pairs"
TEXT_SUFFIXES = (".gt.txt", ".txt")  # in this order: OCR programs leave their guess in x.txt beside x.gt.txt


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--group-by``."""
    parser.add_argument("--group-by", default="folder", metavar="folder|none|REGEX", help=(
        "what counts as a speaker or writer: the folder of a file, nothing, or what the first (capture group) of a regular expression finds "
        "in the path below SOURCE (default: folder)"))


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the pairs in the order of their paths.

    Raises:
        InputError: ``source`` is not a folder; ConfigError: ``--group-by`` makes no sense.
    """
    from recognizer.features.audio_file import AUDIO_SUFFIXES
    from recognizer.features.image_file import IMAGE_SUFFIXES

    if not source.is_dir():
        raise InputError(f"{source}: not a folder")
    named = {"folder": lambda path: os.path.dirname(path) or source.name, "none": lambda path: None}
    find_group = make_grouper(options.group_by, named, source)
    media: list[Path] = []
    texts: set[Path] = set()
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        if path.suffix.lower() in {*AUDIO_SUFFIXES, *IMAGE_SUFFIXES}:
            media.append(path)
        elif path.name.lower().endswith(TEXT_SUFFIXES):
            texts.add(path)
    used: set[Path] = set()
    for path in media:
        partners = [path.with_name(path.stem + suffix) for suffix in TEXT_SUFFIXES]
        used.update(partners)
        relative = path.relative_to(source)
        try:
            partner = next((p for p in partners if p in texts), None)
            if partner is None:
                raise InputError(f"{path}: no transcript beside it ({' or '.join(p.name for p in partners)})")
            text = clean_text(read_text(partner))
            if not text:
                raise InputError(f"{partner}: the transcript is empty")
            yield Item(relative.with_suffix("").as_posix(), path, text=text, group=find_group(relative.as_posix()))
        except InputError as error:
            options.drop(error)
    for path in sorted(texts - used):
        options.drop(InputError(f"{path}: no recording or image beside it"))
