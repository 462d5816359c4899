"""A folder of recordings or images, nested or not, each beside its transcript: x.wav + x.txt or x.lab, x.png + x.gt.txt.

As OCRopus and its descendants write them, x.bin.png and x.nrm.png are versions of the line whose transcript is x.gt.txt.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text, make_grouper, read_text
from recognizer.errors import InputError

CORPUS = "folder"
TEXT_SUFFIXES = (".gt.txt", ".txt", ".lab")  # in this order: OCR programs leave their guess in x.txt beside x.gt.txt; .lab is of MFA
_TIMED = re.compile(r"\s*[\d.]+\s+[\d.]+\s+\S")  # how a line of a .lab file of HTK and others begins

VERSIONS = (".nrm", ".raw", ".dew", ".bin")  # of a line image, the best for training first; x.png itself comes before them


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
    sources = {path: _split_name(path, texts) for path in files if path.suffix.lower() in {*AUDIO_SUFFIXES, *IMAGE_SUFFIXES}}
    best: dict[Path, int] = {}
    for base, rank in sources.values():
        best[base] = min(rank, best.get(base, rank))
    others = [path for path, (base, rank) in sources.items() if rank > best[base]]
    for path, (base, rank) in sources.items():
        candidates = [base.with_name(base.name + suffix) for suffix in TEXT_SUFFIXES]
        unused.difference_update(candidates)
        if rank > best[base]:
            continue
        relative = path.relative_to(source)
        try:
            transcript = next((p for p in candidates if p in texts), None)
            if transcript is None:
                raise InputError(f"{path}: no transcript beside it ({' or '.join(p.name for p in candidates)})")
            content = read_text(transcript)
            if transcript.suffix == ".lab" and all(map(_TIMED.match, content.strip().splitlines())) and content.strip():
                raise InputError(f"{transcript}: holds labels with their times, not a transcript; write the words alone to {path.stem}.txt")
            text = clean_text(content)
            if not text:
                raise InputError(f"{transcript}: the transcript is empty")
            yield Item(base.relative_to(source).as_posix(), path, text=text, group=find_group(relative.as_posix()))
        except InputError as error:
            options.drop(error)
    if others:
        options.note(f"{len(others)} images are another version of a line ({others[0].name}, for one) and left out")
    for path in sorted(unused):
        options.drop(InputError(f"{path}: no recording or image beside it"))


def _split_name(path: Path, texts: set[Path]) -> tuple[Path, int]:
    """The path that a file has in common with its transcript, and which version of it the file is, 0 for the thing itself."""

    def has_text(base: Path) -> bool:
        return any(base.with_name(base.name + suffix) in texts for suffix in TEXT_SUFFIXES)

    base = path.with_suffix("")
    for rank, version in enumerate(VERSIONS, start=1):
        if base.name.lower().endswith(version) and len(base.name) > len(version):
            line = base.with_name(base.name[: -len(version)])
            return (line, rank) if has_text(line) and not has_text(base) else (base, 0)
    return base, 0
