"""Prepared traces: equal distances, ends kept, delayed strokes as marks, speed, and nothing that depends on place or size."""

from __future__ import annotations

import numpy as np
import pytest

from recognizer.config import StrokeFeatures
from recognizer.errors import InputError
from recognizer.features.strokes import count_points, mark_delayed, measure_speed, prepare_strokes, resample
from recognizer.features.trace import Trace

BARE = StrokeFeatures(deskew=False, deslant=False, scale_width=False, hats=False)


def stroke(*points: tuple[float, ...]) -> np.ndarray:
    """x, y, and 0 for what is left out of hat and speed."""
    return np.array([(*point, 0, 0)[:4] for point in points], dtype=np.float64)


def trace(*strokes: list[tuple[float, float]], pace: float = 0.1) -> Trace:
    clock = iter(np.arange(70_000) * pace)
    return Trace(tuple(np.array([(x, y, next(clock)) for x, y in points], dtype=np.float64) for points in strokes))


def test_points_are_equally_far_apart_and_ends_are_kept() -> None:
    points = resample([stroke((0, 0), (0, 1), (1, 1)), stroke((2, 1), (2.31, 1)), stroke((2.4, 1))], spacing=0.25)
    steps = np.hypot(*np.diff(points[:, :2], axis=0).T)
    assert points.dtype == np.float32 and points[[0, -1], :2].tolist() == [[0, 0], [np.float32(2.4), 1]]
    np.testing.assert_allclose(steps, [0.25] * 8 + [0.25] * 4 + [0.31] + [0.09], atol=1e-6)
    assert points[:, 2].tolist() == [1] * 9 + [0] * 3 + [1] * 2 + [1]
    assert [0, 1] in points[:, :2].tolist()


def test_a_dot_between_gaps_keeps_its_ink() -> None:
    points = resample([stroke((0, 0)), stroke((1, 0)), stroke((2, 0))], spacing=0.2)
    assert points[:, 2].tolist() == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("seed", range(4))
def test_the_count_is_known_beforehand(seed: int) -> None:
    generator = np.random.default_rng(seed)
    strokes = [stroke(*generator.uniform(0, 3, (int(generator.integers(1, 6)), 2)).tolist()) for _ in range(5)]
    assert count_points(strokes, 0.2) == len(resample(strokes, 0.2))


def test_other_columns_are_interpolated_hats_never_halved() -> None:
    points = resample([np.array([[0, 0, 0, 2], [1, 0, 1, 4.0]])], spacing=0.25)
    assert points[:, 4].tolist() == [2, 2.5, 3, 3.5, 4] and points[:, 3].tolist() == [0, 0, 1, 1, 1]


def test_speed_is_way_by_time_across_lifted_pens() -> None:
    strokes = trace([(0, 0), (3, 4)], [(3, 5)], pace=0.5).strokes
    assert np.concatenate(measure_speed(strokes)).tolist() == [10, 6, 2]
    assert [len(part) for part in measure_speed(strokes)] == [2, 1]
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


@pytest.mark.parametrize(("later", "why"), [
    ([(0.6, 0.6), (0.6, 1.5)], "reaches down into the corpus"),
    ([(0.9, 1.5)], "stands beside what was written, as an apostrophe does"),
])
def test_other_strokes_stay(later, why) -> None:
    assert len(mark_delayed([stroke((0.5, 1), (0.5, 0)), stroke(*later), stroke((1.5, 1), (1.5, 0))])) == 3, why


def test_a_high_stroke_is_not_delayed_if_the_pen_goes_back_or_nothing_lies_lower() -> None:
    stem, bar = stroke((0.5, 1), (0.5, 0)), stroke((0.3, 1.1), (0.7, 1.1))
    assert len(mark_delayed([stem, bar, stroke((0.6, 1), (0.6, 0))])) == 3
    tick = stroke((0.2, 1.8), (0.2, 1.4))
    assert len(mark_delayed([tick, tick + np.array([0.2, 0, 0, 0]), stroke((1, 1), (1, 0))])) == 3  # opening quotation marks


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
    second = prepare_strokes(Trace(tuple(stroke * (4, 4, 1) + (512, -256, 32) for stroke in strokes)), StrokeFeatures())
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_other_hands_give_nearly_the_same_points(pen) -> None:
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
    with pytest.raises(InputError, match=r"^a\.xml: \d+ points .* one line of text\?$"):
        prepare_strokes(trace(wild), StrokeFeatures(), "a.xml")
    with pytest.raises(InputError, match="holds no strokes"):
        prepare_strokes(Trace(()), StrokeFeatures())
