"""PAGE XML: text versions, reading order, outlines, and the pixels that are cut."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    """A page whose pixel at row r, column c is r + c, so that every cut tells where it came from."""
    folder = tmp_path / "pages"
    folder.mkdir()
    Image.fromarray(np.add.outer(np.arange(60), np.arange(100)).astype(np.uint8)).save(folder / "scan.png")
    return folder


def page(body: str, year: int = 2013, attributes: str = 'imageFilename="scan.png" imageWidth="100" imageHeight="60"') -> str:
    return (f'<?xml version="1.0"?><PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/{year}-07-15">'
            f"<Metadata/><Page {attributes}>{body}</Page></PcGts>")


def line(id: str, text: str = "x", points: str = "10,10 50,10 50,20 10,20", more: str = "", custom: str = "") -> str:
    equiv = f"<TextEquiv><Unicode>{text}</Unicode></TextEquiv>" if text else ""
    return f'<TextLine id="{id}" custom="{custom}"><Coords points="{points}"/>{more}{equiv}</TextLine>'


def region(id: str, *inside: str) -> str:
    return f'<TextRegion id="{id}"><Coords points="0,0 9,0 9,9"/>{"".join(inside)}<TextEquiv><Unicode>all</Unicode></TextEquiv></TextRegion>'


@pytest.mark.parametrize("year", [2010, 2013, 2019])
def test_polygon_pixels_and_baseline(folder, read, write, year):
    shape = line("l1", "de\u0301j\u00e0", "10,10 50,10 50,20 30,20 30,30 10,30", '<Baseline points="10,18 50,19"/>')
    write(folder / "a.xml", page(region("r", shape), year))
    reading = read("page", folder)
    assert reading.dropped == []
    (item,) = reading.items
    cut, original = np.asarray(Image.open(item.source)), np.asarray(Image.open(folder / "scan.png"))
    assert cut.shape == (20, 40)
    assert np.array_equal(cut[:10], original[10:20, 10:50]) and np.array_equal(cut[10:, :20], original[20:30, 10:30])
    assert np.unique(cut[11:, 21:]).size == 1  # paper
    assert (item.id, item.text, item.group, item.width) == ("a/0001", "d\u00e9j\u00e0", "a", 40)
    assert item.meta == {"page": "scan.png", "line": "l1", "box": [10, 10, 50, 30], "baseline": [[0.0, 8.0], [40.0, 9.0]]}


def test_coords_as_points(folder, read, write):
    corners = "".join(f'<Point x="{x}" y="{y}"/>' for x, y in ((10, 10), (50, 10), (50, 20), (10, 20)))
    old = f'<TextLine id="l"><Coords>{corners}</Coords><TextEquiv><Unicode>x</Unicode></TextEquiv></TextLine>'
    write(folder / "a.xml", page(region("r", old)))
    assert read("page", folder).items[0].meta["box"] == [10, 10, 50, 20]


@pytest.mark.parametrize(("versions", "text"), [
    ('<TextEquiv index="1"><Unicode>ocr</Unicode></TextEquiv><TextEquiv index="0"><Unicode>truth</Unicode></TextEquiv>', "truth"),
    ('<TextEquiv index="1" conf="0.5"><Unicode>ocr</Unicode></TextEquiv><TextEquiv><Unicode>truth</Unicode></TextEquiv>', "truth"),
    ('<TextEquiv conf="0.5"><Unicode>ocr</Unicode></TextEquiv><TextEquiv index="1"><Unicode>truth</Unicode></TextEquiv>', "truth"),
    ("<TextEquiv><PlainText>p</PlainText><Unicode>first</Unicode></TextEquiv><TextEquiv><Unicode>second</Unicode></TextEquiv>", "first"),
    ('<Word><TextEquiv><Unicode>two</Unicode></TextEquiv></Word><Word><TextEquiv><Unicode>words</Unicode></TextEquiv></Word>', "two words"),
])
def test_which_text(folder, read, write, versions, text):
    write(folder / "a.xml", page(region("r", line("l", "", more=versions))))
    assert read("page", folder).items[0].text == text


def test_reading_order_of_regions_and_lines(folder, read, write):
    order = ('<ReadingOrder><OrderedGroup id="g"><RegionRefIndexed index="1" regionRef="b"/><OrderedGroupIndexed index="0" id="h" regionRef="c">'
             '<RegionRefIndexed index="0" regionRef="d"/></OrderedGroupIndexed></OrderedGroup></ReadingOrder>')
    body = order + region("a", line("1", "a1")) + region("b", line("2", "b2", custom="readingOrder {index:1;}"), line("3", "b1",
        custom="structure {type:x;} readingOrder {index:0;}")) + region("c", line("4", "c1"), region("d", line("5", "d1")))
    write(folder / "a.xml", page(body))
    assert [item.text for item in read("page", folder).items] == ["c1", "d1", "b1", "b2", "a1"]


def test_document_order_without_reading_order(folder, read, write):
    write(folder / "a.xml", page(region("z", line("1", "one"), line("2", "two", custom="readingOrder {index:0;}")) + region("a", line("3", "three"))))
    assert [item.text for item in read("page", folder).items] == ["one", "two", "three"]


@pytest.mark.parametrize(("bad", "message"), [
    (line("l9", "x", ""), "neither an outline nor a box"),
    (line("l9", "x", "1,2 3"), "line l9: an odd count"),
    (line("l9", "x", "500,500 600,500 600,600"), "encloses nothing"), (line("l9", "x", "5,5 1e19,5 60,60"), "beyond any picture"),
    (line("l9", "", more='<TextEquiv index="q"><Unicode>x</Unicode></TextEquiv>'), "TextEquiv/@index is not a number"),
])
def test_a_bad_line_is_named_and_the_next_is_cut(folder, read, write, bad, message):
    path = write(folder / "a.xml", page(region("r", bad, line("good"))))
    reading = read("page", folder)
    assert [item.meta["line"] for item in reading.items] == ["good"]
    assert len(reading.dropped) == 1 and reading.dropped[0].startswith(f"{path}: ") and message in reading.dropped[0]


@pytest.mark.parametrize(("content", "message"), [
    ('<!DOCTYPE PcGts [<!ENTITY a "aaaa">]><PcGts/>', "declares the entity"), ("<PcGts>", "not well-formed"), ("<PcGts/>", "has no Page"),
    (page("", attributes='imageFilename="scan.png" imageWidth="1e" imageHeight="1"'), "imageWidth is not a number"),
    (page(region("r", line("l")), attributes='imageFilename="scan.png" imageWidth="100" imageHeight="100"'), "described as 100 x 100"),
    (page("", attributes='imageFilename="none.png"'), "its image is not there"),
    (page('<ReadingOrder><OrderedGroup><RegionRefIndexed index="?" regionRef="r"/><RegionRefIndexed index="1"/></OrderedGroup></ReadingOrder>'),
     "index is not a number"),
])
def test_a_bad_page_is_named_and_the_next_is_read(folder, read, write, content, message):
    write(folder / "a.xml", content)
    write(folder / "b.xml", page(region("r", line("l"))))
    reading = read("page", folder)
    assert [item.id for item in reading.items] == ["b/0001"]
    assert len(reading.dropped) == 1 and message in reading.dropped[0] and str(folder) in reading.dropped[0]


def test_the_root_of_2009(folder, read, write):
    write(folder / "a.xml", page(region("r", line("l1"), line("l2", points="10,30 50,30 50,40 10,40")), 2009).replace("PcGts", "pcGts"))
    reading = read("page", folder)
    assert [item.meta["line"] for item in reading.items] == ["l1", "l2"] and reading.notes == [] and reading.dropped == []


def test_a_prediction_only_is_said(folder, read, write):
    version = '<TextEquiv index="1" conf="0.5"><Unicode>ocr</Unicode></TextEquiv>'
    write(folder / "a.xml", page(region("r", line("l", "", more=version))))
    reading = read("page", folder)
    assert reading.items[0].text == "ocr" and "1 lines have the text of a prediction only" in reading.notes[0]


def test_outlines_without_text_are_cut_to_be_read(folder, read, write):
    write(folder / "a.xml", page(region("r", line("l1", ""), line("l2", "", points="10,30 50,30 50,40 10,40"))))
    reading = read("page", folder)
    assert [(item.text, Image.open(item.source).size) for item in reading.items] == [(None, (40, 10)), (None, (40, 10))]
    assert reading.dropped == [] and len(reading.notes) == 1 and "no line has text; 2 line pictures" in reading.notes[0]


def test_orders_and_numbers_without_end_are_passed_over_at_once(folder, read, write):
    """A pattern that begins anew at every "readingOrder" took a minute."""
    numbers = 'imageFilename="scan.png" imageWidth="' + "9" * 100_000 + 'q" imageHeight="60"'
    for name, content in {
        "a": page(region("r", line("l1", custom="readingOrder {" * 20_000), line("l2", points="10,30 50,30 50,40 10,40"))),
        "b": page(region("r", line("l3", custom="readingOrder {index:" + "1" * 20_000 + ";}", points="10,50 50,50 50,60 10,60"))),
        "c": page("", attributes=numbers),
        "d": page("<ReadingOrder>" + "<OrderedGroup>" * 50_000 + "</OrderedGroup>" * 50_000 + "</ReadingOrder>"),
    }.items():
        write(folder / f"{name}.xml", content)
    reading = read("page", folder)
    assert [item.meta["line"] for item in reading.items] == ["l1", "l2", "l3"]
    assert len(reading.dropped) == 2 and all(len(message) < 300 for message in reading.dropped)
    assert "Page/@imageWidth is not a number" in reading.dropped[0] and "nested more than 200 deep" in reading.dropped[1]
