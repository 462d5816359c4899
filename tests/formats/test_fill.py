"""Text put into layouts of many dialects, byte by byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recognizer.errors import RecognizerWarning
from recognizer.formats.base import find_writers
from recognizer.formats.fill import fill_layout
from recognizer.formats.layout import Page
from recognizer.pages.files import load_layout
from recognizer.types import Line, Transcript, Word

NS = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
BODY = (
    '<{p}PcGts xmlns{c}="' + NS + '"><{p}Metadata/><{p}Page imageFilename="a.png" imageWidth="9" imageHeight="9">{x}'
    '<{p}TextRegion id="r"><{p}TextLine id="l1">\n\t<{p}Coords points="0,0 9,9"/></{p}TextLine></{p}TextRegion></{p}Page></{p}PcGts>'
)
PLAIN = BODY.format(p="", c="", x="")
DIALECTS = {
    "plain": (PLAIN, "utf-8"),
    "prefix": (BODY.format(p="p:", c=":p", x=""), "utf-8"),
    "byte order mark": (PLAIN, "utf-8-sig"),
    "carriage returns": (PLAIN.replace("\n", "\r\n"), "utf-8"),
    "single quotes": (PLAIN.replace('"', "'"), "utf-8"),
    "comments and CDATA": (BODY.format(p="", c="", x="<!-- <TextLine id='l1'/> --><![CDATA[ <x> ]]>\u00e9"), "utf-8"),
    "utf-16": (PLAIN, "utf-16"),
    "latin 1": ('<?xml version="1.0" encoding="ISO-8859-1"?>' + BODY.format(p="", c="", x="<!-- \u00e9 -->"), "latin-1"),
}
READ = Transcript("", "\u00e9 & <", lines=(Line("l1", (), text="\u00e9 & <"),))


@pytest.mark.parametrize(("text", "encoding"), DIALECTS.values(), ids=DIALECTS)
def test_all_but_the_text_stays(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(text.encode(encoding))
    p = "p:" if "p:PcGts" in text else ""
    coords = text.index("/>", text.rindex("Coords")) + 2
    new = f"<{p}TextEquiv><{p}Unicode>\u00e9 &amp; &lt;</{p}Unicode></{p}TextEquiv>"
    assert fill_layout(path, READ) == (text[:coords] + new + text[coords:]).encode(encoding)


def fill(tmp_path: Path, content: str, line: Line, overwrite: bool = False, **more: int) -> str:
    path = tmp_path / "b.xml"
    path.write_text(content)
    return fill_layout(path, Transcript("", lines=(line,), **more), overwrite).decode()


def test_text_is_kept_or_replaced(tmp_path: Path) -> None:
    head, shut = '<PcGts><Page><TextRegion id="r">', "</TextRegion></Page></PcGts>"
    old = f'{head}<TextLine id="l"><Word id="w"/> <TextEquiv index="0"><Unicode>old</Unicode></TextEquiv><!-- c --></TextLine>{shut}'
    line = Line("l", (), text="new")
    assert fill(tmp_path, old, line) == old
    assert fill(tmp_path, old, line, True) == old.replace('<Word id="w"/>', "").replace("old", "new")
    empty = f'{head}<TextLine id="l"><TextEquiv><Unicode/></TextEquiv></TextLine>{shut}'
    assert fill(tmp_path, empty, line) == empty.replace("<Unicode/>", "<Unicode>new</Unicode>")


def test_words_of_alto(tmp_path: Path) -> None:
    words = (Word('a"', 1, 2, 0.5, (1, 2, 3, 4)), Word("b", 4, 5, None, (4, 2, 5, 4)))
    line = Line("l", (), text='a" b', words=words)
    strings = """<String HPOS="2" VPOS="4" WIDTH="4" HEIGHT="4" WC="0.5000" CONTENT='a"'/><SP/>"""
    strings += """<String HPOS="8" VPOS="4" WIDTH="2" HEIGHT="4" CONTENT="b"/>"""
    head = '<alto><Layout><Page WIDTH="20" HEIGHT="20">'
    shut = "</Page></Layout></alto>"
    assert fill(tmp_path, f'{head}<TextLine ID="l"/>{shut}', line, width=10, height=10) == f'{head}<TextLine ID="l">{strings}</TextLine>{shut}'
    old = f'{head}<TextLine ID="l"><Shape/>\n<String CONTENT="x"/>\n<SP/>\n<String CONTENT="y"/></TextLine>{shut}'
    assert fill(tmp_path, old, line, width=10, height=10) == old
    assert fill(tmp_path, old, line, True, width=10, height=10) == f'{head}<TextLine ID="l"><Shape/>\n{strings}</TextLine>{shut}'


def test_a_line_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.warns(RecognizerWarning, match="line l9 is not found"):
        fill(tmp_path, "<PcGts><Page/></PcGts>", Line("l9", (), text="x"))


ORDERS = {
    "page": '<PcGts><Page><ReadingOrder><OrderedGroup><RegionRefIndexed index="0" regionRef="b"/><RegionRefIndexed index="1" regionRef="a"/>'
    '</OrderedGroup></ReadingOrder><TextRegion id="a"><TextLine/><TextLine id="x"/></TextRegion><TextRegion id="b"><TextLine/></TextRegion>'
    "</Page></PcGts>",
    "Transkribus": '<PcGts><Page><TextRegion id="a"><TextLine custom="readingOrder {index:2;}"/>'
    '<TextLine id="x" custom="readingOrder {index:1;}"/><TextLine custom="readingOrder {index:0;}"/></TextRegion></Page></PcGts>',
    "alto": '<alto><ReadingOrder><OrderedGroup><ElementRef REF="b"/></OrderedGroup></ReadingOrder><Layout><Page><PrintSpace>'
    '<TextBlock ID="a"><TextLine/><TextLine ID="x"/></TextBlock><TextBlock ID="b"><TextLine/></TextBlock></PrintSpace></Page></Layout></alto>',
}


@pytest.mark.parametrize("content", ORDERS.values(), ids=ORDERS)
def test_lines_without_id_are_numbered_in_reading_order(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(content)
    page = load_layout(path)
    read = [line.id or f"line_{number}" for number, line in enumerate(page.lines, start=1)]  # as readers of pages call them
    lines = tuple(Line(id, (), text=f"text {number}") for number, id in enumerate(read, start=1))
    (tmp_path / "b.xml").write_bytes(fill_layout(path, Transcript("", lines=lines)))
    assert [line.text for line in load_layout(tmp_path / "b.xml").lines] == ["text 1", "text 2", "text 3"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("format", ["alto", "page"])
def test_what_is_filled_is_valid(tmp_path: Path, format: str, overwrite: bool) -> None:
    xmlschema = pytest.importorskip("xmlschema", reason="validates against the schemas")
    schema = xmlschema.XMLSchema(Path(__file__).parent / "schemas" / {"alto": "alto-4-3.xsd", "page": "page-2019-07-15.xsd"}[format])
    corners = ((1, 1), (90, 1), (90, 9), (1, 9))
    words = tuple(Word(text, 1 + 20 * n, 15 + 20 * n, 0.5, (1 + 20 * n, 1, 15 + 20 * n, 9)) for n, text in enumerate(("a", "<b")))
    bare = Line("bare", corners, ((1, 8), (90, 8)), "r", "")
    full = Line("full", corners, (), "r", "a <b", words, 0.25)
    given = tmp_path / "given.xml"
    given.write_text(find_writers()[format].render(Transcript("p.png", lines=(bare, full), width=99, height=99)))
    schema.validate(given)
    new = tuple(replace(word, text=text) for word, text in zip(words, "cd", strict=True))
    lines = tuple(replace(line, text="c d", words=new) for line in (bare, full))
    target = tmp_path / "filled.xml"
    target.write_bytes(fill_layout(given, Transcript("", lines=lines, width=99, height=99), overwrite))
    schema.validate(target)
    assert [line.text for line in load_layout(target).lines] == ["c d", "c d" if overwrite else "a <b"]


def test_page_of_2009_is_filled(tmp_path: Path) -> None:
    old = '<pcGts><Page><TextRegion id="r"><TextLine id="l"/></TextRegion></Page></pcGts>'
    new = '<TextLine id="l"><TextEquiv><Unicode>a</Unicode></TextEquiv></TextLine>'
    assert fill(tmp_path, old, Line("l", (), text="a")) == old.replace('<TextLine id="l"/>', new)


def test_the_writer_gives_the_same_file_back(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(PLAIN)
    lines = (Line("l1", ((0, 0), (9, 0), (9, 9)), text="new"),)
    assert Page().render_bytes(Transcript(str(path), "new", lines=lines, width=9, height=9)).decode() == PLAIN.replace(
        '9,9"/>', '9,9"/><TextEquiv><Unicode>new</Unicode></TextEquiv>'
    )
