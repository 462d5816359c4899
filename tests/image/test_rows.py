"""Pages and paragraphs are told from lines; a line never passes for a page."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from recognizer.config import LineFeatures
from recognizer.errors import InputError
from recognizer.image.normalize import prepare_line

LINES = ["the quick brown fox jumps", "over the lazy dog, twice;", "pack my box with five", "dozen liquor jugs, again"]


def draw(lines: list[str], pitch: int = 60, rules: bool = False) -> np.ndarray:
    picture = Image.new("L", (640, pitch * len(lines) + 60), 240)
    pen = ImageDraw.Draw(picture)
    for row, text in enumerate(lines):
        pen.text((20, 30 + pitch * row), text, font=ImageFont.load_default(36), fill=30)
        if rules:
            pen.line([(0, 76 + pitch * row), (640, 76 + pitch * row)], fill=120, width=2)
    return np.array(picture)


@pytest.mark.parametrize("rules", [False, True])
@pytest.mark.parametrize(("count", "word"), [(2, "two rows"), (3, "three rows"), (4, "four rows")])
def test_several_rows_are_counted(count: int, word: str, rules: bool) -> None:
    for gray in (draw(LINES[:count], rules=rules), 255 - draw(LINES[:count], rules=rules)):
        with pytest.raises(InputError) as caught:
            prepare_line(gray, LineFeatures(), "a.png")
        advice = "transcribe reads it as a page with --page, prepare page or alto cuts it by its XML"
        assert str(caught.value) == f"a.png: not one line: {word} of ink; {advice}"


def test_a_page_whose_rows_touch_is_no_line() -> None:
    page = np.asarray(Image.fromarray(draw(LINES * 4, pitch=34)).rotate(6, expand=True, fillcolor=240))
    with pytest.raises(InputError, match="not one line: many rows of ink"):
        prepare_line(page, LineFeatures())


@pytest.mark.parametrize("text", [
    *LINES, "l", "8", "=", "= = = = =", ":::::::", "ÂÊÎ ÔÛ ÉÈ ÀÙ", "é è ê ë ï ö ü i j", "- - -", "...", "quelqu'un était là"])
@pytest.mark.parametrize("crop", [False, True])
def test_one_line_is_one_line(text: str, crop: bool) -> None:
    ruled = draw([text], rules=True)
    ruled[20:22] = 90
    for gray in (draw([text]), ruled):
        assert prepare_line(gray, LineFeatures(crop=crop))[0].any()


def test_what_a_line_has_of_its_neighbors_does_no_harm() -> None:
    page = draw(LINES[:3])
    top, bottom = 70, 150  # the second line, with the feet of the first and the heads of the third
    assert prepare_line(page[top:bottom], LineFeatures())[0].any()
