"""Searchable PDF documents, read back."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from recognizer.errors import InputError
from recognizer.formats.pdf import Pdf
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
    given.write_bytes(Pdf.merge([Pdf().render_bytes(page(path, [text])) for text in ("one", "two")]))
    assert texts_of(given.read_bytes()) == [["one"], ["two"]]
    out = Pdf.merge([Pdf().render_bytes(page(given, ["", "more"], number=number)) for number in (1, 2)])
    assert [[line.strip() for line in lines] for lines in texts_of(out)] == [["one", "more"], ["two", "more"]]


def test_it_is_no_text() -> None:
    with pytest.raises(InputError, match="folder with -o"):
        Pdf().render(Transcript("a.png"))
