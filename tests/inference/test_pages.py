"""Pages read line by line: found lines and given ones, documents of several pages, places of words, and what cannot be read."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recognizer.errors import ConfigError, InputError, RecognizerWarning
from recognizer.inference.pages import PageReader
from recognizer.inference.recognizer import Recognizer
from recognizer.pages.segmenter import PageLine

TEXTS = ["abcd", "ddcab", "cabd"]
PLACES = [(40, 30), (60, 80), (35, 130)]  # left and top of each line


@pytest.fixture(scope="module")
def recognizer(line_run: Path) -> Recognizer:
    return Recognizer.load(line_run / "bundle", "cpu", threads=1)


@pytest.fixture
def page(draw) -> np.ndarray:
    """A page of 300 x 200 pixels with three lines."""
    generator, picture = np.random.default_rng(5), np.full((200, 300), 255, dtype=np.uint8)
    for text, (left, top) in zip(TEXTS, PLACES, strict=True):
        line = draw(text, generator)
        picture[top : top + line.shape[0], left : left + line.shape[1]] = line
    return picture


def corners(number: int) -> tuple[tuple[float, float], ...]:
    (left, top), width = PLACES[number], 8 + 12 * len(TEXTS[number])
    return ((left, top), (left + width, top), (left + width, top + 20), (left, top + 20))


class Finder:
    """Finds three lines on every page that has ink."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def find(self, picture: np.ndarray) -> list[PageLine]:
        self.seen.append(picture.shape)
        return [] if picture.min() > 200 else [PageLine(f"line_{n + 1}", corners(n), (), "region_1") for n in range(3)]


def describe(texts, outlines=None, name="p.png", size=(300, 200)) -> str:
    outlines = outlines or [corners(n) for n in range(3)]
    lines = "".join(f'<TextLine id="l{n}"><Coords points="{" ".join(f"{x:g},{y:g}" for x, y in outline)}"/>'
                    + (f"<TextEquiv><Unicode>{text}</Unicode></TextEquiv>" if text else "") + "</TextLine>"
                    for n, (text, outline) in enumerate(zip(texts, outlines, strict=True)))
    return (f'<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"><Page imageFilename="{name}" imageWidth="{size[0]}" '
            f'imageHeight="{size[1]}"><TextRegion id="r7">{lines}</TextRegion></Page></PcGts>')


def test_lines_that_were_found_are_read_in_order(recognizer, page, tmp_path) -> None:
    Image.fromarray(page).save(tmp_path / "p.png")
    (transcript,) = PageReader(recognizer, Finder()).transcribe(tmp_path / "p.png")
    assert transcript.error is None and transcript.source == str(tmp_path / "p.png") and transcript.page is None
    assert transcript.text == "\n".join(TEXTS) and [line.text for line in transcript.lines] == TEXTS
    assert (transcript.width, transcript.height) == (300, 200)
    assert [(line.id, line.region, line.error) for line in transcript.lines] == [(f"line_{n}", "region_1", None) for n in (1, 2, 3)]
    assert transcript.lines[1].outline == corners(1)


def test_words_and_confidences_are_in_pixels_of_the_page(recognizer, page) -> None:
    (transcript,) = PageReader(recognizer, Finder()).transcribe(page)
    for number, line in enumerate(transcript.lines):
        (word,) = line.words
        assert word.text == TEXTS[number] and word.box is not None
        left, top, right, bottom = word.box
        columns = np.nonzero(page[PLACES[number][1] : PLACES[number][1] + 20] < 128)[1]
        assert (top, bottom) == (PLACES[number][1], PLACES[number][1] + 20)
        assert left == pytest.approx(columns.min(), abs=6) and right == pytest.approx(columns.max() + 1, abs=6)
        assert (word.start, word.end) == (left, right)
        assert line.confidence == pytest.approx(word.confidence) and 0 < line.confidence <= 1
    (plain,) = PageReader(recognizer, Finder()).transcribe(page, times=False)
    assert plain.text == transcript.text and plain.lines[0].words == () and plain.lines[0].confidence is None


def test_words_of_a_sloping_line_are_found_on_the_page(recognizer, page, tmp_path) -> None:
    """A page that was turned by 5 degrees reads the same, and its words lie where turning put them."""
    turned = Image.fromarray(page).rotate(-5, Image.Resampling.BICUBIC, center=(150, 100), fillcolor=255)
    sine, cosine = np.sin(np.radians(5)), np.cos(np.radians(5))

    def turn(x: float, y: float) -> tuple[float, float]:
        return 150 + cosine * (x - 150) - sine * (y - 100), 100 + sine * (x - 150) + cosine * (y - 100)

    class Sloping(Finder):
        def find(self, picture):
            return [PageLine(line.id, tuple(turn(*point) for point in line.outline), (turn(*line.outline[3]), turn(*line.outline[2])), "r")
                    for line in super().find(picture)]

    (transcript,) = PageReader(recognizer, Sloping()).transcribe(np.asarray(turned))
    assert transcript.text == "\n".join(TEXTS)
    for number, line in enumerate(transcript.lines):
        box = line.words[0].box
        xs, ys = zip(*(turn(*corner) for corner in corners(number)), strict=True)
        assert box is not None and box == pytest.approx((min(xs), min(ys), max(xs), max(ys)), abs=8)


def test_a_given_layout_is_read(recognizer, page, tmp_path) -> None:
    Image.fromarray(page).save(tmp_path / "p.png")
    (tmp_path / "p.xml").write_text(describe(["", "already", ""]))
    reader = PageReader(recognizer, "none")  # nothing is to be found
    (transcript,) = reader.transcribe(tmp_path / "p.xml")
    assert [(line.id, line.text, line.region) for line in transcript.lines] == [(f"l{n}", text, "r7") for n, text in enumerate(TEXTS)]
    assert transcript.source == str(tmp_path / "p.xml") and transcript.lines[0].words[0].box is not None
    (transcript,) = reader.transcribe(tmp_path / "p.xml", only_empty=True)
    assert [line.text for line in transcript.lines] == ["abcd", "already", "cabd"] and transcript.lines[1].words == ()


def test_a_line_that_fails_costs_only_itself(recognizer, page, tmp_path) -> None:
    Image.fromarray(page).save(tmp_path / "p.png")
    outlines = [corners(0), ((900.0, 900.0), (950.0, 900.0), (950.0, 950.0)), corners(2)]
    (tmp_path / "p.xml").write_text(describe(["", "", ""], outlines))
    (transcript,) = PageReader(recognizer).transcribe(tmp_path / "p.xml")
    first, failed, last = transcript.lines
    assert (first.text, failed.text, last.text) == ("abcd", "", "cabd") and transcript.error is None and transcript.text == "abcd\ncabd"
    assert failed.error is not None and failed.error.startswith(f"{tmp_path / 'p.xml'}: line l1: the outline ") and "encloses nothing" in failed.error


def test_a_line_that_the_recognizer_refuses_names_the_line(recognizer, page, tmp_path) -> None:
    thread = ((10.0, 0.0), (11.0, 0.0), (11.0, 200.0), (10.0, 200.0))
    Image.fromarray(page).save(tmp_path / "p.png")
    (tmp_path / "p.xml").write_text(describe(["", "", ""], [corners(0), thread, corners(2)]))
    (transcript,) = PageReader(recognizer).transcribe(tmp_path / "p.xml")
    message = "1 x 200 pixels, more than 100 times as tall as wide: not a line of text"
    assert transcript.lines[1].error == f"{tmp_path / 'p.xml'}: line l1: {message}"
    assert [line.text for line in transcript.lines] == ["abcd", "", "cabd"]


def test_a_page_without_text_is_noted(recognizer, tmp_path) -> None:
    Image.new("L", (300, 200), 255).save(tmp_path / "p.png")
    (tmp_path / "p.xml").write_text(describe_empty())
    with pytest.warns(RecognizerWarning, match=r"p\.png: no text was found on the page"):
        (transcript,) = PageReader(recognizer, Finder()).transcribe(tmp_path / "p.png")
    assert (transcript.text, transcript.lines, transcript.error, transcript.width) == ("", (), None, 300)
    with pytest.warns(RecognizerWarning, match=r"p\.xml: describes no lines; to have them found, give the picture"):
        (transcript,) = PageReader(recognizer, Finder()).transcribe(tmp_path / "p.xml")
    assert transcript.text == "" and transcript.error is None


def describe_empty() -> str:
    return '<PcGts><Page imageFilename="p.png" imageWidth="300" imageHeight="200"><TextRegion id="r"/></Page></PcGts>'


def test_pages_of_a_tiff_file(recognizer, page, tmp_path) -> None:
    blank = Image.new("L", (300, 200), 255)
    Image.fromarray(page).save(tmp_path / "p.tif", save_all=True, append_images=[blank, Image.fromarray(page[:, ::-1])])
    with pytest.warns(RecognizerWarning, match=r"p\.tif: page 2: no text was found"):
        first, second, third = PageReader(recognizer, Finder()).transcribe(tmp_path / "p.tif")
    assert [first.page, second.page, third.page] == [1, 2, 3] and first.text == "\n".join(TEXTS) and second.text == ""
    assert third.error is None and len(third.lines) == 3


def test_pages_of_a_pdf_document_are_drawn_at_300_dpi(recognizer, page, tmp_path) -> None:
    pytest.importorskip("pypdfium2", reason="PDF documents are read with pypdfium2")
    pages = [Image.fromarray(page), Image.new("L", (200, 300), 255)]
    pages[0].save(tmp_path / "p.pdf", save_all=True, append_images=pages[1:], resolution=300)
    finder = Finder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecognizerWarning)
        first, second = PageReader(recognizer, finder).transcribe(tmp_path / "p.pdf")
    assert (first.page, first.width, first.height, first.text) == (1, 300, 200, "\n".join(TEXTS))
    assert (second.page, second.width, second.height, second.text) == (2, 200, 300, "") and finder.seen == [(200, 300), (300, 200)]


@pytest.mark.parametrize(("content", "message"), [
    (b"%PDF-1.4 nothing", "the PDF document cannot be read"), (None, "no such file"),
])
def test_documents_that_cannot_be_read(recognizer, tmp_path, content, message) -> None:
    pytest.importorskip("pypdfium2", reason="PDF documents are read with pypdfium2")
    path = tmp_path / "p.pdf"
    if content is not None:
        path.write_bytes(content)
    (transcript,) = PageReader(recognizer, Finder()).transcribe(path)
    assert transcript.error is not None and transcript.error.startswith(f"{path}: ") and message in transcript.error and "\n" not in transcript.error


def test_a_document_with_a_password_is_named(recognizer, page, tmp_path) -> None:
    pikepdf = pytest.importorskip("pikepdf", reason="PDF documents are locked with pikepdf")
    pytest.importorskip("pypdfium2", reason="PDF documents are read with pypdfium2")
    Image.fromarray(page).save(tmp_path / "open.pdf")
    with pikepdf.open(tmp_path / "open.pdf") as document:
        document.save(tmp_path / "p.pdf", encryption=pikepdf.Encryption(owner="x", user="y"))
    (transcript,) = PageReader(recognizer, Finder()).transcribe(tmp_path / "p.pdf")
    assert transcript.error == f"{tmp_path / 'p.pdf'}: the PDF document is locked with a password; save it without one (qpdf --decrypt)"


def test_what_is_no_page_is_named(recognizer, speech_run, tmp_path) -> None:
    (tmp_path / "p.png").write_bytes(b"no picture")
    (tmp_path / "p.xml").write_text("<html/>")
    (picture,) = PageReader(recognizer, Finder()).transcribe(tmp_path / "p.png")
    (layout,) = PageReader(recognizer, Finder()).transcribe(tmp_path / "p.xml")
    assert picture.error is not None and "not a readable image" in picture.error
    assert layout.error == f"{tmp_path / 'p.xml'}: describes no page: its root element is neither <alto> nor <PcGts>"
    with pytest.raises(InputError, match=r"array 0: expected a gray page \(H, W\) uint8"):
        next(PageReader(recognizer, Finder()).transcribe(np.zeros((3, 3))))
    with pytest.raises(ConfigError, match="does not read line images"):
        PageReader(Recognizer.load(speech_run / "bundle", "cpu", threads=1))
    with pytest.raises(ConfigError, match="'rapidocrr' is not one of rapidocr, kraken; did you mean 'rapidocr'"):
        next(PageReader(recognizer, "rapidocrr").transcribe(np.zeros((30, 30), np.uint8)))


def test_a_segmenter_that_fails_costs_one_page(recognizer, page, tmp_path) -> None:
    class Broken(Finder):
        def find(self, picture):
            if not self.seen:
                super().find(picture)
                raise RuntimeError("out of\nmemory")
            return super().find(picture)

    Image.fromarray(page).save(tmp_path / "p.tif", save_all=True, append_images=[Image.fromarray(page)])
    first, second = PageReader(recognizer, Broken()).transcribe(tmp_path / "p.tif")
    assert first.error == f"{tmp_path / 'p.tif'}: page 1: RuntimeError: out of memory" and first.page == 1
    assert second.error is None and second.text == "\n".join(TEXTS)


def test_pictures_are_turned_upright(recognizer, page, tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter clockwise
    Image.fromarray(page).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "p.png", exif=exif)
    (transcript,) = PageReader(recognizer, Finder()).transcribe(tmp_path / "p.png")
    assert (transcript.width, transcript.height, transcript.text) == (300, 200, "\n".join(TEXTS))
