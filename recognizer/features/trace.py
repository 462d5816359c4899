"""A pen trace: what a digitiser recorded between the first touch and the last lifting."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recognizer.errors import InputError


@dataclass(frozen=True)
class Trace:
    """Strokes in the order of writing, each float64 (N, 3) with N >= 1.

    The columns are x (to the right), y (downwards), both in units of the device, and the time in seconds, NaN where it is
    not known.
    """

    strokes: tuple[np.ndarray, ...]

    @cached_property
    def seconds(self) -> float | None:
        """Time from the first point to the last; None if one of them has none."""
        span = float(self.strokes[-1][-1, 2] - self.strokes[0][0, 2]) if self.strokes else 0.0
        return span if np.isfinite(span) else None

    @classmethod
    def of_array(cls, points: np.ndarray, name: str) -> Trace:
        """A trace of points float (N, 4): x, y, seconds (NaN: not known) and the number of the stroke.

        Raises:
            InputError: another shape, no point, or a coordinate that is not finite; ``name`` stands in the message.
        """
        if points.ndim != 2 or points.shape[1] != 4 or len(points) == 0 or points.dtype.kind != "f":
            raise InputError(f"{name}: expected pen points (N, 4) as float (x, y, seconds, stroke), found shape {points.shape} of {points.dtype}")
        if not np.isfinite(points[:, [0, 1, 3]]).all():
            raise InputError(f"{name}: holds coordinates that are not finite")
        breaks = np.flatnonzero(np.diff(points[:, 3])) + 1
        return cls(tuple(np.array(stroke[:, :3], dtype=np.float64) for stroke in np.split(points, breaks)))
