"""ALTO and PAGE XML of a line image, worked by hand."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from recognizer.formats.layout import ALTO, PAGE, Alto, Page
from recognizer.types import Transcript, Word


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "l\u00e9 & co.png"
    Image.new("L", (400, 60), 255).save(path)
    return str(path)


def test_a_line_as_alto(picture: str) -> None:
    line_image = Transcript(picture, "a <b", width=90, words=(Word("a", 10.4, 50.0, 0.5), Word('<"b', 80.0, 120.7)))
    root = ElementTree.fromstring(Alto().render(line_image).encode())
    space = {"a": ALTO}
    (line,) = root.findall(".//a:TextLine", space)
    assert {key: line.get(key) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT")} == {"HPOS": "0", "VPOS": "0", "WIDTH": "400", "HEIGHT": "60"}
    strings = [{key: string.get(key) for key in ("CONTENT", "HPOS", "WIDTH", "WC")} for string in line.findall("a:String", space)]
    assert strings == [{"CONTENT": "a", "HPOS": "10", "WIDTH": "40", "WC": "0.5000"}, {"CONTENT": '<"b', "HPOS": "80", "WIDTH": "41", "WC": None}]
    assert root.findtext(".//a:fileName", None, space) == picture
    assert [gap.get("WIDTH") for gap in line.findall("a:SP", space)] == ["30"]


def test_spaces_between_words_that_run_from_right_to_left(picture: str) -> None:
    line_image = Transcript(picture, "\u05d0 \u05d1", words=(Word("\u05d0", 80, 120), Word("\u05d1", 10, 50)))
    root = ElementTree.fromstring(Alto().render(line_image).encode())
    (gap,) = root.findall(".//a:SP", {"a": ALTO})
    assert (gap.get("HPOS"), gap.get("WIDTH")) == ("50", "30")


def test_a_line_as_page(picture: str) -> None:
    line_image = Transcript(picture, "a <b", width=90, words=(Word("a", 10.4, 50.0, 0.5), Word("<b", 399.9, 400.0)))
    root = ElementTree.fromstring(Page().render(line_image).encode())
    space = {"p": PAGE}
    page = root.find("p:Page", space)
    assert page.attrib == {"imageFilename": picture, "imageWidth": "400", "imageHeight": "60"}
    assert root.findtext(".//p:TextLine/p:TextEquiv/p:Unicode", None, space) == "a <b"
    assert [word.findtext("p:TextEquiv/p:Unicode", None, space) for word in root.findall(".//p:Word", space)] == ["a", "<b"]
    corners = [word.find("p:Coords", space).get("points") for word in root.findall(".//p:Word", space)]
    assert corners == ["10,0 50,0 50,60 10,60", "399,0 400,0 400,60 399,60"]
    assert root.find(".//p:Word/p:TextEquiv", space).get("conf") == "0.5000"


@pytest.mark.parametrize("writer", [Alto(), Page()])
def test_what_xml_cannot_hold_is_replaced(tmp_path: Path, writer: Alto | Page) -> None:
    path = tmp_path / "a\x01\x1b[31m\udcff\ufffe\U0001f600\t.png"
    Image.new("L", (40, 6), 255).save(path, "png")
    transcript = Transcript(str(path), "b\x00c \x0b\u00e9", words=(Word("b\x00c", 1, 9), Word("\x0b\u00e9", 10, 20)))
    root = ElementTree.fromstring(writer.render(transcript).encode())
    held = [value for element in root.iter() for value in (element.text, *element.attrib.values()) if value]
    assert any(value.endswith("/a\ufffd\ufffd[31m\\udcff\ufffd\U0001f600\t.png") for value in held)
    assert "b\ufffdc" in held and "\ufffd\u00e9" in held
