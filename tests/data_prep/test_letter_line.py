"""Composed lines: every letter is there, as high as the others, apart by the tracking; accents above, cedillas below; all from the seed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from recognizer.data_prep.letter_cuts import Cut
from recognizer.data_prep.letter_line import LetterLine, Style, can_compose
from recognizer.data_prep.letter_stock import LetterStock
from recognizer.data_prep.small_capitals import SmallCapitals

PLAIN = Style(
    capital=40.0, tracking=0.3, gap=1.0, uneven=0.0, wobble=0.0, sizes=0.0, figures=1.0, width=1.0, slope=0.0, dotted=False, rule=None,
    margins=(0.2, 0.2, 0.2, 0.2), paper=255.0, ink=0.0, grain=0.0,
)  # fmt: skip


def bar(letter: str, height: int, width: int = 12, rise: float = 0.0) -> Cut:
    return Cut(letter, np.full((height, width), 255, np.uint8), 20.0, rise, 4.0)


def stock() -> LetterStock:
    return LetterStock({"w": [bar("A", 30), bar("E", 50), bar("C", 20), bar("1", 33), bar("a", 20), bar(".", 4, 4)], "v": [bar("Q", 40, rise=-10)]})


def compose(text: str, style: Style = PLAIN, seed: int = 0) -> np.ndarray:
    return LetterLine(stock(), "w", style, np.random.default_rng(seed)).compose(text)


def boxes(grey: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Top, bottom, left and right of each piece of ink, from left to right."""
    found = ndimage.find_objects(ndimage.label(grey < 128)[0])
    return sorted(((rows.start, rows.stop, columns.start, columns.stop) for rows, columns in found), key=lambda box: box[2])


def test_capitals_have_one_height_and_stand_on_one_line() -> None:
    found = boxes(compose("AEC1"))
    assert len(found) == 4
    assert all(bottom - top == pytest.approx(40, abs=2) for top, bottom, _, _ in found)
    assert np.ptp([bottom for _, bottom, _, _ in found]) <= 2
    gaps = [after[2] - before[3] for before, after in pairwise(found)]
    assert gaps == pytest.approx([0.3 * 40] * 3, abs=2)


def test_small_capitals_are_lower_than_those_that_are_meant() -> None:
    line = LetterLine(stock(), "w", PLAIN, np.random.default_rng(0))
    found = boxes(line.compose("Aec1", SmallCapitals(0.6)))
    assert [bottom - top for top, bottom, _, _ in found] == pytest.approx([40, 24, 24, 40], abs=2)
    assert np.ptp([bottom for _, bottom, _, _ in found]) <= 2
    capital, kept, low = (bottom - top for top, bottom, _, _ in boxes(line.compose("Aae", SmallCapitals(0.9, frozenset("a")))))
    written = 20 / 31.5 * 40  # the small a beside the median of the writer's capitals
    assert (capital, kept, low) == pytest.approx((40, written, 36), abs=2)


def test_words_are_further_apart_than_letters() -> None:
    wide = replace(PLAIN, tracking=0.7, gap=0.6)
    found = boxes(compose("AE CA", wide))
    gaps = [after[2] - before[3] for before, after in pairwise(found)]
    assert gaps[1] > 1.7 * gaps[0]


def test_other_lines_keep_the_sizes_as_written() -> None:
    heights = [bottom - top for top, bottom, _, _ in boxes(compose("AEa."))]
    assert heights == pytest.approx([30 * 40 / 33.3 * k for k in (1, 5 / 3, 2 / 3, 0)], rel=0.5, abs=6)
    assert heights[1] > 1.5 * heights[0] > 2 * heights[2]


def test_a_tail_hangs_below_the_line() -> None:
    plain, tailed = boxes(compose("AQ"))
    assert tailed[1] - plain[1] == pytest.approx(40 / 30 * 10, abs=3) and tailed[0] == pytest.approx(plain[0], abs=3)


def test_missing_accents_are_drawn_above_and_cedillas_below() -> None:
    for text, above in (("É", True), ("Ê", True), ("À", True), ("Ç", False)):
        first, *found = boxes(compose("A" + text))
        tops, bottoms = min(box[0] for box in found), max(box[1] for box in found)
        assert (first[0] - tops > 5) is above and (bottoms - first[1] > 3) is not above
    assert len(boxes(compose("AË"))) == 4


def test_what_can_be_composed() -> None:
    letters = stock()
    assert can_compose("ÉÇ AQ 1.", letters) and not can_compose("B", letters) and not can_compose("Ŵ", letters)
    with pytest.raises(KeyError):
        compose("AB")


def test_nothing_leaves_the_paper_and_a_rule_crosses_it() -> None:
    for seed in range(6):
        style = Style.draw(np.random.default_rng(seed))
        grey = compose("AQÉ CÇ. 1A", replace(style, rule=None, grain=0.0), seed)
        ruled = compose("AQÉ CÇ. 1A", replace(style, rule=0.2, grain=0.0), seed)
        dark = grey < (style.paper + style.ink) / 2
        assert dark.any() and not dark[0].any()
        level = ruled.astype(int).min(axis=0)
        assert (level < style.paper - 10).mean() > 0.95 > (grey.astype(int).min(axis=0) < style.paper - 10).mean()


def test_same_seed_same_line() -> None:
    style = Style.draw(np.random.default_rng(3))
    assert compose("AÉQ C", style, 5).tobytes() == compose("AÉQ C", style, 5).tobytes() != compose("AÉQ C", style, 6).tobytes()
