"""The slope of a line by its baseline."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from recognizer.pages.level import baseline_angle

BOX = [(0.0, 0.0), (400.0, 40.0)]


@pytest.mark.parametrize(("baseline", "angle"), [
    ([(0, 0), (400, 28)], 4.004),
    ([(400, 28), (0, 0)], 4.004),  # right to left
    ([(0, 28), (400, 0)], -4.004),
    ([(0, 0), (200, 14), (400, 28)], 4.004),
    ([(0, 20), (390, 20), (400, 40)], 0.0),  # a hook at its end is no slope
    ([(0, 0), (400, 6)], 0.0),  # below a degree
    ([(0, 0), (60, 1)], 0.0),  # a pixel
    ([(0, 0), (20, 8)], 0.0),  # too short beside the height of the line
    ([(0, 30)], 0.0), ([(5, 5), (5, 5)], 0.0), ([], 0.0),
])  # fmt: skip
def test_angle_of_a_baseline(baseline, angle) -> None:
    assert baseline_angle(baseline, BOX) == pytest.approx(angle, abs=1e-3)


def test_angle_is_that_of_the_whole_polyline() -> None:
    """A least-squares line through many points of the polyline, however its corners are spread."""
    corners = [(0.0, 0.0), (10.0, 9.0), (25.0, 5.0), (200.0, 30.0), (390.0, 20.0)]
    points = np.concatenate([
        np.linspace(a, b, round(100 * math.dist(a, b)), endpoint=False) for a, b in pairwise(corners)
    ])
    slope = np.polyfit(points[:, 0], points[:, 1], 1)[0]
    assert baseline_angle(corners, BOX) == pytest.approx(math.degrees(math.atan(slope)), abs=0.01)


def test_vertical_baselines_are_refused_unless_short() -> None:
    with pytest.raises(ValueError, match="vertical lines are left out"):
        baseline_angle([(20, 0), (25, 300)], [(0, 0), (40, 300)])
    assert baseline_angle([(20, 0), (21, 6)], BOX) == 0.0
