"""Pages told from lines."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from recognizer.pages.detect import looks_like_page, may_be_page

TEXT = "the quick brown fox jumps over the lazy dog and runs into the wood where nobody finds it"
WORDS = TEXT.split()


def draw(rows: list[str], size: int = 36, pitch: float = 1.6, margin: int = 60) -> np.ndarray:
    font = ImageFont.load_default(size)
    width = max(int(font.getlength(row)) for row in rows) + 2 * margin
    picture = Image.new("L", (width, int(pitch * size * len(rows)) + 2 * margin), 240)
    for number, row in enumerate(rows):
        ImageDraw.Draw(picture).text((margin, margin + pitch * size * number), row, font=font, fill=40)
    return np.asarray(picture)


@pytest.mark.parametrize("rows", [
    [" ".join(WORDS[i : i + 6]) for i in range(0, 18, 6)],
    [" ".join(WORDS[i % 9 : i % 9 + 5]) for i in range(12)],
    [" ".join(WORDS[i % 12 : i % 12 + 2]) for i in range(30)],
    [" ".join(WORDS[i % 9 : i % 9 + 7]) for i in range(25)],
])
def test_pictures_of_several_rows_are_pages(rows) -> None:
    page = draw(rows)
    assert looks_like_page(page) and looks_like_page(255 - page)


def test_rows_that_touch_make_a_page() -> None:
    assert looks_like_page(draw([" ".join(WORDS[i % 9 : i % 9 + 6]) for i in range(20)], pitch=0.8))


def test_a_large_page_is_looked_at_in_a_smaller_size() -> None:
    page = Image.fromarray(draw([" ".join(WORDS[i % 9 : i % 9 + 7]) for i in range(25)]))
    assert looks_like_page(np.asarray(page.resize((page.width * 3, page.height * 3))))


@pytest.mark.parametrize("text", ["x", "the", "quick fox", "jumps over the lazy dog", TEXT])
@pytest.mark.parametrize("margin", [0, 5, 60, 400])
def test_one_line_is_no_page_whatever_the_paper_around_it(text, margin) -> None:
    assert not looks_like_page(draw([text], margin=margin))
    assert not looks_like_page(draw([text], size=150, margin=margin))


def test_empty_paper_is_no_page() -> None:
    assert not looks_like_page(np.full((900, 700), 230, np.uint8))


def test_sizes_that_no_page_has() -> None:
    assert may_be_page(1000, 1400) and may_be_page(2000, 600)
    assert not may_be_page(2000, 100) and not may_be_page(40, 40) and not may_be_page(100, 9000)
