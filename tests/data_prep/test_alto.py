"""ALTO pages: text, outlines, units of length, and the pixels that are cut."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

PAPER, INK, NEIGHBOUR = 220, 30, 90


@pytest.fixture
def page(tmp_path):
    """100 x 60 pixels of paper with an ink stroke in the line and a neighbour's stroke above its slanted outline."""
    folder = tmp_path / "pages"
    folder.mkdir()
    pixels = np.full((60, 100), PAPER, np.uint8)
    pixels[25:30, 20:70] = INK
    pixels[10:14, 60:80] = NEIGHBOUR
    Image.fromarray(pixels).save(folder / "p1.png")
    return folder


def alto(lines: str, *, unit: str = "pixel", size: str = 'WIDTH="100" HEIGHT="60"', name: str = "p1.png", version: int = 4) -> str:
    image = f"<sourceImageInformation><fileName>{name}</fileName></sourceImageInformation>" if name else ""
    return (f'<?xml version="1.0"?><alto xmlns="http://www.loc.gov/standards/alto/ns-v{version}#"><Description><MeasurementUnit>{unit}'
            f"</MeasurementUnit>{image}</Description>"
            f"<Layout><Page {size}><PrintSpace><TextBlock>{lines}</TextBlock></PrintSpace></Page></Layout></alto>")


def line(content: str = '<String CONTENT="a"/>', points: str = "", box: str = 'HPOS="10" VPOS="20" WIDTH="80" HEIGHT="20"', more: str = "") -> str:
    shape = f'<Shape><Polygon POINTS="{points}"/></Shape>' if points else ""
    return f'<TextLine ID="l1" {box} {more}>{shape}{content}</TextLine>'


def pixels(item) -> np.ndarray:
    return np.asarray(Image.open(item.source))


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("points", [
    "10,10 40,10 50,20 90,20 90,40 10,40", "10 10 40 10 50 20 90 20 90 40 10 40", "10.0,10.0,40,10,50,20,90,20,90,40,10,40"])
def test_polygon_is_cut_and_its_outside_painted(page, read, write, version, points):
    write(page / "p1.xml", alto(line(points=points, more='BASELINE="10 30 90 31"'), version=version))
    reading = read("alto", page)
    assert reading.dropped == []
    (item,) = reading.items
    cut = pixels(item)
    assert cut.shape == (30, 80) and item.width == 80
    assert (cut[15:20, 10:60] == INK).all()
    assert set(np.unique(cut)) == {INK, PAPER}  # the neighbour's stroke is outside
    assert item.id == "p1/0001" and item.group == "p1" and item.text == "a"
    assert item.meta == {"page": "p1.png", "line": "l1", "box": [10, 10, 90, 40], "baseline": [[0.0, 20.0], [80.0, 21.0]]}


def test_box_keeps_what_lies_in_it(page, read, write):
    write(page / "p1.xml", alto(line(points="10,10 40,10 50,20 90,20 90,40 10,40")))
    cut = pixels(read("alto", page, "--crop", "box").items[0])
    original = np.asarray(Image.open(page / "p1.png"))
    assert np.array_equal(cut, original[10:40, 10:90]) and (cut == NEIGHBOUR).any()


def test_without_a_polygon_the_box_is_the_outline(page, read, write):
    write(page / "p1.xml", alto(line(more='BASELINE="35"') + line(points="3,4 5,6")))
    items = read("alto", page).items
    assert all(np.array_equal(pixels(item), np.asarray(Image.open(page / "p1.png"))[20:40, 10:90]) for item in items)
    assert items[0].meta["baseline"] == [[0.0, 15.0], [80.0, 15.0]]


def test_outlines_are_clipped_to_the_page(page, read, write):
    write(page / "p1.xml", alto(line(points="-20,-5 200,-5 200,20 -20,20")))
    assert pixels(read("alto", page).items[0]).shape == (20, 100)


@pytest.mark.parametrize(("unit", "per_pixel"), [("mm10", 254 / 100), ("inch1200", 12)])
@pytest.mark.parametrize("stated", [True, False])
def test_other_units(page, read, write, unit, per_pixel, stated):
    image = Image.open(page / "p1.png")
    image.save(page / "p1.png", dpi=(100, 100))
    h, v, w, d, width, height = (value * per_pixel for value in (10, 20, 80, 20, 100, 60))
    size = f'WIDTH="{width}" HEIGHT="{height}"' if stated else ""
    write(page / "p1.xml", alto(line(box=f'HPOS="{h}" VPOS="{v}" WIDTH="{w}" HEIGHT="{d}"'), unit=unit, size=size))
    left, top, right, bottom = read("alto", page).items[0].meta["box"]
    assert abs(left - 10) <= 1 and abs(top - 20) <= 1 and abs(right - 90) <= 1 and abs(bottom - 40) <= 1


def test_a_page_scanned_larger_than_described_is_scaled(page, read, write):
    write(page / "p1.xml", alto(line(box='HPOS="5" VPOS="10" WIDTH="40" HEIGHT="10"'), size='WIDTH="50" HEIGHT="30"'))
    assert read("alto", page).items[0].meta["box"] == [10, 20, 90, 40]


@pytest.mark.parametrize(("content", "text"), [
    ('<String CONTENT="un"/><SP/><String CONTENT="mot"/>', "un mot"),
    ('<String CONTENT="un"/><String CONTENT="mot"/>', "un mot"),
    ('<String CONTENT="un"/><SP/><String CONTENT="fou" SUBS_TYPE="HypPart1" SUBS_CONTENT="foulard"/><HYP CONTENT="-"/>', "un fou-"),
    ('<String CONTENT="fou"/><SP/><HYP CONTENT="&#xAC;"/>', "fou\u00ac"),
    ('<String CONTENT="cafe&#x301; &amp; the&#x301;"><Glyph CONTENT="x"/></String>', "caf\u00e9 & th\u00e9"),
])
def test_text(page, read, write, content, text):
    write(page / "p1.xml", alto(line(content)))
    assert read("alto", page).items[0].text == text


@pytest.mark.parametrize(("bad", "message"), [
    (line(box=""), "neither an outline nor a box"),
    (line(points="1,2 3,4 5"), "odd count"), (line(points="1,2 3;4 5,6"), "not a list of points"),
    (line(points="1,2 nan,4 5,6"), "not a list of points"),
    (line(box='HPOS="x" VPOS="1" WIDTH="1" HEIGHT="1"'), "TextLine/@HPOS is not a number"),
    (line(box='HPOS="500" VPOS="1" WIDTH="10" HEIGHT="10"'), "encloses nothing of the page"),
])
def test_a_bad_line_is_named_and_the_next_is_cut(page, read, write, bad, message):
    path = write(page / "p1.xml", alto(bad + line()))
    reading = read("alto", page)
    assert [item.id for item in reading.items] == ["p1/0002"]
    assert len(reading.dropped) == 1 and reading.dropped[0].startswith(f"{path}: ") and message in reading.dropped[0]


BOMB = '<?xml version="1.0"?><!DOCTYPE alto [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><alto>&b;</alto>'


@pytest.mark.parametrize(("content", "message"), [
    (BOMB, "declares the entity 'a'"),
    ('<!DOCTYPE alto [<!ENTITY x SYSTEM "file:///etc/hostname">]><alto>&x;</alto>', "declares the entity 'x'"),
    ("<alto><Layout>", "not well-formed"), ("", "not well-formed"), (b"\xff\xfe\x00garbage", "not well-formed"),
    ('<?xml version="1.0" encoding="klingon"?><alto/>', "p0.xml: "),
    ("<alto/>", "has 0 pages"), (alto("").replace("<Page ", "<Page/><Page "), "has 2 pages"),
    (alto(line(), unit="furlong"), "MeasurementUnit 'furlong'"), (alto(line(), size='WIDTH="wide" HEIGHT="3"'), "Page/@WIDTH is not a number"),
    (alto(line(), name="gone.png"), "its image is not there (gone.png"), (alto(line(), size='WIDTH="60" HEIGHT="100"'), "described as 60 x 100"),
    (alto(line(), unit="mm10", size=""), "states no page size"), (alto(line(), name="torn.png"), "torn.png"),
])
def test_a_bad_page_is_named_and_the_next_is_read(page, read, write, content, message):
    write(page / "torn.png", (page / "p1.png").read_bytes()[:60])
    path = write(page / "p0.xml", content)
    write(page / "p1.xml", alto(line()))
    reading = read("alto", page)
    assert [item.id for item in reading.items] == ["p1/0001"]
    assert len(reading.dropped) == 1 and message in reading.dropped[0] and str(path.parent) in reading.dropped[0]


def test_other_xml_is_remarked(page, read, write):
    write(page / "mets.xml", "<mets/>")
    write(page / "p1.xml", alto(line()))
    reading = read("alto", page)
    assert len(reading.items) == 1 and reading.dropped == [] and "root element is <mets>" in reading.notes[0]


@pytest.mark.parametrize("name", ["", r"C:\scans\p1.png", "/somewhere/else/p1.png", "gone.tif"])
@pytest.mark.parametrize("folder", ["", "alto"])
def test_the_image_is_found_beside_or_above(page, read, write, name, folder):
    write(page / folder / "p1.xml", alto(line(), name=name))
    reading = read("alto", page)
    assert [item.meta["page"] for item in reading.items] == ["p1.png"] and reading.dropped == []


@pytest.mark.parametrize("content", ['<String CONTENT=" "/>', ""])
def test_empty_lines_are_counted_and_cost_nothing(page, read, write, content):
    write(page / "p1.xml", alto(line(content) + line() + line(content)))
    reading = read("alto", page)
    assert [item.id for item in reading.items] == ["p1/0002"] and reading.dropped == []
    assert reading.notes == [f"{page}: 2 lines have no text and are left out"]


def test_groups(page, read, write):
    write(page / "p1.xml", alto(line()))
    assert read("alto", page / "p1.xml", "--group-by", r"p(\d)").items[0].group == "1"
    assert read("alto", page, "--group-by", "folder").items[0].group == "pages"
    assert read("alto", page, "--group-by", "none").items[0].group is None
    assert "has no group" in read("alto", page, "--group-by", "(q)").dropped[0]


def test_lines_with_confidences_are_said_to_be_predictions(page, read, write):
    write(page / "p1.xml", alto(line('<String CONTENT="a" WC="0.9"/>') + line('<String CONTENT="b" WC="0.9"/><String CONTENT="c"/>')))
    reading = read("alto", page)
    assert len(reading.items) == 2 and "1 lines have the text of a prediction only" in reading.notes[0]
