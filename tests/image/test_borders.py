"""Borders of scans: frames are cut off, what might be writing or a shadow is left."""

from __future__ import annotations

import numpy as np
import pytest

from recognizer.config import LineFeatures
from recognizer.image.borders import trim_border
from recognizer.image.normalize import prepare_line

SIDES = [(30, 30, 30, 30), (12, 0, 0, 0), (0, 9, 0, 0), (0, 0, 25, 0), (0, 0, 0, 3), (3, 3, 3, 3), (2, 0, 40, 0)]  # top, bottom, left, right


def frame(gray: np.ndarray, sides: tuple[int, int, int, int], level: int) -> np.ndarray:
    top, bottom, left, right = sides
    return np.pad(gray, ((top, bottom), (left, right)), constant_values=level)


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("level", [0, 25])
def test_frames_are_cut_off(draw_text, sides: tuple[int, int, int, int], level: int) -> None:
    gray = draw_text()
    framed = frame(gray, sides, level)
    inside, left = trim_border(framed)
    assert np.array_equal(inside, gray) and left == sides[2]
    inside, left = trim_border(255 - framed)  # a light frame around a blackboard might be the margins of heavy type
    assert np.array_equal(inside, 255 - framed) and left == 0
    strip, transform = prepare_line(framed, LineFeatures())
    plain, expected = prepare_line(gray, LineFeatures())
    assert np.array_equal(strip, plain) and transform.scale == expected.scale and transform.offset == expected.offset + sides[2]


@pytest.mark.parametrize("sides", SIDES)
def test_frames_of_dark_noisy_scans_are_cut_off(draw_text, sides: tuple[int, int, int, int]) -> None:
    rng = np.random.default_rng(5)
    gray = draw_text(ink=25, paper=75)
    gray = np.clip(gray + rng.normal(0, 10, gray.shape), 0, 255)
    framed = frame(gray, sides, 15)
    framed = np.clip(framed + rng.normal(0, 3, framed.shape), 0, 255).astype(np.uint8)
    inside, left = trim_border(framed)
    assert np.abs(np.subtract(inside.shape, gray.shape)).max() <= 2 and abs(left - sides[2]) <= 1


@pytest.mark.parametrize("gray", [
    np.full((40, 300), 0, dtype=np.uint8), np.full((40, 300), 255, dtype=np.uint8), np.zeros((1, 1), dtype=np.uint8),
    np.random.default_rng(1).integers(0, 256, (40, 300), dtype=np.uint8), np.tile(np.linspace(20, 250, 300).astype(np.uint8), (40, 1)),
])
def test_pictures_without_a_frame_stay(gray: np.ndarray) -> None:
    for picture in (gray, 255 - gray):
        assert trim_border(picture)[0] is picture


def test_writing_is_no_frame(draw_text) -> None:
    gray = draw_text("quick")
    rows, columns = (np.flatnonzero((gray < 128).any(axis)) for axis in (1, 0))
    tight = gray[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    stem = np.pad(tight, ((0, 0), (4, 8)), constant_values=235)
    stem[:, :4] = 30  # an l that fills the height
    headline = np.pad(tight, ((5, 0), (0, 0)), constant_values=30)  # as over Devanagari
    heavy = np.full((80, 80), 190, dtype=np.uint8)  # two digits of a stamp, more ink than paper between them
    heavy[24:64, 16:32] = heavy[24:64, 44:60] = 90
    shade = np.where(np.arange(gray.shape[1]) < gray.shape[1] // 3, 0.4, 1.0)
    for picture in (tight, stem, headline, heavy, (gray * shade).astype(np.uint8)):
        assert trim_border(picture)[0] is picture


def test_two_heavy_letters_keep_their_margins() -> None:
    """Type that fills the middle of a picture is no dark paper in a light frame."""
    gray = np.full((20, 32), 255, np.uint8)
    gray[3:17, 7:15] = gray[3:17, 18:26] = 10
    inside, left = trim_border(gray)
    assert np.array_equal(inside, gray) and left == 0
