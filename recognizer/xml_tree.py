"""XML files of unknown origin, read without expanding what they declare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.parsers import expat

from recognizer.errors import InputError

Point = tuple[float, float]


def parse_xml(path: Path) -> Element:
    """The root of an XML file.

    Raises:
        InputError: it cannot be read, is not well-formed, or declares entities (which can blow a small file up to gigabytes or
            pull in others).
    """

    def refuse(*declaration: object) -> None:
        raise InputError(f"{path}:{scanner.CurrentLineNumber}: declares the entity {declaration[0]!r}; remove the DOCTYPE")

    scanner = expat.ParserCreate()
    scanner.EntityDeclHandler = refuse
    try:
        content = path.read_bytes()
        scanner.Parse(content, True)
        return ElementTree.fromstring(content)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (expat.ExpatError, ElementTree.ParseError) as error:
        raise InputError(f"{path}: not well-formed XML: {error}") from None
    except (LookupError, ValueError) as error:  # an encoding that Python or expat does not know
        raise InputError(f"{path}: cannot be read: {error}") from None


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
        if found is None:
            return None
        found = next(children(found, name), None)
    return found


def read_number(element: Element, attribute: str) -> float | None:
    """A number in an attribute, None if it is absent.

    Raises:
        ValueError: it is not a number; the message names element and attribute.
    """
    text = element.get(attribute)
    if text is None:
        return None
    if not re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", text):
        raise ValueError(f"{local_name(element)}/@{attribute} is not a number: {text!r}")
    return float(text)


def read_points(text: str) -> list[Point]:
    """Points spelt "x,y x,y" or "x y x y".

    Raises:
        ValueError: something else stands there, or the last point has only one number.
    """
    words = re.split(r"[\s,]+", text.strip(" \t\r\n,")) if text.strip() else []
    for word in words:
        if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", word):
            raise ValueError(f"not a list of points: {word!r}")
    if len(words) % 2:
        raise ValueError(f"an odd count of coordinates ({len(words)})")
    numbers = [float(word) for word in words]
    return list(zip(numbers[::2], numbers[1::2], strict=True))
