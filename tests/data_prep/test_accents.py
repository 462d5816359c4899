"""Drawn accents: all ink within the picture, of the size asked for, no two alike; dots where they are wanted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from recognizer.data_prep.accents import SHAPES, draw_accent


@pytest.mark.parametrize("mark", sorted(SHAPES))
def test_accents_fill_about_their_square(mark: str) -> None:
    pictures = [draw_accent(mark, 20, 3, False, np.random.default_rng(seed)) for seed in range(5)]
    for picture in pictures:
        assert picture.dtype == np.uint8 and picture.max() > 200
        assert picture[0].any() and picture[-1].any() and picture[:, 0].any() and picture[:, -1].any()
        assert 10 <= max(picture.shape) <= 32
    assert len({picture.tobytes() for picture in pictures}) == 5
    assert draw_accent(mark, 20, 3, False, np.random.default_rng(0)).tobytes() == pictures[0].tobytes()


def test_acute_and_grave_lean_to_their_sides() -> None:
    for mark, sign in (("\u0301", -1), ("\u0300", 1)):
        rows, columns = np.nonzero(draw_accent(mark, 30, 3, False, np.random.default_rng(1)) > 128)
        assert sign * np.corrcoef(rows, columns)[0, 1] > 0.7


def test_a_diaeresis_has_two_dots_and_a_dotted_accent_one() -> None:
    assert ndimage.label(draw_accent("\u0308", 20, 3, False, np.random.default_rng(2)) > 60)[1] == 2
    dot = draw_accent("\u0301", 20, 3, True, np.random.default_rng(2))
    assert max(dot.shape) < 14 and ndimage.label(dot > 60)[1] == 1
    assert max(draw_accent("\u0302", 20, 3, True, np.random.default_rng(2)).shape) > 14  # a circumflex stays one
