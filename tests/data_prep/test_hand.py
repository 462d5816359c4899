"""Hands: what is written stays on the paper, looks like its hand, and differs from line to line."""

from __future__ import annotations

import random

import numpy as np
import pytest

from recognizer.data_prep.hand import MISSING, Hand, Style


def ink(hand: Hand, text: str) -> np.ndarray:
    """Share of ink (H, W) of a drawn text, seen against the paper."""
    grey = np.asarray(hand.draw(text), np.float32)
    return np.clip((hand.paper - grey) / (hand.paper - hand.ink), 0, 1)


@pytest.mark.parametrize("seed", range(8))
def test_handwritten_lines_hold_all_of_the_writing(seed: int) -> None:
    hand = Hand(random.Random(seed), None, "handwritten")
    short, long = ink(hand, "in"), ink(hand, "in which a longer line of writing")
    assert (short > 0.5).any() and (long > 0.5).any()
    assert long.shape[1] > 4 * short.shape[1] * 0.8
    assert (long[:, :2] > 0.6).mean() < 0.2 and (long[:, -2:] > 0.6).mean() < 0.2  # nothing cut off at the ends


def test_lines_of_one_hand_differ_and_hands_differ_more() -> None:
    hand = Hand(random.Random(0), None, "handwritten")
    assert hand.draw("same words here").tobytes() != hand.draw("same words here").tobytes()
    slants = {round(Hand(random.Random(seed), None, "handwritten").slant, 3) for seed in range(20)}
    assert len(slants) > 15 and min(slants) < -0.05 and max(slants) > 0.05


def test_same_chance_same_lines() -> None:
    first, second = (Hand(random.Random(3), None, "handwritten").draw("again and again") for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_letters_that_a_font_lacks_are_known() -> None:
    hand = Hand(random.Random(0), None)
    assert hand.covers("abc XYZ 123") and not hand.covers("abc " + MISSING) and not hand.covers("\u4e2d")


@pytest.mark.parametrize("style", ["printed", "handwritten"])
def test_small_capitals_are_lower_than_capitals(style: Style) -> None:
    def height(hand: Hand, text: str) -> int:
        rows, _ = np.nonzero(ink(hand, text) > 0.5)
        return int(np.ptp(rows)) + 1

    hand = Hand(random.Random(5), None, style)
    hand.slant, usual = 0.0, height(hand, "HHH")
    hand.write_small_capitals(random.Random(1))
    assert hand.small is not None and hand.spacing > 0
    low = next(letter for letter in "hkl" if letter not in hand.small.kept)
    assert height(hand, low * 3) == pytest.approx(hand.small.height * height(hand, low.upper() * 3), abs=3)
    assert height(hand, "HHH") == pytest.approx(usual, abs=2)


def test_people_who_write_capitals_set_letters_apart_low_and_wide() -> None:
    spaced, shapes = [], []
    for seed in range(12):
        plain, capital = (Hand(random.Random(seed), None, "handwritten") for _ in range(2))
        capital.write_capitals(random.Random(seed))
        assert capital.chance.getstate() == plain.chance.getstate() and capital.slant == plain.slant and capital.pen == plain.pen
        if capital.spacing != plain.spacing:
            assert 0 < capital.spacing <= 0.6 * capital.font.size
            assert capital.gap * capital.font.getlength(" ") > capital.spacing  # words stay further apart than letters
            spaced.append(capital.spacing / capital.font.size)
            rows, columns = np.nonzero(ink(capital, "MOMENT") > 0.4)
            shapes.append(float(np.ptp(columns) / np.ptp(rows)))
        else:
            assert vars(capital).keys() == vars(plain).keys() and capital.width == plain.width
    assert len(spaced) >= 6 and max(spaced) > 0.4 and max(shapes) > 1.5 * min(shapes)


def test_printed_hands_are_not_changed_by_writing_capitals() -> None:
    plain, capital = (Hand(random.Random(4), None) for _ in range(2))
    capital.write_capitals(random.Random(4))
    assert capital.draw("ABC").tobytes() == plain.draw("ABC").tobytes()
