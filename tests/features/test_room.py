from __future__ import annotations

import numpy as np
import pytest

from recognizer.features.room import EARLY, add_reverb, room_response

RATE = 16_000


def click(size: int = RATE, place: int = 5000) -> np.ndarray:
    wave = np.zeros(size, dtype=np.float32)
    wave[place] = 0.5
    return wave


@pytest.mark.parametrize("seconds", [0.2, 0.5, 1.5])
@pytest.mark.parametrize("rate", [8000, 16_000])
def test_the_energy_falls_by_sixty_decibels_in_the_time_asked_for(seconds: float, rate: int) -> None:
    """By the slope of the energy that is still to come (Schroeder 1965), between 5 and 25 dB below its start."""
    response = room_response(rate, seconds, -20.0, np.random.default_rng(3))
    assert len(response) == round(seconds * rate) and response.dtype == np.float32
    tail = response[round(EARLY * rate) :].astype(float)
    level = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1] / np.sum(tail**2))
    inside = np.flatnonzero((level < -5) & (level > -25))
    slope = np.polyfit(inside / rate, level[inside], 1)[0]  # decibels a second
    assert -60 / slope == pytest.approx(seconds, rel=0.1)


@pytest.mark.parametrize("direct_db", [-5.0, 0.0, 15.0])
def test_the_direct_sound_comes_first_at_the_ratio_asked_for(direct_db: float) -> None:
    response = room_response(RATE, 0.4, direct_db, np.random.default_rng(1)).astype(float)
    assert response[0] == 1.0
    assert -10 * np.log10(np.sum(response[1:] ** 2)) == pytest.approx(direct_db, abs=0.01)


def test_early_reflections_stand_out() -> None:
    response = np.abs(room_response(RATE, 1.0, 0.0, np.random.default_rng(2)))
    early, later = response[1 : round(EARLY * RATE)], response[round(EARLY * RATE) : round(2 * EARLY * RATE)]
    assert early.max() > 1.5 * later.max()
    assert np.median(early) < np.median(later)  # few, where the tail is dense


def test_nothing_moves_and_the_energy_stays() -> None:
    wave = click()
    heard = add_reverb(wave, RATE, 0.5, 3.0, np.random.default_rng(0))
    assert len(heard) == len(wave) and heard.dtype == np.float32
    assert np.abs(heard).argmax() == 5000 and np.abs(heard[:5000]).max() < 1e-6
    assert np.sum(heard.astype(float) ** 2) == pytest.approx(0.25, rel=1e-4)
    assert np.abs(heard[5000 + RATE // 4 : 5000 + RATE // 2]).max() > 1e-4  # it echoes


def test_the_same_chance_the_same_room() -> None:
    first, again, other = (add_reverb(click(), RATE, 0.3, 3.0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_a_convolution_and_nothing_else() -> None:
    wave = np.random.default_rng(4).standard_normal(700).astype(np.float32)
    response = room_response(RATE, 0.05, 2.0, np.random.default_rng(9)).astype(float)
    expected = np.convolve(wave.astype(float), response)[:700]
    expected *= np.sqrt(np.sum(wave.astype(float) ** 2) / np.sum(expected**2))
    np.testing.assert_allclose(add_reverb(wave, RATE, 0.05, 2.0, np.random.default_rng(9)), expected, atol=1e-4)


@pytest.mark.parametrize("size", [0, 1, 2, 100])
def test_short_and_silent_recordings_survive(size: int) -> None:
    silent = np.zeros(size, dtype=np.float32)
    assert np.array_equal(add_reverb(silent, RATE, 0.5, 0.0, np.random.default_rng(0)), silent)
    assert np.isfinite(add_reverb(silent + np.float32(0.1), RATE, 0.05, 0.0, np.random.default_rng(0))).all()
