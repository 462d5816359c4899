"""XML files of unknown origin, read without expanding what they declare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException, EntitiesForbidden
from defusedxml.ElementTree import fromstring

from recognizer.errors import InputError

Point = tuple[float, float]

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def parse_xml(path: Path) -> Element:
    """The root of an XML file.

    Raises:
        InputError: it cannot be read, is not well-formed, or declares entities (which can blow a small file up to gigabytes or
            pull in others).
    """
    try:
        root: Element = fromstring(path.read_bytes())
        return root
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except EntitiesForbidden as error:
        raise InputError(f"{path}: declares the entity {error.name!r}; remove the DOCTYPE") from None
    except ParseError as error:
        raise InputError(f"{path}: not well-formed XML: {error}") from None
    except (DefusedXmlException, LookupError, ValueError) as error:  # external references; encodings that Python or expat does not know
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
        found = None if found is None else next(children(found, name), None)
    return found


def read_number(element: Element, attribute: str) -> float | None:
    """A number in an attribute, None if it is absent.

    Raises:
        ValueError: it is not a number; the message names element and attribute.
    """
    text = element.get(attribute)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"{local_name(element)}/@{attribute} is not a number: {text!r}")
    return float(text)


def read_points(text: str) -> list[Point]:
    """Points written "x,y x,y" or "x y x y".

    Raises:
        ValueError: something else stands there, or the last point has only one number.
    """
    words = re.split(r"[\s,]+", text.strip(" \t\r\n,")) if text.strip() else []
    for word in words:
        if not _NUMBER.fullmatch(word):
            raise ValueError(f"not a list of points: {word!r}")
    if len(words) % 2:
        raise ValueError(f"an odd count of coordinates ({len(words)})")
    numbers = [float(word) for word in words]
    return list(zip(numbers[::2], numbers[1::2], strict=True))
