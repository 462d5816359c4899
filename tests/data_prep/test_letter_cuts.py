"""Cut letters: each has its own ink and no other's, at its place on the line; what cannot be parted is left out."""

from __future__ import annotations

import numpy as np
import pytest

from recognizer.data_prep.letter_cuts import Cut, cut_letters, erase_rules, measure_stroke
from recognizer.decoding.timing import Token

BASE = 60  # row of the base line
LOW, TALL = 20, 36  # heights of small letters and capitals


def box(line: np.ndarray, left: int, width: int, height: int, base: int = BASE) -> None:
    """Draw a frame of strokes 3 pixels wide."""
    line[base - height : base, left : left + width] = 255
    line[base - height + 3 : base - 3, left + 3 : left + width - 3] = 0


def write(text: str, gap: int = 6) -> tuple[np.ndarray, list[Token]]:
    """A line of boxes, (80, W), and tokens as a network gives them: short, within the letters."""
    line, tokens, left = np.zeros((80, 30 * len(text) + 20), np.uint8), [], 10
    for letter in text:
        width = 12 if letter == " " else 20
        if letter != " ":
            box(line, left, width, TALL if letter.isupper() else LOW)
        tokens.append(Token(letter, left + width / 2 - 2, left + width / 2 + 2, 0.9))
        left += width + gap
    return line, tokens


def cut(line: np.ndarray, tokens: list[Token], wanted: str) -> list[Cut]:
    return cut_letters(line, tokens, set(wanted))


def test_letters_that_stand_by_themselves_are_cut_whole() -> None:
    line, tokens = write("Aon Enao")
    cuts = cut(line, tokens, "AE")
    assert [found.letter for found in cuts] == ["A", "E"] and all(found.whole for found in cuts)
    for found in cuts:
        rows, columns = np.nonzero(found.picture)
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (TALL, 20)
        assert found.body == pytest.approx(LOW) and found.rise == pytest.approx(0) and found.stroke == pytest.approx(3, abs=1)


def test_letters_over_and_below_the_line_keep_their_place() -> None:
    line, tokens = write("anona")
    line[:, 62:84] = 0  # where the o stood
    box(line, 62, 20, LOW, BASE + 8)
    (found,) = cut(line, tokens, "o")
    assert found.rise == pytest.approx(-8, abs=1)


def test_ink_that_leans_over_the_neighbour_stays_with_its_letter() -> None:
    line, tokens = write("aAon")
    line[BASE - TALL : BASE - TALL + 3, 36:60] = 255  # the bar of the A over the o, which it does not touch
    (found,) = cut(line, tokens, "A")
    assert found.picture.max() == 255 and np.ptp(np.nonzero(found.picture)[1]) + 1 == 24


def test_a_single_stroke_is_cut_through_and_more_is_not() -> None:
    line, tokens = write("aAona")
    line[BASE - 3 : BASE, 50:64] = 255  # from A to o
    (found,) = cut(line, tokens, "A")
    assert not found.whole and np.ptp(np.nonzero(found.picture)[1]) + 1 < 28
    line[BASE - 20 : BASE - 6, 50:64] = 255
    assert cut(line, tokens, "A") == []


def test_doubtful_letters_are_left_out() -> None:
    line, tokens = write("aAona")
    unsure = [Token(t.symbol, t.start, t.end, 0.3 if t.symbol == "A" else 0.9) for t in tokens]
    assert cut(line, unsure, "A") == []
    tall = line.copy()
    tall[: BASE - TALL + 1, 36:56] = 255  # runs out of the picture
    assert cut(tall, tokens, "A") == []
    assert cut(np.zeros_like(line), tokens, "A") == [] and cut(line, [], "A") == []


def test_specks_and_full_stops_do_not_go_with_a_capital() -> None:
    line, tokens = write("aAona")
    line[BASE - 5 : BASE, 57:60] = 255
    (found,) = cut(line, tokens, "A")
    assert np.ptp(np.nonzero(found.picture)[1]) + 1 == 20


def test_accents_are_cut_from_above_their_letter() -> None:
    line, tokens = write("anéna")
    line[BASE - LOW - 9 : BASE - LOW - 4, 68:74] = 255
    (found,) = cut(line, tokens, "\u0301")
    assert found.letter == "\u0301" and found.rise == 4
    rows, columns = np.nonzero(found.picture)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (5, 6)
    line[BASE - LOW - 4 : BASE - LOW, 70:72] = 255  # now it touches
    assert cut(line, tokens, "\u0301") == []


def test_ruled_lines_go_and_strokes_that_cross_them_stay() -> None:
    line, _ = write("anoAE" * 3, gap=14)
    ruled = line.copy()
    ruled[70:72] = 200
    ruled[48:49, :] = np.maximum(ruled[48:49, :], 180)  # through all letters
    clean = erase_rules(ruled)
    assert clean[70:72].max() == 0
    assert np.count_nonzero((clean > 100) != (line > 100)) < 0.03 * np.count_nonzero(line)
    assert np.array_equal(erase_rules(line), line)


def test_width_of_strokes() -> None:
    for width in (2, 4, 8):
        dark = np.zeros((60, 100), bool)
        dark[20 : 20 + width, 5:95] = True
        assert measure_stroke(dark) == pytest.approx(width, abs=1.1)
