"""Ends cut off by level: what is loud stays, and nothing outside of it."""

from __future__ import annotations

import numpy as np
import pytest

from recognizer.data_prep.sound_ends import SHORTEST, cut_ends

RATE = 8000


def steps(*levels_db: float) -> np.ndarray:
    """Pieces of a tenth of a second of a square wave at these levels."""
    wave = np.where(np.arange(RATE // 10) % 8 < 4, 1.0, -1.0)
    return np.concatenate([wave * 10 ** (level / 20) for level in levels_db]).astype(np.float32)


@pytest.mark.parametrize(("depth", "kept"), [(30, slice(0, 5)), (20, slice(1, 5)), (10, slice(2, 4)), (2, slice(2, 3))])
def test_ends_that_are_quieter_than_the_depth_go(depth: float, kept: slice) -> None:
    levels = (-25.0, -12.0, 0.0, -5.0, -18.0)
    tenth = RATE // 10
    assert np.array_equal(cut_ends(steps(*levels), RATE, depth), steps(*levels)[kept.start * tenth : kept.stop * tenth])


def test_what_is_quiet_inside_stays() -> None:
    sound = steps(0.0, -60.0, -3.0)
    assert np.array_equal(cut_ends(steps(-60.0, 0.0, -60.0, -3.0, -60.0), RATE, 10), sound)


def test_loudness_does_not_matter_and_silence_and_short_sounds_stay() -> None:
    sound = steps(-25.0, 0.0, -25.0)
    assert len(cut_ends(sound * np.float32(1e-4), RATE, 10)) == len(cut_ends(sound, RATE, 10)) == RATE // 10
    for whole in (np.zeros(4000, np.float32), np.zeros(0, np.float32), steps(0.0)[:400]):
        assert np.array_equal(cut_ends(whole, RATE, 10), whole)


@pytest.mark.parametrize("place", [0, 1900, 3840])
def test_a_click_keeps_what_is_about_it(place: int) -> None:
    sound = np.zeros(4000, np.float32)
    sound[place] = 1.0
    cut = cut_ends(sound, RATE, 10)
    assert cut.max() == 1.0 and len(cut) == pytest.approx(SHORTEST * RATE, abs=80)
