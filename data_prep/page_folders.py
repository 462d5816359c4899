"""PAGE XML in folders that are splits, as READ and RIMES have them: Training/page/*.xml beside Training/images/, Validation, Test."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.xml_lines import add_line_arguments, read_lines
from recognizer.pages.page_xml import parse_page

CORPUS = "page_folders"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--group-by`` and ``--crop``."""
    add_line_arguments(parser)


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Cut the lines of all pages; the first folder on the way to a page that is called like a split is its split.

    Images lie beside the XML file, one folder up or in a folder of images beside its own. Pages under no such folder are free to be divided.
    """
    return read_lines(source, options, {"PcGts": parse_page}, least_splits=1)
