"""Prepared traces: skew, slant, size and width found and taken out; equal distances, delayed strokes as marks, speed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recognizer.config import StrokeFeatures
from recognizer.errors import InputError
from recognizer.strokes.io import Trace
from recognizer.strokes.normalize import (
    find_extrema,
    find_zones,
    mark_delayed,
    measure_speed,
    normalize_shape,
    prepare_strokes,
    regression_slope,
    resample,
    slant_tangent,
    width_factor,
)

BARE = StrokeFeatures(deskew=False, deslant=False, scale_width=False, hats=False)
LINE = "xxlxpxxxlxxpxxlxxxxx"


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


def stroke(*points: tuple[float, ...]) -> np.ndarray:
    """x, y, and 0 for what is left out of hat and speed."""
    return np.array([(*point, 0, 0)[:4] for point in points], dtype=np.float64)


def trace(*strokes: list[tuple[float, float]], pace: float = 0.1) -> Trace:
    times = iter(np.arange(70_000) * pace)
    return Trace(tuple(np.array([(x, y, next(times)) for x, y in points], dtype=np.float64) for points in strokes))


def test_extrema_of_a_stroke_worked_by_hand() -> None:
    heights = [0.5, 0, 1, 0.95, 1.02, 0.1, 0.6]
    lows, highs = find_extrema([np.stack([np.arange(7), heights], axis=1)], turn=0.2)
    assert lows[:, 0].tolist() == [1, 5] and highs[:, 0].tolist() == [4]  # the ends, 0.5 and 0.6, are no extrema of a stroke that has others
    lows, highs = find_extrema([np.array([[0, 0.0], [1, 2.0]]), np.array([[0, 0.0], [9, 0.1]]), np.array([[3, 3.0]])], turn=0.2)
    assert lows.tolist() == [[0, 0]] and highs.tolist() == [[1, 2]]


def test_zones_leave_ascenders_and_descenders_out() -> None:
    assert find_zones(writing(LINE)) == pytest.approx((0, 0, 30), abs=0.3)
    slope, base, height = find_zones(writing(LINE, climb=0.03))
    assert slope == pytest.approx(0.03, abs=0.002) and base == pytest.approx(0, abs=1) and height == pytest.approx(30, abs=1)


@pytest.mark.parametrize(("points", "expected"), [
    ([[5, 7]], (0, 7, 1)), ([[0, 3], [200, 3]], (0, 3, 2)), ([[4, 1], [4, 9]], (0, 1, 8)),
])
def test_a_dot_a_dash_and_an_upright_are_their_own_corpus(points, expected) -> None:
    assert find_zones([np.array(points, dtype=float)]) == expected


@pytest.mark.parametrize("lean", [-0.4, 0.0, 0.2, 0.6])
def test_the_slant_is_found(lean: float) -> None:
    assert slant_tangent(writing("lplxlp", lean=lean)) == pytest.approx(lean, abs=0.04)
    assert slant_tangent([np.array([[0, 0], [50, 0.0]])]) == 0 and slant_tangent([np.array([[1, 1.0]])]) == 0


def test_the_slope_weighs_length_and_not_points() -> None:
    crowded = [np.stack([np.linspace(0, 1, 500), np.linspace(0, 0.1, 500)], axis=1), np.array([[1, 0.1], [100, 10.0]])]
    assert regression_slope([np.array([[0, 0], [100, 10.0]])]) == pytest.approx(0.1) and regression_slope(crowded) == pytest.approx(0.1)
    assert regression_slope([np.array([[0, 0], [1, 100.0]])]) == pytest.approx(math.tan(math.radians(20)))
    assert regression_slope([np.array([[3, 3.0]])]) == 0


def test_a_line_comes_out_level_upright_and_of_unit_size() -> None:
    config = StrokeFeatures(scale_width=False)
    plain = normalize_shape(writing(LINE), config)
    for style in {"height": 7.0}, {"climb": 0.12}, {"lean": 0.36}, {"height": 300.0, "lean": 0.36, "climb": -0.08}:
        moved = [part + np.array([500.0, -8000.0]) for part in writing(LINE, **style)]
        for before, after in zip(plain, normalize_shape(moved, config), strict=True):
            np.testing.assert_allclose(after, before, atol=0.35)  # 20 letters wide
    assert np.concatenate(plain)[:, 0].min() == 0
    assert np.median([part[:, 1].max() for part in plain]) == pytest.approx(1, abs=0.02)


def test_each_correction_can_be_left_out() -> None:
    leaning, climbing = writing(LINE, lean=0.4), writing(LINE, climb=0.1)
    assert slant_tangent(normalize_shape(leaning, StrokeFeatures(deslant=False))) == pytest.approx(0.4, abs=0.05)
    assert regression_slope(normalize_shape(climbing, StrokeFeatures(deskew=False, scale_width=False))) == pytest.approx(0.1, abs=0.02)


def test_the_width_follows_the_number_of_strokes() -> None:
    line = normalize_shape(writing("x" * 10), StrokeFeatures(scale_width=False))
    for narrow in (0.7, 0.9, 1.3):
        squeezed = [part * (narrow, 1) for part in line]
        width = np.ptp(np.concatenate(squeezed)[:, 0])
        assert width * width_factor(squeezed) == pytest.approx(20 * 0.6)  # an arch crosses the middle twice
    assert width_factor([part * (0.01, 1) for part in line]) == 2
    assert width_factor(line[:4]) == 1  # eight crossings tell nothing


def test_points_are_equally_far_apart_and_ends_are_kept() -> None:
    points = resample([stroke((0, 0), (0, 1), (1, 1)), stroke((2, 1), (2.31, 1)), stroke((2.4, 1))], spacing=0.25)
    steps = np.hypot(*np.diff(points[:, :2], axis=0).T)
    assert points.dtype == np.float32 and points[[0, -1], :2].tolist() == [[0, 0], [np.float32(2.4), 1]]
    np.testing.assert_allclose(steps, [0.25] * 8 + [0.25] * 4 + [0.31] + [0.09], atol=1e-6)
    assert points[:, 2].tolist() == [1] * 9 + [0] * 3 + [1] * 2 + [1] and [0, 1] in points[:, :2].tolist()
    dots = resample([stroke((0, 0)), stroke((1, 0)), stroke((2, 0))], spacing=0.2)
    assert dots[:, 2].tolist() == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]  # a dot between gaps keeps its ink


def test_other_columns_are_interpolated_hats_never_halved() -> None:
    points = resample([np.array([[0, 0, 0, 2], [1, 0, 1, 4.0]])], spacing=0.25)
    assert points[:, 4].tolist() == [2, 2.5, 3, 3.5, 4] and points[:, 3].tolist() == [0, 0, 1, 1, 1]


def test_speed_is_way_by_time_across_lifted_pens() -> None:
    strokes = trace([(0, 0), (3, 4)], [(3, 5)], pace=0.5).strokes
    assert [part.tolist() for part in measure_speed(strokes)] == [[10, 6], [2]]
    strokes[0][1, 2] = np.nan
    assert np.concatenate(measure_speed(strokes)).tolist() == [0, 6, 0]
    strokes[0][:, 2] = strokes[1][:, 2] = 3.0
    assert np.concatenate(measure_speed(strokes)).tolist() == [0, 0, 0]
    assert np.concatenate(measure_speed(trace([(0, 0), (3000, 0)]).strokes)).tolist() == [100, 100]


def test_the_dot_of_an_i_becomes_a_hat() -> None:
    stem, dot, onwards = stroke((0.5, 1), (0.5, 0)), stroke((0.6, 1.5)), stroke((1.2, 1), (1.2, 0))
    kept = mark_delayed([stem, dot, onwards])
    assert len(kept) == 2 and kept[0][:, 2].tolist() == [1, 1] and kept[1][:, 2].tolist() == [0, 0]
    assert len(mark_delayed([stem, dot])) == 1  # none follows
    assert stem[:, 2].tolist() == [0, 0]  # what came in is as it was


@pytest.mark.parametrize(("strokes", "why"), [
    ([stroke((0.5, 1), (0.5, 0)), stroke((0.6, 0.6), (0.6, 1.5)), stroke((1.5, 1), (1.5, 0))], "reaches down into the corpus"),
    ([stroke((0.5, 1), (0.5, 0)), stroke((0.9, 1.5)), stroke((1.5, 1), (1.5, 0))], "stands beside what was written, as an apostrophe does"),
    ([stroke((0.5, 1), (0.5, 0)), stroke((0.3, 1.1), (0.7, 1.1)), stroke((0.6, 1), (0.6, 0))], "the pen goes back"),
    ([stroke((0.2, 1.8), (0.2, 1.4)), stroke((0.4, 1.8), (0.4, 1.4)), stroke((1, 1), (1, 0))], "nothing lies lower: quotation marks"),
])
def test_other_strokes_stay(strokes, why) -> None:
    assert len(mark_delayed(strokes)) == 3, why


def test_prepared_points_of_a_trace_worked_by_hand() -> None:
    """A stem of height 40 (y downwards) in 0.2 s, lifted, a second one beside it."""
    points = prepare_strokes(trace([(100, 60), (100, 80), (100, 80), (100, 100)], [(120, 60), (120, 100)]), BARE)
    assert points.shape == (6 + 5 + 6, 5)  # the gap, from (0, 0) to (0.5, 1), is 1.118 long: six steps
    np.testing.assert_allclose(points[:6, 1], [1, 0.8, 0.6, 0.4, 0.2, 0], atol=1e-6)
    np.testing.assert_allclose(points[[0, -1], 0], [0, 0.5], atol=1e-6)
    assert points[:, 2].tolist() == [1] * 6 + [0] * 5 + [1] * 6
    assert points[0, 4] == pytest.approx(5) and not points[:, 3].any()


def test_hats_can_be_kept_as_strokes() -> None:
    written = trace([(0, 0), (0, 20)], [(0, -10)], [(10, 0), (10, 20)], [(20, 0), (20, 20)])
    assert prepare_strokes(written, StrokeFeatures())[:, 3].any()
    assert not prepare_strokes(written, StrokeFeatures(hats=False))[:, 3].any()


def test_place_and_size_do_not_matter(pen) -> None:
    strokes = pen("abcdabcd", np.random.default_rng(1))
    first = prepare_strokes(Trace(tuple(strokes)), StrokeFeatures())
    second = prepare_strokes(Trace(tuple(part * (4, 4, 1) + (512, -256, 32) for part in strokes)), StrokeFeatures())
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_other_writers_give_nearly_the_same_points(pen) -> None:
    """The same letters, written at another size, slant and slope (the letters' own jitter stays)."""
    letters = [pen("dbacbdabbacd", np.random.default_rng(seed)) for seed in (1, 2)]
    first, second = (prepare_strokes(Trace(tuple(strokes)), StrokeFeatures()) for strokes in letters)
    assert abs(len(first) - len(second)) < 0.1 * len(first)
    assert abs(np.median(first[:, 1]) - np.median(second[:, 1])) < 0.1 and abs(first[:, 1].max() - second[:, 1].max()) < 0.2


@pytest.mark.parametrize("points", [[(5, 5)], [(5, 5), (5, 5)], [(0, 0), (1, 0)], [(0, 0), (0, 1e-9)]])
def test_the_smallest_traces_are_traces(points) -> None:
    prepared = prepare_strokes(trace(points), StrokeFeatures())
    assert len(prepared) >= 1 and np.isfinite(prepared).all() and prepared[0, 2] == 1


def test_what_is_no_line_is_refused() -> None:
    wild = np.random.default_rng(0).uniform(0, 1, (60_000, 2)).tolist()
    with pytest.raises(InputError, match=r"^a\.xml: \d+ points .* one line of text\?$") as caught:
        prepare_strokes(trace(wild), BARE, "a.xml")
    steps = prepare_strokes(trace(wild[:3000]), BARE)  # the number in the message is that of the points there would be
    assert int(str(caught.value).split()[1]) == pytest.approx(20 * len(steps), rel=0.1)
    with pytest.raises(InputError, match="holds no strokes"):
        prepare_strokes(Trace(()), StrokeFeatures())
