"""A folder of recordings or images, nested or not, each beside its transcript: x.wav + x.txt, x.png + x.gt.txt."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text, make_grouper, read_text
from recognizer.errors import InputError

CORPUS = "folder"
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
    from recognizer.audio.io import AUDIO_SUFFIXES
    from recognizer.image.io import IMAGE_SUFFIXES

    if not source.is_dir():
        raise InputError(f"{source}: not a folder")
    named = {"folder": lambda path: os.path.dirname(path) or source.name, "none": lambda path: None}
    find_group = make_grouper(options.group_by, named, source)
    files = sorted(p for p in source.rglob("*") if p.is_file())
    texts = {path for path in files if path.name.lower().endswith(TEXT_SUFFIXES)}
    unused = set(texts)
    for path in (path for path in files if path.suffix.lower() in {*AUDIO_SUFFIXES, *IMAGE_SUFFIXES}):
        candidates = [path.with_name(path.stem + suffix) for suffix in TEXT_SUFFIXES]
        unused.difference_update(candidates)
        relative = path.relative_to(source)
        try:
            transcript = next((p for p in candidates if p in texts), None)
            if transcript is None:
                raise InputError(f"{path}: no transcript beside it ({' or '.join(p.name for p in candidates)})")
            text = clean_text(read_text(transcript))
            if not text:
                raise InputError(f"{transcript}: the transcript is empty")
            yield Item(relative.with_suffix("").as_posix(), path, text=text, group=find_group(relative.as_posix()))
        except InputError as error:
            options.drop(error)
    for path in sorted(unused):
        options.drop(InputError(f"{path}: no recording or image beside it"))
