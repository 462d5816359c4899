"""Layout formats of libraries and archives: a line image with its words as ALTO or PAGE XML.

Both describe one text line as large as the picture, which is opened for its size; places are in its pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree

from recognizer.formats.base import Writer, printable, xml_text
from recognizer.image.io import image_size
from recognizer.types import Transcript, Word

ALTO = "http://www.loc.gov/standards/alto/ns-v4#"
PAGE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
CREATOR = "recognizer"


class Alto(Writer):
    """ALTO 4 XML: the words of a line with place, width and confidence (``WC``)."""

    name, suffix, modality = "alto", ".alto.xml", "line"
    timed = True

    def render(self, transcript: Transcript) -> str:
        """The document.

        Raises:
            InputError: there are no words, or the picture cannot be read.
        """
        words = self.words(transcript)
        width, height = image_size(transcript.source)
        root = ElementTree.Element("alto", {"xmlns": ALTO})
        description = ElementTree.SubElement(root, "Description")
        ElementTree.SubElement(description, "MeasurementUnit").text = "pixel"
        source = ElementTree.SubElement(description, "sourceImageInformation")
        ElementTree.SubElement(source, "fileName").text = printable(transcript.source)
        size = {"WIDTH": str(width), "HEIGHT": str(height)}
        element = ElementTree.SubElement(ElementTree.SubElement(root, "Layout"), "Page", {"ID": "page", "PHYSICAL_IMG_NR": "1", **size})
        for tag, identity in (("PrintSpace", {}), ("TextBlock", {"ID": "block"}), ("TextLine", {"ID": "line"})):
            element = ElementTree.SubElement(element, tag, {**identity, "HPOS": "0", "VPOS": "0", **size})
        before: tuple[int, int] | None = None
        for n, (word, left, right) in enumerate(_place_words(words, width), start=1):
            if before is not None:
                begin, end = (right, before[0]) if right <= before[0] else (before[1], left)  # from right to left, or from left to right
                ElementTree.SubElement(element, "SP", {"HPOS": str(begin), "VPOS": "0", "WIDTH": str(max(0, end - begin))})
            place = {"HPOS": str(left), "VPOS": "0", "WIDTH": str(right - left), "HEIGHT": str(height)}
            confidence = {} if word.confidence is None else {"WC": f"{word.confidence:.4f}"}
            ElementTree.SubElement(element, "String", {"ID": f"word_{n}", **place, **confidence, "CONTENT": word.text})
            before = left, right
        return _serialize(root)


class Page(Writer):
    """PAGE 2019 XML: a line with its text, and its words with place and confidence."""

    name, suffix, modality = "page", ".page.xml", "line"
    timed = True

    def render(self, transcript: Transcript) -> str:
        """The document; raises as :class:`Alto`."""
        words = self.words(transcript)
        width, height = image_size(transcript.source)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")  # the format asks for it
        root = ElementTree.Element("PcGts", {"xmlns": PAGE})
        metadata = ElementTree.SubElement(root, "Metadata")
        for tag, content in (("Creator", CREATOR), ("Created", now), ("LastChange", now)):
            ElementTree.SubElement(metadata, tag).text = content
        picture = {"imageFilename": printable(transcript.source), "imageWidth": str(width), "imageHeight": str(height)}
        element = ElementTree.SubElement(root, "Page", picture)
        for tag, identity in (("TextRegion", "region"), ("TextLine", "line")):
            element = ElementTree.SubElement(element, tag, {"id": identity})
            ElementTree.SubElement(element, "Coords", {"points": _corners(0, width, height)})
        for n, (word, left, right) in enumerate(_place_words(words, width), start=1):
            inner = ElementTree.SubElement(element, "Word", {"id": f"word_{n}"})
            ElementTree.SubElement(inner, "Coords", {"points": _corners(left, right, height)})
            confidence = {} if word.confidence is None else {"conf": f"{word.confidence:.4f}"}
            ElementTree.SubElement(ElementTree.SubElement(inner, "TextEquiv", confidence), "Unicode").text = word.text
        ElementTree.SubElement(ElementTree.SubElement(element, "TextEquiv"), "Unicode").text = transcript.text
        return _serialize(root)


def _place_words(words: Sequence[Word], width: int) -> Iterator[tuple[Word, int, int]]:
    """Left and right of each word in whole pixels inside the picture, at least one pixel apart."""
    for word in words:
        left = min(round(word.start), width - 1)
        yield word, left, max(left + 1, min(round(word.end), width))


def _corners(left: int, right: int, height: int) -> str:
    corners = ((left, 0), (right, 0), (right, height), (left, height))
    return " ".join(f"{x},{y}" for x, y in corners)


def _serialize(root: ElementTree.Element) -> str:
    for element in root.iter():
        element.text = element.text and xml_text(element.text)
        element.attrib = {name: xml_text(value) for name, value in element.attrib.items()}
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")
