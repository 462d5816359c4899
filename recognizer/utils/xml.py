"""XML files of unknown origin, read without expanding what they declare and within bounds of size, depth and length of numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException, EntitiesForbidden
from defusedxml.ElementTree import XMLParser

from recognizer.errors import InputError
from recognizer.utils.archives import as_file
from recognizer.utils.limits import advice, limits

Point = tuple[float, float]

MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS = limits().xml_bytes, limits().xml_nesting, limits().xml_elements
MAX_DIGITS = 100  # characters of a number
MAX_NUMBER = 1e20  # of its value; times in nanoseconds since 1970 are below

_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")


class _BoundedBuilder(TreeBuilder):
    """Stops where a document has more elements, or deeper ones, than any page needs; what walks the tree may then recurse."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = self.elements = 0

    def start(self, tag: Any, attrs: Any, /) -> Element:
        self.depth += 1
        self.elements += 1
        if self.depth > MAX_DEPTH:
            raise ValueError(f"elements are nested more than {MAX_DEPTH} deep; {advice('xml_nesting')}")
        if self.elements > MAX_ELEMENTS:
            raise ValueError(f"more than {MAX_ELEMENTS} elements; {advice('xml_elements')}")
        return super().start(tag, attrs)

    def end(self, tag: Any, /) -> Element:
        self.depth -= 1
        return super().end(tag)


def parse_xml(path: Path) -> Element:
    """The root of an XML file.

    Raises:
        InputError: it cannot be read, is not well-formed, is larger or deeper than the bounds above, or declares entities (which can
            blow a small file up to gigabytes or pull in others).
    """
    try:
        with as_file(path) as place, place.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES >> 20} MiB; is this one page or line? If so, {advice('xml_bytes')}")
        parser = XMLParser(target=_BoundedBuilder())
        parser.feed(content)
        root: Element = parser.close()
        return root
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except EntitiesForbidden as error:
        raise InputError(f"{path}: declares the entity {shorten(error.name)}; remove the DOCTYPE") from None
    except ParseError as error:
        raise InputError(f"{path}: not well-formed XML: {error}") from None
    except (DefusedXmlException, LookupError, ValueError) as error:  # external references; encodings that Python or expat does not know
        raise InputError(f"{path}: cannot be read: {error}") from None


def shorten(text: str | None, length: int = 40) -> str:
    """A text in quotation marks for a message; of one longer than ``length`` the beginning and how long it is."""
    text = text or ""
    return repr(text) if len(text) <= length else f"{text[:length]!r}... ({len(text)} characters)"


def local_name(element: Element) -> str:
    """The name of an element without its namespace ("" for comments)."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def children(element: Element, *names: str) -> Iterator[Element]:
    """The direct children with one of the local names, in order."""
    return (child for child in element if local_name(child) in names)


def descend(element: Element, *names: str) -> Element | None:
    """The first child by each local name in turn, or None."""
    found: Element | None = element
    for name in names:
        found = None if found is None else next(children(found, name), None)
    return found


def parse_number(text: str) -> float | None:
    """The number that a text is; None if it is none, has more than 100 characters or is beyond 1e20 in size."""
    if len(text) > MAX_DIGITS or not _NUMBER.fullmatch(text.strip()):
        return None
    number = float(text)
    return number if math.isfinite(number) and abs(number) <= MAX_NUMBER else None


def read_number(element: Element, attribute: str) -> float | None:
    """A number in an attribute, None if it is absent.

    Raises:
        ValueError: it is not a number that :func:`parse_number` takes; the message names element and attribute.
    """
    text = element.get(attribute)
    if text is None:
        return None
    number = parse_number(text)
    if number is None:
        raise ValueError(f"{local_name(element)}/@{attribute} is not a number: {shorten(text)}")
    return number


def read_points(text: str) -> list[Point]:
    """Points written "x,y x,y" or "x y x y".

    Raises:
        ValueError: something else stands there, or the last point has only one number.
    """
    words = text.replace(",", " ").split()
    numbers = []
    for word in words:
        number = parse_number(word)
        if number is None:
            raise ValueError(f"not a list of points: {shorten(word)}")
        numbers.append(number)
    if len(words) % 2:
        raise ValueError(f"an odd count of coordinates ({len(words)})")
    return list(zip(numbers[::2], numbers[1::2], strict=True))
