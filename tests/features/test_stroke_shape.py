"""Skew, slant, size and width of pen strokes: found where they were put, and taken out again."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recognizer.config import StrokeFeatures
from recognizer.features.stroke_shape import find_extrema, find_zones, normalise_shape, regression_slope, slant_tangent, width_factor


def writing(letters: str, height: float = 30.0, lean: float = 0.0, climb: float = 0.0) -> list[np.ndarray]:
    """Strokes (N, 2), y upwards: x is an upright arch, l and p have an ascender and a descender."""
    strokes = []
    steps = np.linspace(0, 1, 20)
    for place, letter in enumerate(letters):
        x, y = {
            "x": (0.5 - 0.3 * np.cos(np.pi * steps), np.minimum(1, 6 * np.minimum(steps, 1 - steps))),
            "l": (0.5 + 0 * steps, 2 - 2 * steps),
            "p": (0.5 + 0 * steps, 1 - 2 * steps),
        }[letter]
        x = height * (place + x + lean * y)
        strokes.append(np.stack([x, height * y + climb * x], axis=1))
    return strokes


LINE = "xxlxpxxxlxxpxxlxxxxx"


def test_extrema_of_a_stroke_worked_by_hand() -> None:
    heights = [0.5, 0, 1, 0.95, 1.02, 0.1, 0.6]
    lows, highs = find_extrema([np.stack([np.arange(7), heights], axis=1)], turn=0.2)
    assert lows[:, 0].tolist() == [1, 5] and highs[:, 0].tolist() == [4]  # the ends, 0.5 and 0.6, are no extrema of a stroke that has others
    lows, highs = find_extrema([np.array([[0, 0.0], [1, 2.0]]), np.array([[0, 0.0], [9, 0.1]]), np.array([[3, 3.0]])], turn=0.2)
    assert lows.tolist() == [[0, 0]] and highs.tolist() == [[1, 2]]


def test_zones_leave_ascenders_and_descenders_out() -> None:
    slope, base, height = find_zones(writing(LINE, climb=0.0))
    assert (slope, base, height) == pytest.approx((0, 0, 30), abs=0.3)
    slope, base, height = find_zones(writing(LINE, climb=0.03))
    assert slope == pytest.approx(0.03, abs=0.002) and base == pytest.approx(0, abs=1) and height == pytest.approx(30, abs=1)


@pytest.mark.parametrize(("stroke", "expected"), [
    ([[5, 7]], (0, 7, 1)), ([[0, 3], [200, 3]], (0, 3, 2)), ([[4, 1], [4, 9]], (0, 1, 8)),
])
def test_a_dot_a_dash_and_an_upright_are_their_own_corpus(stroke, expected) -> None:
    assert find_zones([np.array(stroke, dtype=float)]) == expected


@pytest.mark.parametrize("lean", [-0.4, 0.0, 0.2, 0.6])
def test_the_slant_is_found(lean: float) -> None:
    assert slant_tangent(writing("lplxlp", lean=lean)) == pytest.approx(lean, abs=0.04)


def test_the_slant_of_a_dash_or_a_dot_is_none() -> None:
    assert slant_tangent([np.array([[0, 0], [50, 0.0]])]) == 0 and slant_tangent([np.array([[1, 1.0]])]) == 0


def test_the_slope_weighs_length_and_not_points() -> None:
    line = [np.array([[0, 0], [100, 10.0]])]
    crowded = [np.stack([np.linspace(0, 1, 500), np.linspace(0, 0.1, 500)], axis=1), np.array([[1, 0.1], [100, 10.0]])]
    assert regression_slope(line) == pytest.approx(0.1) and regression_slope(crowded) == pytest.approx(0.1)
    assert regression_slope([np.array([[0, 0], [1, 100.0]])]) == pytest.approx(math.tan(math.radians(20)))
    assert regression_slope([np.array([[3, 3.0]])]) == 0


def test_a_line_comes_out_level_upright_and_of_unit_size() -> None:
    config = StrokeFeatures(scale_width=False)
    plain = normalise_shape(writing(LINE), config)
    hands = {"height": 7.0}, {"climb": 0.12}, {"lean": 0.36}, {"height": 300.0, "lean": 0.36, "climb": -0.08}
    for hand in hands:
        moved = [stroke + np.array([500.0, -8000.0]) for stroke in writing(LINE, **hand)]
        for before, after in zip(plain, normalise_shape(moved, config), strict=True):
            np.testing.assert_allclose(after, before, atol=0.35)  # 20 letters wide
    points = np.concatenate(plain)
    assert points[:, 0].min() == 0 and np.median(np.concatenate([s[:, 1].max(keepdims=True) for s in plain])) == pytest.approx(1, abs=0.02)


def test_scale_and_place_do_not_matter_at_all() -> None:
    first = normalise_shape(writing(LINE, lean=0.2, climb=0.05), StrokeFeatures())
    second = normalise_shape([4 * stroke + (64, 32) for stroke in writing(LINE, lean=0.2, climb=0.05)], StrokeFeatures())
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_each_correction_can_be_left_out() -> None:
    leaning, climbing = writing(LINE, lean=0.4), writing(LINE, climb=0.1)
    assert slant_tangent(normalise_shape(leaning, StrokeFeatures(deslant=False))) == pytest.approx(0.4, abs=0.05)
    assert regression_slope(normalise_shape(climbing, StrokeFeatures(deskew=False, scale_width=False))) == pytest.approx(0.1, abs=0.02)


def test_the_width_follows_the_number_of_strokes() -> None:
    line = normalise_shape(writing("x" * 10), StrokeFeatures(scale_width=False))
    for narrow in (0.7, 0.9, 1.3):
        squeezed = [stroke * (narrow, 1) for stroke in line]
        width = np.ptp(np.concatenate(squeezed)[:, 0])
        assert width * width_factor(squeezed) == pytest.approx(20 * 0.6)  # an arch crosses the middle twice
    assert width_factor([stroke * (0.01, 1) for stroke in line]) == 2
    assert width_factor(line[:4]) == 1  # eight crossings tell nothing


def test_further_columns_are_carried_along() -> None:
    strokes = [np.column_stack((stroke, np.arange(20), np.full(20, 7))) for stroke in writing("xlx")]
    for stroke in normalise_shape(strokes, StrokeFeatures()):
        assert stroke[:, 2].tolist() == list(range(20)) and set(stroke[:, 3]) == {7}
