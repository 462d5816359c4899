"""Files that describe pages: which of the known formats one has, and the page it describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, XMLParser

from recognizer.errors import InputError
from recognizer.pages.alto import parse_alto
from recognizer.pages.layout import Page
from recognizer.pages.page_xml import parse_page
from recognizer.utils.xml import local_name, parse_xml

Parsers = Mapping[str, Callable[[Element], Page]]

PARSERS: Parsers = {"alto": parse_alto, "PcGts": parse_page}  # by the local name of the root element
HEAD_BYTES = 1 << 16  # of a file, within which its root element begins


def load_layout(file: Path, parsers: Parsers = PARSERS, note: Callable[[str], None] | None = None) -> Page | None:
    """The page of an XML file; None for XML of another kind.

    Args:
        file: the XML file.
        parsers: by the local name of the root element, what makes a page of it and raises ValueError for what it cannot understand.
        note: is told of XML of another kind.

    Raises:
        InputError: it cannot be read or understood.
    """
    root = parse_xml(file)
    known = {name.lower(): parser for name, parser in parsers.items()}  # PAGE 2009 writes pcGts
    parse = known.get(local_name(root).lower())
    if parse is None:
        if note is not None:
            note(f"{file}: left alone, its root element is <{local_name(root)[:40]}> and not <{'> or <'.join(parsers)}>")
        return None
    try:
        return parse(root)
    except ValueError as error:
        raise InputError(f"{file}: {error}") from None


def is_layout(file: Path, parsers: Parsers = PARSERS) -> bool:
    """Whether a file is XML that describes a page, by its root element; of one that cannot be read False."""
    builder = _RootFinder()
    parser = XMLParser(target=builder)
    try:
        with file.open("rb") as stream:
            parser.feed(stream.read(HEAD_BYTES))
    except _Found:
        return (builder.root or "").lower() in {name.lower() for name in parsers}
    except (OSError, ParseError, DefusedXmlException, LookupError, ValueError):
        pass
    return False


class _Found(Exception):
    """The root element has begun."""


class _RootFinder(TreeBuilder):
    root: str | None = None

    def start(self, tag: Any, attrs: Any, /) -> Element:
        self.root = local_name(Element(tag))
        raise _Found
