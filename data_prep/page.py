"""PAGE XML (PRImA, any version) with page images: text lines are cut out along their outlines."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.xml_lines import add_line_arguments, read_lines
from recognizer.pages.page_xml import parse_page

CORPUS = "page"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--group-by`` and ``--crop``."""
    add_line_arguments(parser)


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read a PAGE file or all in a folder; lines in reading order."""
    return read_lines(source, options, {"PcGts": parse_page})
