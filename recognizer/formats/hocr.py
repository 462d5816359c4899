"""hOCR: a page, or a picture of one line, as XHTML with the places of its words."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import SubElement

from recognizer.formats.base import printable
from recognizer.formats.layout import CREATOR, LayoutWriter, serialize
from recognizer.formats.sheet import Box, box_of, surround
from recognizer.types import Line, Transcript

_DOCTYPE = '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'


class Hocr(LayoutWriter):
    """hOCR: areas, lines with base line, words with place and confidence (``x_wconf``, percent)."""

    name, suffix = "hocr", ".hocr"

    def render(self, transcript: Transcript) -> str:
        """The document.

        Raises:
            InputError: as :meth:`LayoutWriter.sheet`.
        """
        sheet = self.sheet(transcript)
        root = ElementTree.Element("html", {"xmlns": "http://www.w3.org/1999/xhtml"})
        head = SubElement(root, "head")
        SubElement(head, "title").text = printable(sheet.source)
        SubElement(head, "meta", {"http-equiv": "Content-Type", "content": "text/html; charset=utf-8"})
        SubElement(head, "meta", {"name": "ocr-system", "content": CREATOR})
        SubElement(head, "meta", {"name": "ocr-capabilities", "content": "ocr_page ocr_carea ocr_line ocrx_word"})
        name = printable(sheet.source).replace("\\", "\\\\").replace('"', '\\"')
        title = f'image "{name}"; {_bbox((0, 0, sheet.width, sheet.height))}; ppageno {sheet.number - 1}'
        page = SubElement(SubElement(root, "body"), "div", {"class": "ocr_page", "id": "page", "title": title})
        for region in sheet.regions:
            area = SubElement(page, "div", {"class": "ocr_carea", "id": region.id, "title": _bbox(region.box)})
            for line in region.lines:
                _add_line(area, line, region.id)
        return serialize(root, _DOCTYPE)


def _add_line(area: ElementTree.Element, line: Line, region: str) -> None:
    box = surround(line.outline)
    element = SubElement(area, "span", {"class": "ocr_line", "id": line.id, "title": _bbox(box) + _baseline(line, box), "dir": "auto"})
    if not line.words:
        element.text = line.text
    for n, word in enumerate(line.words, start=1):
        confidence = "" if word.confidence is None else f"; x_wconf {min(100, max(0, round(100 * word.confidence)))}"
        attributes = {"class": "ocrx_word", "id": f"{region}.{line.id}.word_{n}", "title": _bbox(box_of(word)) + confidence}
        SubElement(element, "span", attributes).text = word.text


def _bbox(box: Box) -> str:
    return "bbox " + " ".join(map(str, box))


def _baseline(line: Line, box: Box) -> str:
    """Slope and height of the base line as seen from the lower left corner of the line."""
    if not line.baseline:
        return ""
    (x0, y0), (x1, y1) = line.baseline[0], line.baseline[-1]
    slope = (y1 - y0) / (x1 - x0) if x1 != x0 else 0.0
    return f"; baseline {slope:.3f} {y0 + slope * (box[0] - x0) - box[3]:.0f}"
