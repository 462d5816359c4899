"""Searchable PDF documents, read back."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recognizer.errors import ConfigError, InputError, RecognizerWarning
from recognizer.formats.base import choose_writers
from recognizer.formats.pdf import Pdf, _boxes
from recognizer.types import Line, Transcript, Word

pytest.importorskip("pikepdf", reason="writes PDF documents")
pytest.importorskip("fontTools", reason="makes their font")
pdfium = pytest.importorskip("pypdfium2", reason="reads PDF documents")

TEXTS = ["\u0152uvre na\u00efve", "\u05e9\u05dc\u05d5\u05dd", "\U0001f600 ok"]


def page(source: Path, texts: list[str], size: tuple[int, int] = (600, 300), number: int | None = None) -> Transcript:
    lines = []
    for n, text in enumerate(texts):
        top, words, left = 20 + 80 * n, [], 20
        for word in text.split():
            words.append(Word(word, left, left + 25 * len(word), None, (left, top, left + 25 * len(word), top + 40)))
            left += 25 * len(word) + 20
        lines.append(Line(f"l{n}", ((20, top), (left, top), (left, top + 40), (20, top + 40)), (), "", text, tuple(words)))
    return Transcript(str(source), "\n".join(texts), lines=tuple(lines), width=size[0], height=size[1], page=number)


def collect(target: Path, transcripts: list[Transcript]) -> None:
    collector = Pdf().collect(target.parent)
    for each in transcripts:
        collector.add(each)
    collector.save(target)
    collector.close()


def texts_of(content: bytes) -> list[list[str]]:
    document = pdfium.PdfDocument(content)
    return [p.get_textpage().get_text_range().split("\r\n") for p in document]


@pytest.mark.parametrize(("suffix", "mode"), [(".jpg", "RGB"), (".png", "RGBA"), (".png", "L"), (".tif", "1")])
def test_the_text_is_found_and_the_picture_seen(tmp_path: Path, suffix: str, mode: str) -> None:
    path = tmp_path / f"p{suffix}"
    Image.new("RGB", (600, 300), (200, 200, 200)).convert(mode).save(path)
    content = Pdf().render_bytes(page(path, TEXTS))
    assert [[line.strip() for line in lines] for lines in texts_of(content)] == [TEXTS]
    shown = pdfium.PdfDocument(content)[0].render(scale=300 / 72).to_pil()
    assert shown.size == (600, 300)
    assert mode == "1" or abs(shown.convert("L").getpixel((30, 40)) - 200) < 3  # nothing is drawn where the words are


def test_a_word_is_at_its_box(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.new("L", (600, 300), 255).save(path)
    text = pdfium.PdfDocument(Pdf().render_bytes(page(path, ["ab"])))[0].get_textpage()
    left, bottom, right, top = (value * 300 / 72 for value in (text.count_rects() and text.get_rect(0)))
    assert (left, right) == (pytest.approx(20, abs=1), pytest.approx(70, abs=1))
    assert (300 - top, 300 - bottom) == (pytest.approx(20, abs=2), pytest.approx(60, abs=2))


def test_pages_of_a_document_keep_what_they_show(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.new("L", (600, 300), 255).save(path)
    given = tmp_path / "given.pdf"
    collect(given, [page(path, [text]) for text in ("one", "two", "three")])
    assert texts_of(given.read_bytes()) == [["one"], ["two"], ["three"]]
    collect(tmp_path / "out.pdf", [page(given, ["", "more"], number=number) for number in (1, 3)])
    out = (tmp_path / "out.pdf").read_bytes()
    assert [[line.strip() for line in lines] for lines in texts_of(out)] == [["one", "more"], ["two"], ["three", "more"]]
    alone = Pdf().render_bytes(page(given, ["", "more"], number=2))
    assert [[line.strip() for line in lines] for lines in texts_of(alone)] == [["two", "more"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.pdf", "out.pdf", "p.png"]


def draw_boxes(path: Path, made: Transcript, **options: object) -> None:
    """A picture with a black box where each word of a transcript is."""
    picture = Image.new("L", (made.width, made.height), 255)
    for line in made.lines:
        for word in line.words:
            picture.paste(0, tuple(map(int, word.box)))
    turns = {8: Image.Transpose.ROTATE_270, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}
    turn = options.pop("turn", 1)
    exif = Image.Exif()
    exif[0x0112] = turn
    (picture.transpose(turns[turn]) if turn in turns else picture).save(path, exif=exif, **options)


def check_places(content: bytes, made: Transcript) -> None:
    """Every word lies over its ink, as the page is shown, and can be read."""
    shown_page = pdfium.PdfDocument(content)[0]
    scale = made.width / shown_page.get_width()
    shown = shown_page.render(scale=scale, grayscale=True).to_numpy().reshape(-1, round(shown_page.get_width() * scale))
    text = shown_page.get_textpage()
    spans = sorted((text.get_rect(n) for n in range(text.count_rects())), key=lambda rect: -rect[1])
    boxes = [surround_words(line) for line in made.lines]
    height = shown_page.get_height() * scale
    assert abs(height - made.height) <= 1
    to_view = views(shown_page, scale, height)
    for left, top, right, bottom in boxes:
        assert shown[top + 5 : bottom - 5, left + 5 : left + 15].max() < 100 and shown[max(0, top - 15) : top - 5, left:right].min() > 150
        assert any(
            max(abs(a - b) for a, b in zip(to_view(span), (left, top, right, bottom), strict=True)) <= 4 for span in spans
        ), (left, top, right, bottom, [to_view(span) for span in spans])


def surround_words(line: Line) -> tuple[int, int, int, int]:
    boxes = [word.box for word in line.words]
    return int(min(b[0] for b in boxes)), int(min(b[1] for b in boxes)), int(max(b[2] for b in boxes)), int(max(b[3] for b in boxes))


def views(shown_page, scale: float, height: float):
    """Turns a rectangle of the page's space (left, bottom, right, top) into pixels as it is shown."""
    turn = shown_page.get_rotation()
    left, bottom, right, top = shown_page.get_cropbox()

    def view(span: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        x0, y0, x1, y1 = span
        sides = {
            0: (x0 - left, top - y1, x1 - left, top - y0), 90: (y0 - bottom, x0 - left, y1 - bottom, x1 - left),
            180: (right - x1, y0 - bottom, right - x0, y1 - bottom), 270: (top - y1, right - x1, top - y0, right - x0),
        }[turn]  # fmt: skip
        return tuple(side * scale for side in sides)

    return view


SINGLE = ["one", "\u05e9\u05dc\u05d5\u05dd"]


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_words_lie_over_the_ink_of_turned_pictures(tmp_path: Path, turn: int, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    made = page(path, SINGLE)
    draw_boxes(path, made, turn=turn)
    content = Pdf().render_bytes(made)
    check_places(content, made)
    assert [[line.strip() for line in lines] for lines in texts_of(content)] == [SINGLE]


@pytest.mark.parametrize("inherited", [False, True])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_words_lie_over_the_ink_of_turned_pages(tmp_path: Path, turn: int, inherited: bool) -> None:
    import pikepdf

    picture, given = tmp_path / "p.png", tmp_path / "given.pdf"
    made = page(given, SINGLE, number=1)
    draw_boxes(picture, made)
    turned = Image.open(picture).rotate(turn, expand=True)  # against the clock; the page is turned with it
    turned.save(picture)
    with pikepdf.Pdf.open(io.BytesIO(Pdf().render_bytes(Transcript(str(picture), width=turned.width, height=turned.height)))) as document:
        first = document.pages[0]
        first.mediabox = [-10, -20, float(first.mediabox[2]) + 30, float(first.mediabox[3]) + 40]
        first.cropbox = [0, 0, turned.width * 0.24, turned.height * 0.24]
        first.contents_add(b"0.5 0 0 0.5 7 7 cm")  # left open: what is added must not be moved by it
        (document.Root.Pages if inherited else first.obj)["/Rotate"] = turn
        document.save(given)
    collect(tmp_path / "out.pdf", [made])
    for content in (Pdf().render_bytes(made), (tmp_path / "out.pdf").read_bytes()):
        check_places(content, made)
        assert [[line.strip() for line in lines] for lines in texts_of(content)] == [SINGLE]


RIGHT_TO_LEFT = ["\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd", "\u0645\u0631\u062d\u0628\u0627 \u064a\u0627 \u0639\u0627\u0644\u0645"]


def test_several_words_from_right_to_left(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.new("L", (600, 300), 255).save(path)
    left_to_right = page(path, RIGHT_TO_LEFT)
    lines = tuple(
        replace(line, words=tuple(replace(word, box=(600 - word.box[2], word.box[1], 600 - word.box[0], word.box[3])) for word in line.words),
                outline=((0, line.outline[0][1]), (600, line.outline[0][1]), (600, line.outline[2][1]), (0, line.outline[2][1])))
        for line in left_to_right.lines
    )  # fmt: skip
    content = Pdf().render_bytes(replace(left_to_right, lines=lines))
    assert [[line.strip() for line in lines] for lines in texts_of(content)] == [RIGHT_TO_LEFT]


@pytest.mark.parametrize("inherited", [False, True])
def test_a_page_with_fonts_of_its_own_keeps_them(tmp_path: Path, inherited: bool) -> None:
    import pikepdf

    given = tmp_path / "given.pdf"
    with pikepdf.Pdf.new() as document:
        font = document.make_indirect(pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica))
        for word in (b"Hello", b"World"):
            first = document.add_blank_page(page_size=(144, 72))
            first.contents_add(b"BT /F1 12 Tf 1 0 0 1 10 8 Tm (" + word + b") Tj ET")
            if not inherited:
                first.obj["/Resources"] = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
            elif "/Resources" in first.obj:
                del first.obj["/Resources"]
        if inherited:
            document.Root.Pages["/Resources"] = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
        document.save(given)
    made = [page(given, ["found"], number=number) for number in (1, 2)]
    collect(tmp_path / "out.pdf", made)
    assert [[line.strip() for line in lines] for lines in texts_of((tmp_path / "out.pdf").read_bytes())] == [["Hello", "found"], ["World", "found"]]
    assert [line.strip() for line in texts_of(Pdf().render_bytes(made[1]))[0]] == ["World", "found"]
    before, after = (pdfium.PdfDocument(file)[1].render().to_numpy() for file in (given, tmp_path / "out.pdf"))
    assert before.min() < 100 and np.array_equal(before, after)


def test_a_large_document_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    noise = np.random.default_rng(0).integers(0, 256, (30, 400, 600), np.uint8)
    pictures = [Image.fromarray(each) for each in noise]
    pictures[0].save(path, save_all=True, append_images=pictures[1:])
    collector = Pdf().collect(tmp_path)
    for number in range(1, 31):
        collector.add(page(path, [f"n{number}"], (600, 400), number))
    held = sum(part.stat().st_size for part in tmp_path.rglob("*.pdf"))
    collector.save(tmp_path / "out.pdf")
    collector.close()
    assert held > 30 * 200_000  # pages wait on disk
    assert texts_of((tmp_path / "out.pdf").read_bytes()) == [[f"n{number}"] for number in range(1, 31)]


def test_what_is_missing_is_told_before_anything_is_read(monkeypatch) -> None:
    monkeypatch.setattr("recognizer.formats.pdf.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pdf needs pikepdf and fontTools; pip install 'recognizer\[pages\]'"):
        choose_writers("txt,pdf", "line")
    with pytest.warns(RecognizerWarning, match="-f all: pdf is left out"):
        assert "pdf" not in [writer.name for writer in choose_writers("all", "line")]


def test_the_same_document_whenever_it_is_made(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "p.png"
    Image.new("L", (600, 300), 255).save(path)
    made = []
    for seconds in (0, 10**9):
        _boxes.cache_clear()
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(seconds))  # what the font is dated with
        made.append(Pdf().render_bytes(page(path, TEXTS)))
    assert made[0] == made[1]


def test_it_is_no_text() -> None:
    with pytest.raises(InputError, match="folder with -o"):
        Pdf().render(Transcript("a.png"))
