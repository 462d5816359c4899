"""Traces from arrays of points, and their duration."""

from __future__ import annotations

import numpy as np
import pytest

from recognizer.errors import InputError
from recognizer.features.trace import Trace


def test_points_are_parted_by_the_number_of_their_stroke() -> None:
    points = np.array([[1, 2, 0.5, 0], [3, 4, 0.6, 0], [5, 6, 1, 7], [7, 8, 2, 0]], dtype=np.float32)
    trace = Trace.of_array(points, "a")
    assert [stroke[:, 0].tolist() for stroke in trace.strokes] == [[1, 3], [5], [7]]
    assert trace.seconds == pytest.approx(1.5) and trace.strokes[0].dtype == np.float64


def test_times_may_be_unknown() -> None:
    points = np.array([[1, 2, np.nan, 0], [3, 4, np.nan, 0]])
    assert Trace.of_array(points, "a").seconds is None


@pytest.mark.parametrize("points", [np.zeros((0, 4)), np.zeros((3, 3)), np.zeros(4), np.zeros((2, 4), dtype=int), np.full((2, 4), np.inf)])
def test_other_arrays_are_refused(points) -> None:
    with pytest.raises(InputError, match=r"^array 3: "):
        Trace.of_array(points, "array 3")
