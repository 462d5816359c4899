"""Layout formats of libraries and archives: a line image with its words as ALTO or PAGE XML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from recognizer.decoding.timing import Word

ALTO = "http://www.loc.gov/standards/alto/ns-v4#"
PAGE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
CREATOR = "recognizer"


def render_alto(words: Sequence[Word], name: str, width: int, height: int) -> str:
    """ALTO 4: one text line as large as the picture, its words with place, width and confidence (``WC``).

    Args:
        words: in order, with places in pixels of the picture.
        name: of the picture's file.
        width, height: of the picture, pixels.
    """
    everywhere = {"HPOS": "0", "VPOS": "0", "WIDTH": str(width), "HEIGHT": str(height)}
    root = ElementTree.Element("alto", {"xmlns": ALTO})
    description = ElementTree.SubElement(root, "Description")
    ElementTree.SubElement(description, "MeasurementUnit").text = "pixel"
    ElementTree.SubElement(ElementTree.SubElement(description, "sourceImageInformation"), "fileName").text = name
    size = {"WIDTH": str(width), "HEIGHT": str(height)}
    element = ElementTree.SubElement(ElementTree.SubElement(root, "Layout"), "Page", {"ID": "page", "PHYSICAL_IMG_NR": "1", **size})
    for tag, identity in (("PrintSpace", {}), ("TextBlock", {"ID": "block"}), ("TextLine", {"ID": "line"})):
        element = ElementTree.SubElement(element, tag, {**identity, **everywhere})
    before: int | None = None
    for n, (word, left, right) in enumerate(_places(words, width), start=1):
        if before is not None:
            ElementTree.SubElement(element, "SP", {"HPOS": str(before), "VPOS": "0", "WIDTH": str(max(0, left - before))})
        place = {"HPOS": str(left), "VPOS": "0", "WIDTH": str(right - left), "HEIGHT": str(height)}
        trust = {} if word.confidence is None else {"WC": f"{word.confidence:.4f}"}
        ElementTree.SubElement(element, "String", {"ID": f"word_{n}", **place, **trust, "CONTENT": word.text})
        before = right
    return _serialise(root)


def render_page(words: Sequence[Word], text: str, name: str, width: int, height: int, now: str) -> str:
    """PAGE 2019: one text line as large as the picture with its text, and its words with place and confidence.

    Args:
        words, name, width, height: as :func:`render_alto`.
        text: of the line.
        now: when the file was made, as in ``2026-01-31T12:00:00``; the format asks for it.
    """
    root = ElementTree.Element("PcGts", {"xmlns": PAGE})
    metadata = ElementTree.SubElement(root, "Metadata")
    for tag, content in (("Creator", CREATOR), ("Created", now), ("LastChange", now)):
        ElementTree.SubElement(metadata, tag).text = content
    page = ElementTree.SubElement(root, "Page", {"imageFilename": name, "imageWidth": str(width), "imageHeight": str(height)})
    region = ElementTree.SubElement(page, "TextRegion", {"id": "region"})
    ElementTree.SubElement(region, "Coords", {"points": _box(0, width, height)})
    line = ElementTree.SubElement(region, "TextLine", {"id": "line"})
    ElementTree.SubElement(line, "Coords", {"points": _box(0, width, height)})
    for n, (word, left, right) in enumerate(_places(words, width), start=1):
        element = ElementTree.SubElement(line, "Word", {"id": f"word_{n}"})
        ElementTree.SubElement(element, "Coords", {"points": _box(left, right, height)})
        trust = {} if word.confidence is None else {"conf": f"{word.confidence:.4f}"}
        ElementTree.SubElement(ElementTree.SubElement(element, "TextEquiv", trust), "Unicode").text = word.text
    ElementTree.SubElement(ElementTree.SubElement(line, "TextEquiv"), "Unicode").text = text
    return _serialise(root)


def _places(words: Sequence[Word], width: int) -> Iterator[tuple[Word, int, int]]:
    """Left and right of each word in whole pixels inside the picture, at least one pixel apart."""
    for word in words:
        left = min(round(word.start), width - 1)
        yield word, left, max(left + 1, min(round(word.end), width))


def _box(left: int, right: int, height: int) -> str:
    corners = ((left, 0), (right, 0), (right, height), (left, height))
    return " ".join(f"{x},{y}" for x, y in corners)


def _serialise(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")
