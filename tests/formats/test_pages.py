"""Pages as ALTO, PAGE, hOCR and JSON: valid whatever was recognized, with everything at its place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from recognizer.formats.base import find_writers
from recognizer.formats.layout import ALTO, PAGE, Alto, Page
from recognizer.types import Line, Transcript, Word

SCHEMAS = Path(__file__).parent / "schemas"
BOX = ((10.2, 10.0), (200.0, 10.0), (200.0, 40.0), (10.0, 40.0))
FIRST = Line(
    "l 1", BOX, ((10.0, 35.0), (200.0, 37.0)), "r1", "a <b",
    (Word("a", 10, 50, 0.5, (10, 12, 50, 38)), Word("<b", 60, 90, None, (60, 12, 90, 38))), 0.5,
)  # fmt: skip
PAGES = {
    "plain": (FIRST, Line("l 1", BOX, (), "r1", "second", confidence=1.0000001)),
    "no lines": (),
    "empty lines": (Line("", BOX), Line("", (), error="too small")),
    "control characters": (Line("1\x00", BOX, (), "\u00e9", "b\x00\x1b", (Word("b\x00\x1b", 1, 2),)),),
    "right to left": (Line("x", BOX, (), "", "\u05d0 \u05d1", (Word("\u05d0", 80, 120), Word("\u05d1", 10, 50))),),
    "beyond the page": (Line("x", ((-5, -5), (999, 999)), ((-9, -9), (999, 5)), "", "a", (Word("a", -9, 999, 2.0, (-9, -9, 999, 999)),)),),
    "regions in turn": (Line("a", BOX, (), "r"), Line("b", BOX, (), "q"), Line("c", BOX, (), "r")),
}


def page_of(lines: tuple[Line, ...]) -> Transcript:
    return Transcript("p & q.png", "\n".join(line.text for line in lines), lines=lines, width=300, height=200)


@pytest.fixture(scope="module")
def schemas():
    xmlschema = pytest.importorskip("xmlschema", reason="validates against the schemas")
    return {"alto": xmlschema.XMLSchema(SCHEMAS / "alto-4-3.xsd"), "page": xmlschema.XMLSchema(SCHEMAS / "page-2019-07-15.xsd")}


@pytest.mark.parametrize("format", ["alto", "page"])
@pytest.mark.parametrize("lines", PAGES.values(), ids=PAGES)
def test_pages_are_valid(schemas, format: str, lines: tuple[Line, ...]) -> None:
    schemas[format].validate(find_writers()[format].render(page_of(lines)))


@pytest.mark.parametrize("format", ["alto", "page"])
@pytest.mark.parametrize("text", ["", "a"])
def test_lines_are_valid(schemas, tmp_path: Path, format: str, text: str) -> None:
    path = tmp_path / "line.png"
    Image.new("L", (40, 10), 255).save(path)
    schemas[format].validate(find_writers()[format].render(Transcript(str(path), text, words=(Word("a", 1, 9, 0.5),) if text else ())))


def test_a_page_as_alto() -> None:
    root, space = ElementTree.fromstring(Alto().render(page_of(PAGES["plain"]))), {"a": ALTO}
    first, second = root.findall(".//a:TextLine", space)
    assert (first.get("ID"), second.get("ID")) == ("l_1", "l_1_2")
    assert first.get("BASELINE") == "10,35 200,37"
    assert first.find("a:Shape/a:Polygon", space).get("POINTS") == "10,10 200,10 200,40 10,40"
    assert [(s.get("CONTENT"), s.get("HPOS"), s.get("VPOS"), s.get("WC")) for s in first.findall("a:String", space)] == [
        ("a", "10", "12", "0.5000"), ("<b", "60", "12", None),
    ]  # fmt: skip
    assert [(s.get("CONTENT"), s.get("WIDTH"), s.get("WC")) for s in second.findall("a:String", space)] == [("second", "190", "1.0000")]


def test_a_baseline_of_alto_before_4_2_is_a_number() -> None:
    class Old(Alto):
        name, version = "", "4.1"

    assert 'SCHEMAVERSION="4.1"' in Old().render(page_of((FIRST,)))
    assert 'BASELINE="36"' in Old().render(page_of((FIRST,)))


def test_a_page_as_page() -> None:
    root, space = ElementTree.fromstring(Page().render(page_of(PAGES["plain"]))), {"p": PAGE}
    assert [u.text for u in root.findall(".//p:TextLine/p:TextEquiv/p:Unicode", space)] == ["a <b", "second"]
    assert root.find(".//p:Baseline", space).get("points") == "10,35 200,37"
    assert root.findall(".//p:Word/p:Coords", space)[1].get("points") == "60,12 90,12 90,38 60,38"


@pytest.mark.parametrize("lines", PAGES.values(), ids=PAGES)
def test_a_page_as_hocr(lines: tuple[Line, ...]) -> None:
    text = find_writers()["hocr"].render(page_of(lines))
    root = ElementTree.fromstring(text)
    nodes = [node for node in root.iter() if node.get("class")]
    assert nodes[0].get("class") == "ocr_page" and "bbox 0 0 300 200" in nodes[0].get("title")
    assert {node.get("class") for node in nodes} <= {"ocr_page", "ocr_carea", "ocr_line", "ocrx_word"}
    assert sum(node.get("class") == "ocr_line" for node in nodes) == len(lines)
    ids = [node.get("id") for node in nodes]
    assert len(set(ids)) == len(ids)
    for node in nodes:
        left, top, right, bottom = map(int, re.search(r"bbox (\d+) (\d+) (\d+) (\d+)", node.get("title")).groups())
        assert 0 <= left < right <= 300 and 0 <= top < bottom <= 200


def test_confidence_and_baseline_of_hocr() -> None:
    text = find_writers()["hocr"].render(page_of((FIRST,)))
    assert "bbox 10 12 50 38; x_wconf 50" in text and "bbox 10 10 200 40; baseline 0.011 -5" in text


def test_a_page_as_json() -> None:
    (line,) = json.loads(find_writers()["jsonl"].render(page_of((FIRST,))))["lines"]
    assert line["outline"][0] == [10.2, 10.0] and line["baseline"] == [[10.0, 35.0], [200.0, 37.0]]
    assert line["words"][0] == {"text": "a", "start": 10, "end": 50, "confidence": 0.5, "box": [10, 12, 50, 38]}
