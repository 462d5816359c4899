"""The lines of a page as PAGE XML (PRImA, any version) describes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from recognizer.pages.layout import Page, TextLine
from recognizer.utils.xml import Point, children, descend, local_name, read_number, read_points


def parse_page(root: Element) -> Page:
    """The page of a PAGE document.

    Raises:
        ValueError: it has no page, or a page size that is no number.
    """
    page = descend(root, "Page")
    if page is None:
        raise ValueError("has no Page")
    width, height = read_number(page, "imageWidth"), read_number(page, "imageHeight")
    lines = [_parse_line(line, region.get("id", "")) for region in _order_regions(page) for line in _order_lines(region)]
    return Page(page.get("imageFilename"), (width, height) if width and height else None, None, lines, "page")


def _order_regions(page: Element) -> list[Element]:
    """All regions with lines, nested ones included: those of ReadingOrder in its order, then the others as they stand."""
    regions = [element for element in page.iter() if next(children(element, "TextLine"), None) is not None]
    ranks: dict[str, int] = {}
    order = descend(page, "ReadingOrder")
    for reference in _walk_order(order) if order is not None else ():
        ranks.setdefault(reference, len(ranks))
    return sorted(regions, key=lambda region: ranks.get(region.get("id", ""), len(ranks)))


def _walk_order(group: Element) -> Iterator[str]:
    """References to regions, groups within groups in their place; members with an index go by it."""
    members = [m for m in group if local_name(m).startswith(("RegionRef", "OrderedGroup", "UnorderedGroup"))]
    for member in sorted(members, key=lambda m: read_number(m, "index") or 0):
        if reference := member.get("regionRef"):
            yield reference
        yield from _walk_order(member)


def _order_lines(region: Element) -> list[Element]:
    """Lines as they stand, unless each carries Transkribus' ``custom="readingOrder {index:3;}"``."""
    lines = list(children(region, "TextLine"))
    indices = [_read_order(line) for line in lines]
    if all(index is not None for index in indices):
        return [line for _, line in sorted(zip(indices, lines, strict=True), key=lambda pair: pair[0] or 0)]
    return lines


def _read_order(line: Element) -> int | None:
    """The index of Transkribus' ``readingOrder {index:3;}``; both patterns pass over the text once, whatever it is."""
    rule = re.search(r"readingOrder\s*\{([^{}]*)", line.get("custom", ""))
    index = re.search(r"index:\s*([0-9]{1,9})(?![0-9])", rule[1]) if rule else None
    return int(index[1]) if index else None


def _parse_line(line: Element, region: str) -> TextLine:
    id = line.get("id", "")
    try:
        points = _read_outline(line)
        baseline = descend(line, "Baseline")
        text, predicted = _read_text(line)
        ends = read_points(baseline.get("points", "")) if baseline is not None else []
        return TextLine(id, text, points, None, ends, predicted=predicted, region=region)
    except ValueError as error:
        return TextLine(id, problem=str(error), region=region)


def _read_outline(line: Element) -> list[Point]:
    """Coords as an attribute, or as Point elements (before 2013)."""
    coords = descend(line, "Coords")
    if coords is None:
        return []
    if "points" in coords.attrib:
        return read_points(coords.get("points", ""))
    points = [(read_number(point, "x"), read_number(point, "y")) for point in children(coords, "Point")]
    return [(x, y) for x, y in points if x is not None and y is not None]


def _read_text(line: Element) -> tuple[str, bool]:
    """The transcript, else the words, and whether it is a prediction (has a confidence).

    Of several TextEquiv ground truth comes first: one without index and confidence, then those with an index, the lowest first, then
    the others; of equals the first.
    """
    versions = []
    for position, version in enumerate(children(line, "TextEquiv")):
        index, predicted = read_number(version, "index"), version.get("conf") is not None
        unicode = descend(version, "Unicode")
        rank = (1.0, index) if index is not None else (2.0 if predicted else 0.0, 0.0)
        versions.append((rank, position, (unicode.text or "") if unicode is not None else "", predicted))
    if versions:
        return min(versions)[2:]
    words = [_read_text(word) for word in children(line, "Word")]
    return " ".join(text for text, _ in words if text), bool(words) and all(predicted for _, predicted in words)
