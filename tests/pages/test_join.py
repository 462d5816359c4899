"""Boxes joined to lines, columns kept apart, and the order in which lines are read."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recognizer.pages.join import find_lines, page_angle
from recognizer.pages.order import order_lines


def box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def extents(lines) -> list[tuple[float, float, float, float]]:
    """Bounds of the outlines of lines, in their order."""
    return [(min(x for x, _ in line.outline), min(y for _, y in line.outline), max(x for x, _ in line.outline), max(y for _, y in line.outline))
            for line in lines]


def turned(boxes: np.ndarray, degrees: float) -> np.ndarray:
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return boxes @ np.array([[cosine, sine], [-sine, cosine]])


def test_no_boxes_are_no_lines() -> None:
    assert find_lines(np.empty((0, 4, 2))) == []


def test_words_of_a_row_are_one_line() -> None:
    boxes = np.array([box(400, 98, 700, 142), box(100, 100, 380, 140), box(100, 160, 650, 200), box(690, 170, 800, 205)], dtype=float)
    lines = find_lines(boxes)
    assert extents(lines) == [(100, 98, 700, 142), (100, 160, 800, 205)]
    assert [line.id for line in lines] == ["line_1", "line_2"] and {line.region for line in lines} == {"region_1"}
    first = lines[0]
    assert first.outline == ((100, 100), (380, 100), (400, 98), (700, 98), (700, 142), (400, 142), (380, 140), (100, 140))
    assert [round(y, 1) for _, y in first.baseline] == [126.8, 126.8, 127.5, 127.5]


@pytest.mark.parametrize("degrees", [0.0, -6.0, 4.0])
def test_columns_are_kept_apart_and_read_one_after_the_other(degrees) -> None:
    """Gaps between columns lie below each other; a heading above both is read first, on sloping pages as well."""
    rows = range(200, 600, 60)
    left, right = [box(100, y, 600, y + 40) for y in rows], [box(680, y + 3, 1200, y + 43) for y in rows]
    boxes = np.array([box(100, 100, 1200, 150), *left, *right], dtype=float)
    lines = find_lines(turned(np.random.default_rng(1).permutation(boxes), degrees))
    middles = [np.mean(turned(np.array(line.outline), -degrees), axis=0).tolist() for line in lines]
    expected = [(650, 125), *((350, y + 20) for y in rows), *((940, y + 23) for y in rows)]
    assert len(lines) == 15 and np.allclose(middles, expected)
    assert [line.region for line in lines] == ["region_1"] + ["region_2"] * 7 + ["region_3"] * 7


def test_a_wide_gap_of_one_row_is_within_a_line() -> None:
    boxes = np.array([box(100, 100, 900, 140), box(100, 160, 400, 200), box(530, 160, 900, 200), box(100, 220, 880, 260)], dtype=float)
    assert extents(find_lines(boxes)) == [(100, 100, 900, 140), (100, 160, 900, 200), (100, 220, 880, 260)]


def test_what_is_far_away_or_of_another_height_is_another_line() -> None:
    boxes = np.array([box(100, 100, 300, 140), box(700, 100, 900, 140), box(310, 60, 400, 180)], dtype=float)
    assert len(find_lines(boxes)) == 3


def test_rows_above_each_other_are_not_joined() -> None:
    boxes = np.array([box(100, 100, 500, 150), box(505, 130, 900, 180)], dtype=float)
    assert len(find_lines(boxes)) == 2  # they share 20 of 50 rows


def test_a_box_within_another_is_no_line() -> None:
    boxes = np.array([box(100, 100, 900, 150), box(300, 95, 400, 130)], dtype=float)
    assert extents(find_lines(boxes)) == [(100, 100, 900, 150)]


def test_a_heading_on_the_right_is_read_before_a_short_line_below() -> None:
    boxes = np.array([box(700, 100, 900, 140), box(100, 160, 300, 200), *(box(100, y, 900, y + 40) for y in (240, 300, 360))], dtype=float)
    assert [left for left, *_ in extents(find_lines(boxes))] == [700, 100, 100, 100, 100]


def test_columns_between_lines_that_span_them() -> None:
    full = [(0, 0, 100, 8), (0, 60, 100, 68)]
    upper = [(x, y, x + 45, y + 8) for x in (0, 55) for y in (20, 30, 40)]
    lower = [(x, y, x + 45, y + 8) for x in (0, 55) for y in (80, 90)]
    boxes = np.array([full[1], *lower, *upper, full[0]], dtype=float)
    order = [number for block in order_lines(boxes) for number in block]
    assert boxes[order].tolist() == [list(map(float, each)) for each in (full[0], *upper, full[1], *lower)]


def test_pieces_of_one_row_are_read_from_left_to_right() -> None:
    boxes = np.array([(50, 2, 90, 10), (0, 0, 40, 9), (0, 20, 90, 29)], dtype=float)
    assert order_lines(boxes) == [[1, 0, 2]]


def test_the_angle_is_that_of_the_long_boxes() -> None:
    long = turned(np.array([box(0, y, 900, y + 30) for y in (0, 50)], dtype=float), 5)
    assert math.degrees(page_angle(np.concatenate([long, np.array([box(0, 0, 30, 30)] * 5, dtype=float)]))) == pytest.approx(5)
