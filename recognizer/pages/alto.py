"""The lines of a page as ALTO XML (versions 2 to 4) describes them."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from recognizer.pages.layout import Page, TextLine
from recognizer.utils.xml import Point, children, descend, local_name, read_number, read_points, shorten

UNITS = {"pixel": None, "mm10": 1 / 254, "inch1200": 1 / 1200}  # of an inch


def parse_alto(root: Element) -> Page:
    """The page of an ALTO document.

    Raises:
        ValueError: there is not exactly one page, an unknown measurement unit, or a page size that is no number.
    """
    unit_element = descend(root, "Description", "MeasurementUnit")
    unit = (unit_element.text or "").strip() if unit_element is not None else "pixel"
    if unit not in UNITS:
        raise ValueError(f"MeasurementUnit {shorten(unit)} is not one of {', '.join(UNITS)}")
    layout = descend(root, "Layout")
    pages = list(children(layout, "Page")) if layout is not None else []
    if len(pages) != 1:
        raise ValueError(f"has {len(pages)} pages; one file must hold one page")
    image = descend(root, "Description", "sourceImageInformation", "fileName")
    width, height = read_number(pages[0], "WIDTH"), read_number(pages[0], "HEIGHT")
    blocks = {line: block.get("ID", "") for block in pages[0].iter() if local_name(block) == "TextBlock" for line in children(block, "TextLine")}
    found = [line for line in pages[0].iter() if local_name(line) == "TextLine"]
    lines = [_parse_line(line, blocks.get(line, "")) for line in _order_lines(root, found, blocks)]
    return Page(image.text if image is not None else None, (width, height) if width and height else None, UNITS[unit], lines)


def _order_lines(root: Element, lines: list[Element], blocks: Mapping[Element, str]) -> list[Element]:
    """Lines in document order, but those that a ReadingOrder (ALTO 4.3) names, or whose block it names, first and in its order."""
    order = descend(root, "ReadingOrder")
    ranks: dict[str, int] = {}
    for reference in order.iter() if order is not None else ():
        if name := reference.get("REF"):
            ranks.setdefault(name, len(ranks))
    last = len(ranks)
    return sorted(lines, key=lambda line: (ranks.get(blocks.get(line, ""), ranks.get(line.get("ID", ""), last)), ranks.get(line.get("ID", ""), last)))


def _parse_line(line: Element, region: str) -> TextLine:
    id = line.get("ID", "")
    try:
        polygon_element = descend(line, "Shape", "Polygon")
        polygon = read_points(polygon_element.get("POINTS", "")) if polygon_element is not None else []
        strings = list(children(line, "String"))
        predicted = bool(strings) and all(string.get("WC") is not None for string in strings)
        outline = polygon if len(polygon) > 2 else ()
        return TextLine(id, _join_text(line), outline, _read_box(line), _read_baseline(line), predicted=predicted, region=region)
    except ValueError as error:
        return TextLine(id, problem=str(error), region=region)


def _join_text(line: Element) -> str:
    """Strings, with a space for SP and between strings that follow each other, and the hyphen of HYP set on."""
    text = ""
    previous = ""
    for element in children(line, "String", "SP", "HYP"):
        kind = local_name(element)
        if kind == "SP":
            text += " "
        elif kind == "HYP":
            text = text.rstrip(" ") + element.get("CONTENT", "-")
        else:
            text += (" " if previous == "String" else "") + element.get("CONTENT", "")
        previous = kind
    return text


def _read_box(line: Element) -> tuple[Point, Point] | None:
    left, top, width, height = (read_number(line, name) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
    if left is None or top is None or width is None or height is None:
        return None
    return (left, top), (left + width, top + height)


def _read_baseline(line: Element) -> list[Point]:
    """The base line; up to version 4.0 it is one number, the height of a level line."""
    text = line.get("BASELINE", "").strip()
    if not text or " " in text or "," in text:
        return read_points(text)
    height = read_number(line, "BASELINE")
    box = _read_box(line)
    return [] if height is None or box is None else [(box[0][0], height), (box[1][0], height)]
