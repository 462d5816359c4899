"""Text put into an ALTO or PAGE file that was given: everything else of it stays as it is, byte for byte."""

from __future__ import annotations

import codecs
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from recognizer.errors import InputError, RecognizerWarning
from recognizer.formats.base import xml_text
from recognizer.pages.alto import parse_alto
from recognizer.pages.page_xml import parse_page
from recognizer.types import Line, Transcript, Word
from recognizer.utils.xml import local_name, parse_number, parse_xml

FAMILIES = {"alto": "alto", "pcgts": "page"}  # by root element; PAGE 2009 writes pcGts
_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be", codecs.BOM_UTF8: "utf-8"}


@dataclass
class _Node:
    """An element and where it stands in the file: its start tag from ``start`` to ``inner``, its end tag from ``end`` to ``close``."""

    name: str
    attributes: Mapping[str, str]
    start: int
    inner: int = -1
    end: int = -1
    close: int = -1
    text: str = ""
    children: list[_Node] = field(default_factory=list)

    @property
    def local(self) -> str:
        return self.name.rpartition(":")[2]

    def named(self, *names: str) -> list[_Node]:
        return [child for child in self.children if child.local in names]

    def find(self, name: str) -> list[_Node]:
        return [node for node in self.walk() if node.local == name]

    def walk(self) -> Iterator[_Node]:
        todo = [self]
        while todo:
            node = todo.pop()
            yield node
            todo += reversed(node.children)


def layout_family(path: str | os.PathLike[str]) -> str:
    """The format of a layout file: "alto", "page", or "" for neither.

    Raises:
        InputError: the file cannot be read or is no XML.
    """
    return _family(parse_xml(Path(path)))


def _family(root: Element) -> str:
    return FAMILIES.get(local_name(root).lower(), "")


def fill_layout(path: str | os.PathLike[str], transcript: Transcript, overwrite: bool = False) -> bytes:
    """An ALTO or PAGE file with the text of each line put in.

    Lines are told by their ids; those without text in the transcript, or with an error, stay as they are, and so do those that have the
    same text already. Where a line of a PAGE file is overwritten, the elements of its words, which would say something else, are removed.

    Args:
        path: of the file.
        transcript: of the page that it describes, places in pixels of the picture.
        overwrite: replace the text of lines that have some.

    Returns:
        The file's content in its own encoding.

    Raises:
        InputError: it cannot be read, or is neither ALTO nor PAGE.
    """
    described = parse_xml(Path(path))  # checks it, too: bounds, and no entities
    family = _family(described)
    if not family:
        raise InputError(f"{path}: is neither ALTO nor PAGE: its root element is neither <alto> nor <PcGts>")
    document = _Document(Path(path).read_bytes())
    lines = {line.id: line for line in transcript.lines}
    scale = _scale(document.root, transcript) if family == "alto" else (1.0, 1.0)
    found = set()
    for id, node in zip(_name_lines(path, described, family), document.root.find("TextLine"), strict=True):
        line = lines.get(id)
        if line is None or id in found:
            continue
        found.add(id)
        if line.error is None and line.text:
            _fill_alto(document, node, line, overwrite, scale) if family == "alto" else _fill_page(document, node, line, overwrite)
    for id in lines.keys() - found:
        warnings.warn(f"{path}: line {id} is not found in the file; its text is left out", RecognizerWarning, stacklevel=2)
    return document.result()


class _Document:
    """A file's bytes, its elements with their places, and the changes to be made."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.codec = next((codec for mark, codec in _MARKS.items() if data.startswith(mark)), "utf-8")
        self._edits: list[tuple[int, int, bytes]] = []
        self._open: list[_Node] = []
        self._unplaced: list[tuple[_Node, str]] = []
        parser = expat.ParserCreate()
        self._parser = parser
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._text
        parser.DefaultHandler = self._other
        parser.XmlDeclHandler = self._declaration
        parser.Parse(data, True)

    def encode(self, text: str) -> bytes:
        return xml_text(text).encode(self.codec, "xmlcharrefreplace")

    def replace(self, start: int, end: int, text: str) -> None:
        self._edits.append((start, end, self.encode(text)))

    def fill_in(self, node: _Node, text: str) -> None:
        """Put text right behind the start tag of an element."""
        slash = self.encode("/>")
        if node.inner == node.end and self.data[: node.inner].endswith(slash):
            self.replace(node.inner - len(slash), node.inner, f">{text}</{node.name}>")
        else:
            self.replace(node.inner, node.inner, text)

    def remove(self, node: _Node) -> None:
        """Take an element out, with the white space in front of it."""
        start, blanks = node.start, [self.encode(blank) for blank in " \t\r\n"]
        while blank := next((b for b in blanks if self.data[:start].endswith(b)), None):
            start -= len(blank)
        self.replace(start, node.close, "")

    def result(self) -> bytes:
        parts, place = [], 0
        for start, end, new in sorted(self._edits, key=lambda edit: edit[:2]):
            parts += [self.data[place:start], new]
            place = end
        return b"".join([*parts, self.data[place:]])

    def _here(self) -> None:
        """An event begins where the tag before it ends."""
        for node, name in self._unplaced:
            setattr(node, name, self._parser.CurrentByteIndex)
        self._unplaced.clear()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._here()
        node = _Node(name, attributes, self._parser.CurrentByteIndex)
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node
        self._open.append(node)
        self._unplaced.append((node, "inner"))

    def _end(self, _name: str) -> None:
        self._here()
        node = self._open.pop()
        node.end = self._parser.CurrentByteIndex
        self._unplaced.append((node, "close"))

    def _text(self, text: str) -> None:
        self._here()
        if self._open:
            self._open[-1].text += text

    def _other(self, _data: Any) -> None:
        self._here()

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self._here()
        if encoding and self.codec == "utf-8" and not self.data.startswith(codecs.BOM_UTF8):
            self.codec = encoding


def _name_lines(path: str | os.PathLike[str], root: Element, family: str) -> list[str]:
    """What each line of a file, as they stand in it, is called in a transcript: its id, or else ``line_`` and its number in reading order."""
    key, parse = ("ID", parse_alto) if family == "alto" else ("id", parse_page)
    lines = [element for element in root.iter() if local_name(element) == "TextLine"]
    for place, line in enumerate(lines):
        if not line.get(key):
            line.set(key, f"\0{place}")  # which no file can hold
    names = [line.get(key, "") for line in lines]
    try:
        ordered = parse(root).lines
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    for number, described in enumerate(ordered, start=1):
        if described.id.startswith("\0"):
            names[int(described.id[1:])] = f"line_{number}"
    return names


def _scale(root: _Node, transcript: Transcript) -> tuple[float, float]:
    """Units of the file in one pixel, across and down."""
    page = next((node for node in root.walk() if node.local == "Page"), None)
    sizes = [parse_number(page.attributes.get(name, "")) if page else None for name in ("WIDTH", "HEIGHT")]
    pixels = (transcript.width, transcript.height)
    across, down = (size / count if size and count else 1.0 for size, count in zip(sizes, pixels, strict=True))
    return across, down


def _fill_alto(document: _Document, node: _Node, line: Line, overwrite: bool, scale: tuple[float, float]) -> None:
    old = node.named("String", "SP", "HYP")
    text = "".join(" " if child.local == "SP" else child.attributes.get("CONTENT", "") for child in old)
    if text.strip() and (not overwrite or text == line.text):
        return
    prefix = node.name.removesuffix("TextLine")
    new = _strings(prefix, line, node, scale)
    if not old:
        shape = node.named("Shape")
        if shape:
            document.replace(shape[-1].close, shape[-1].close, new)
        else:
            document.fill_in(node, new)
        return
    document.replace(old[0].start, old[0].close, new)
    for child in old[1:]:
        document.remove(child)


def _strings(prefix: str, line: Line, node: _Node, scale: tuple[float, float]) -> str:
    """The String and SP elements of a line; one String as large as the line where its words have no places."""
    parts = []
    for word in line.words or (Word(line.text, 0, 0, line.confidence),):
        if word.box is None:
            place = {name: node.attributes[name] for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT") if name in node.attributes}
        else:
            left, top, right, bottom = (value * scale[n % 2] for n, value in enumerate(word.box))
            place = {"HPOS": f"{left:.0f}", "VPOS": f"{top:.0f}", "WIDTH": f"{right - left:.0f}", "HEIGHT": f"{bottom - top:.0f}"}
        if word.confidence is not None:
            place["WC"] = f"{min(1.0, max(0.0, word.confidence)):.4f}"
        attributes = " ".join(f"{name}={quoteattr(value)}" for name, value in (*place.items(), ("CONTENT", word.text)))
        parts.append(f"<{prefix}String {attributes}/>")
    return f"<{prefix}SP/>".join(parts)


def _fill_page(document: _Document, node: _Node, line: Line, overwrite: bool) -> None:
    old, words = node.named("TextEquiv"), node.named("Word")
    text = _page_text(node) or " ".join(filter(None, map(_page_text, words)))
    if text.strip() and (not overwrite or text == line.text):
        return
    if text.strip():
        for word in words:
            document.remove(word)
    units = [unit for version in old[:1] for unit in version.named("Unicode")]
    if units and "conf" not in old[0].attributes:
        unit = units[0]
        if unit.inner == unit.end:
            document.fill_in(unit, escape(line.text))
        else:
            document.replace(unit.inner, unit.end, escape(line.text))
    else:
        prefix = node.name.removesuffix("TextLine")
        new = f"<{prefix}TextEquiv><{prefix}Unicode>{escape(line.text)}</{prefix}Unicode></{prefix}TextEquiv>"
        before = node.named("AlternativeImage", "Coords", "Baseline", "Word")
        if old:
            document.replace(old[0].start, old[0].close, new)
        elif before:
            document.replace(before[-1].close, before[-1].close, new)
        else:
            document.fill_in(node, new)
    for version in old[1:]:
        document.remove(version)


def _page_text(node: _Node) -> str:
    return next((unit.text for version in node.named("TextEquiv") for unit in version.named("Unicode") if unit.text), "")
