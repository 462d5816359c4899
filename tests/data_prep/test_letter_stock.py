"""Stocks of letters: the writer's own first, then those of a similar pen; and cuts that are not what they are called are found out."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from recognizer.data_prep.letter_cuts import Cut
from recognizer.data_prep.letter_stock import NEIGHBOURS, LetterStock, sift


def drawn(letter: str, size: int = 40, stroke: float = 1.0, label: str | None = None, whole: bool = True) -> Cut:
    font = ImageFont.load_default(size)
    canvas = Image.new("L", (3 * size, 3 * size), 0)
    ImageDraw.Draw(canvas).text((size, size), letter, font=font, fill=255, stroke_width=stroke)
    return Cut(label or letter, np.array(canvas.crop(canvas.getbbox())), size / 2, 0.0, 2 * stroke, whole)


def test_a_writer_s_own_letters_come_first_then_twins_then_those_of_a_similar_pen() -> None:
    cuts = {f"w{number:02d}": [drawn("A", stroke=1 + number), drawn("B", stroke=1 + number)] for number in range(12)}
    cuts["w00"] = [drawn("A"), drawn("o", 30), drawn("E")]
    cuts["w05"].append(drawn("O", stroke=6))
    stock, generator = LetterStock(cuts), np.random.default_rng(0)
    assert stock.find("A", "w03", generator)[0] == "w03"
    assert stock.find("O", "w00", generator)[1][0].letter == "o"
    assert stock.find("O", "w03", generator)[0] == "w05"
    lenders = {stock.find("B", "w00", generator)[0] for _ in range(100)}
    assert lenders == {f"w{number:02d}" for number in range(1, NEIGHBOURS + 1)}
    assert stock.has("O") and not stock.has("Q") and stock.capitals_of("w00") == 3
    with pytest.raises(KeyError):
        stock.find("Q", "w00", generator)


def test_bold_small_letters_are_no_twins() -> None:
    stock = LetterStock({"w": [drawn("A"), drawn("E"), drawn("o", 14, stroke=2.0)]})
    assert stock.has("o") and not stock.has("O")


def test_writers_have_the_height_of_their_capitals() -> None:
    stock = LetterStock({"w": [drawn("A"), drawn("o")], "v": [drawn("o")]})
    assert stock.writers["w"].capital == pytest.approx(drawn("A").picture.shape[0] / 20) and stock.writers["v"].capital > 1


def test_cuts_that_look_like_another_letter_are_left_out() -> None:
    right = [(f"w{size}", drawn(letter, size, stroke)) for letter in "UIE" for size in (30, 36, 44) for stroke in (1.0, 1.2)]
    right.append(("w1", drawn("U", 36, 1.0, whole=False)))
    wrong = [("w2", drawn("I", 40, label="U")), ("w3", drawn("I", 35, label="U", whole=False)), ("w4", drawn("E", 41, label="U"))]
    signs = [("w5", drawn(",")), ("w5", drawn("-", label="\u0301"))]
    kept = sift(right + wrong + signs)
    found = {id(cut) for cuts in kept.values() for cut in cuts}
    assert not found & {id(cut) for _, cut in wrong} and {id(cut) for _, cut in signs} <= found
    assert sum(id(cut) in found for _, cut in right) >= 0.8 * len(right)


def test_letters_too_rare_to_compare_are_kept_if_nothing_was_cut_through() -> None:
    kept = sift([("w", drawn("Q")), ("w", drawn("K", whole=False))])
    assert [cut.letter for cut in kept["w"]] == ["Q"] and sift([]) == {}


def test_letters_whose_foot_went_with_a_ruled_line_are_left_out() -> None:
    cuts = [drawn("E", size) for size in (34, 36, 38, 40, 42)]
    worn = drawn("E", 40)
    foot = worn.picture.shape[0] // 4
    worn.picture[-foot:, worn.picture.shape[1] // 3 :] = 0
    kept = sift([("w", cut) for cut in [*cuts, worn]])["w"]
    assert [id(cut) for cut in kept] == [id(cut) for cut in cuts]
