"""Which XML files describe pages, and what their lines belong to."""

from __future__ import annotations

import pytest

from recognizer.pages.alto import parse_alto
from recognizer.pages.files import PARSERS, is_layout, load_layout
from recognizer.pages.page_xml import parse_page
from recognizer.utils.xml import parse_xml

ALTO = ('<?xml version="1.0"?>\n<!-- a page -->\n<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#">{order}<Layout><Page><PrintSpace>'
        '<TextBlock ID="b1"><TextLine ID="l1"/><TextLine ID="l2"/></TextBlock><ComposedBlock><TextBlock ID="b2"><TextLine ID="l3"/></TextBlock>'
        "</ComposedBlock></PrintSpace></Page></Layout></alto>")
PAGE = ('<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"><Page><TextRegion id="r1"><TextLine id="l1"/></TextRegion>'
        '<TextRegion id="r2"><TextLine id="l2"/><TextLine id="l3"/></TextRegion></Page></PcGts>')


@pytest.mark.parametrize(("content", "is_one"), [
    (ALTO.format(order=""), True), (PAGE, True), (PAGE.replace("PcGts", "pcGts"), True), ("<alto", False), ("", False), ("no XML", False),
    ('<ink xmlns="http://www.w3.org/2003/InkML"><trace>1 2</trace></ink>', False), ("<WhiteboardCaptureSession/>", False),
    ('<!DOCTYPE x [<!ENTITY a "b">]><alto/>', False), ("<html><alto/></html>", False),
])
def test_layouts_are_told_by_their_root(tmp_path, content, is_one) -> None:
    (tmp_path / "x.xml").write_text(content)
    assert is_layout(tmp_path / "x.xml") is is_one
    assert is_layout(tmp_path / "none.xml") is False


def test_only_the_beginning_of_a_file_is_looked_at(tmp_path) -> None:
    (tmp_path / "x.xml").write_text(f"<!--{' ' * 70_000}-->{PAGE}")
    assert not is_layout(tmp_path / "x.xml")
    (tmp_path / "x.xml").write_text(PAGE.replace("</Page>", "<Unclosed>"))
    assert is_layout(tmp_path / "x.xml")


def test_other_xml_is_noted(tmp_path) -> None:
    (tmp_path / "x.xml").write_text("<html/>")
    notes: list[str] = []
    assert load_layout(tmp_path / "x.xml", PARSERS, notes.append) is None
    assert notes == [f"{tmp_path / 'x.xml'}: left alone, its root element is <html> and not <alto> or <PcGts>"]


def test_lines_name_their_blocks_and_regions(tmp_path) -> None:
    (tmp_path / "alto.xml").write_text(ALTO.format(order=""))
    (tmp_path / "page.xml").write_text(PAGE)
    alto, page = parse_alto(parse_xml(tmp_path / "alto.xml")), parse_page(parse_xml(tmp_path / "page.xml"))
    assert [(line.id, line.region) for line in alto.lines] == [("l1", "b1"), ("l2", "b1"), ("l3", "b2")]
    assert [(line.id, line.region) for line in page.lines] == [("l1", "r1"), ("l2", "r2"), ("l3", "r2")]


@pytest.mark.parametrize(("references", "ids"), [
    (["b2", "b1"], ["l3", "l1", "l2"]), (["l2", "l3", "l1"], ["l2", "l3", "l1"]), (["b2"], ["l3", "l1", "l2"]),
    (["b1", "l2", "l1"], ["l2", "l1", "l3"]), (["unknown"], ["l1", "l2", "l3"]),
])
def test_the_reading_order_of_alto(tmp_path, references, ids) -> None:
    order = "".join(f'<ElementRef REF="{reference}"/>' for reference in references)
    (tmp_path / "x.xml").write_text(ALTO.format(order=f"<ReadingOrder><OrderedGroup>{order}</OrderedGroup></ReadingOrder>"))
    assert [line.id for line in parse_alto(parse_xml(tmp_path / "x.xml")).lines] == ids
