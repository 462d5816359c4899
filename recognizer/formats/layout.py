"""Layout formats of libraries and archives: a page, or a picture of one line, with its words as ALTO or PAGE XML.

The transcript of an ALTO or PAGE file becomes that same file with text in it where the same format is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree
from xml.etree.ElementTree import SubElement

from recognizer.errors import InputError
from recognizer.formats.base import Writer, printable, xml_text
from recognizer.formats.fill import fill_layout, layout_family
from recognizer.formats.sheet import Box, Region, Sheet, box_of, lay_out, surround
from recognizer.types import Line, Transcript, Word

ALTO = "http://www.loc.gov/standards/alto/ns-v4#"
PAGE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
CREATOR = "recognizer"


class LayoutWriter(Writer):
    """A writer of pages and line images."""

    modality = "line"
    timed = True

    def sheet(self, transcript: Transcript) -> Sheet:
        """The regions, lines and words of a transcript.

        Raises:
            InputError: it is a line with text but without words, or the size of the picture is not known.
        """
        is_page = bool(transcript.lines) or transcript.height is not None
        return lay_out(transcript, () if is_page else self.words(transcript))

    def fills(self, transcript: Transcript) -> bool:
        """Whether the transcript is of a file of this format, which gets the text.

        Raises:
            InputError: it cannot be read.
        """
        return Path(transcript.source).suffix.lower() == ".xml" and layout_family(transcript.source) == self.name

    def render_bytes(self, transcript: Transcript) -> bytes:
        """What a file holds: a layout that was given, with its text and in its encoding, or a new document in UTF-8.

        Raises:
            InputError: as :meth:`sheet`; the given layout cannot be read.
        """
        if self.fills(transcript):
            return fill_layout(transcript.source, transcript, overwrite=True)  # lines that were not read have the text that they had
        return super().render_bytes(transcript)


class Alto(LayoutWriter):
    """ALTO 4 XML: regions, lines with outline and base line, words with place and confidence (``WC``).

    Attributes:
        version: of the schema that is named; before 4.2 a base line is one number, its height.
    """

    name, suffix = "alto", ".alto.xml"
    version: ClassVar[str] = "4.4"

    def render(self, transcript: Transcript) -> str:
        """The document.

        Raises:
            InputError: as :meth:`LayoutWriter.sheet`.
        """
        sheet = self.sheet(transcript)
        root = ElementTree.Element("alto", {"xmlns": ALTO, "SCHEMAVERSION": self.version})
        description = SubElement(root, "Description")
        SubElement(description, "MeasurementUnit").text = "pixel"
        SubElement(SubElement(description, "sourceImageInformation"), "fileName").text = printable(sheet.source)
        size = {"WIDTH": str(sheet.width), "HEIGHT": str(sheet.height)}
        page = SubElement(SubElement(root, "Layout"), "Page", {"ID": "page", "PHYSICAL_IMG_NR": str(sheet.number), **size})
        space = SubElement(page, "PrintSpace", {"HPOS": "0", "VPOS": "0", **size})
        for region in sheet.regions:
            block = SubElement(space, "TextBlock", {"ID": region.id, **_place(region.box)})
            for line in region.lines:
                self._add_line(block, line)
        return serialize(root)

    def _add_line(self, block: ElementTree.Element, line: Line) -> None:
        box = surround(line.outline)
        element = SubElement(block, "TextLine", {"ID": line.id, **_place(box)})
        if line.baseline:
            height = f"{sum(y for _, y in line.baseline) / len(line.baseline):g}"
            element.set("BASELINE", height if self.version in ("4.0", "4.1") else _points(line.baseline))
        SubElement(SubElement(element, "Shape"), "Polygon", {"POINTS": _points(line.outline)})
        before: Box | None = None
        for word in line.words or (Word(line.text, box[0], box[2], line.confidence, box),):  # the schema asks for a String, also without text
            left, top, right, bottom = box_of(word)
            if before is not None:
                begin, end = (right, before[0]) if right <= before[0] else (before[2], left)  # from right to left, or from left to right
                SubElement(element, "SP", {"HPOS": str(begin), "VPOS": str(top), "WIDTH": str(max(0, end - begin))})
            before = left, top, right, bottom
            confidence = {} if word.confidence is None else {"WC": f"{_share(word.confidence):.4f}"}
            SubElement(element, "String", {**_place(before), **confidence, "CONTENT": word.text})


class Page(LayoutWriter):
    """PAGE XML: regions, lines with outline, base line, text and confidence, words with place and confidence.

    Attributes:
        namespace: of the version, 2019-07-15 or 2013-07-15.
    """

    name, suffix = "page", ".page.xml"
    namespace: ClassVar[str] = PAGE

    def render(self, transcript: Transcript) -> str:
        """The document; raises as :class:`Alto`."""
        sheet = self.sheet(transcript)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")  # the format asks for it
        root = ElementTree.Element("PcGts", {"xmlns": self.namespace})
        metadata = SubElement(root, "Metadata")
        for tag, content in (("Creator", CREATOR), ("Created", now), ("LastChange", now)):
            SubElement(metadata, tag).text = content
        picture = {"imageFilename": printable(sheet.source), "imageWidth": str(sheet.width), "imageHeight": str(sheet.height)}
        page = SubElement(root, "Page", picture)
        for region in sheet.regions:
            self._add_region(page, region)
        return serialize(root)

    def _add_region(self, page: ElementTree.Element, region: Region) -> None:
        block = SubElement(page, "TextRegion", {"id": region.id})
        SubElement(block, "Coords", {"points": _points(_corners(region.box))})
        for line in region.lines:
            element = SubElement(block, "TextLine", {"id": line.id})
            SubElement(element, "Coords", {"points": _points(line.outline)})
            if line.baseline:
                SubElement(element, "Baseline", {"points": _points(line.baseline)})
            for n, word in enumerate(line.words, start=1):
                inner = SubElement(element, "Word", {"id": f"{region.id}.{line.id}.word_{n}"})
                SubElement(inner, "Coords", {"points": _points(_corners(box_of(word)))})
                _add_text(inner, word.text, word.confidence)
            _add_text(element, line.text, line.confidence)


def _add_text(element: ElementTree.Element, text: str, confidence: float | None) -> None:
    attributes = {} if confidence is None else {"conf": f"{_share(confidence):.4f}"}
    SubElement(SubElement(element, "TextEquiv", attributes), "Unicode").text = text


def _share(confidence: float) -> float:
    """A probability as schemas ask for it; sums of rounded numbers may be a little beyond."""
    if confidence != confidence:
        raise InputError("a confidence is not a number")
    return min(1.0, max(0.0, confidence))


def _place(box: Box) -> dict[str, str]:
    left, top, right, bottom = box
    return {"HPOS": str(left), "VPOS": str(top), "WIDTH": str(right - left), "HEIGHT": str(bottom - top)}


def _corners(box: Box) -> Sequence[tuple[float, float]]:
    left, top, right, bottom = box
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.0f},{y:.0f}" for x, y in points)


def serialize(root: ElementTree.Element, head: str = "") -> str:
    """An XML document, indented; characters that XML cannot hold are replaced."""
    for element in root.iter():
        element.text = element.text and xml_text(element.text)
        element.attrib = {name: xml_text(value) for name, value in element.attrib.items()}
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + head + ElementTree.tostring(root, encoding="unicode")
