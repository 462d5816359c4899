"""ALTO XML (versions 2 to 4) with page images: text lines are cut out along their outlines."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.xml_lines import add_line_arguments, read_lines
from recognizer.pages.alto import parse_alto

CORPUS = "alto"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--group-by`` and ``--crop``."""
    add_line_arguments(parser)


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read an ALTO file or all in a folder; lines in document order, or in the ReadingOrder of the file."""
    return read_lines(source, options, {"alto": parse_alto})
