from __future__ import annotations

import numpy as np
import pytest

from recognizer.features.telephone import code_mu_law, pass_telephone

RATE = 16_000


def noise(rate: int, seconds: float = 2.0) -> np.ndarray:
    return (0.1 * np.random.default_rng(5).standard_normal(round(rate * seconds))).astype(np.float32)


def level(samples: np.ndarray, rate: int, low: float, high: float) -> float:
    """Mean power between two frequencies, decibels."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / rate)
    return float(10 * np.log10(power[(hertz >= low) & (hertz < high)].mean() + 1e-30))


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 44_100])
def test_only_the_band_comes_through(rate: int) -> None:
    wave = noise(rate)
    heard = pass_telephone(wave, rate, 300.0, 3400.0, False)
    assert len(heard) == len(wave) and heard.dtype == np.float32
    assert level(heard, rate, 320, 3380) == pytest.approx(level(wave, rate, 320, 3380), abs=0.2)
    assert level(heard, rate, 10, 260) < level(wave, rate, 10, 260) - 50
    assert level(heard, rate, 3750, rate / 2) < level(wave, rate, 3750, rate / 2) - 50


def test_a_line_of_eight_kilohertz_has_nothing_above_four() -> None:
    for mu_law in (False, True):
        heard = pass_telephone(noise(RATE), RATE, 0.0, 4000.0, mu_law)
        assert level(heard, RATE, 4100, 8000) < level(heard, RATE, 500, 3500) - 60
    assert level(heard, RATE, 20, 200) == pytest.approx(level(noise(RATE), RATE, 20, 200), abs=1)


def test_nothing_moves_in_time() -> None:
    wave = np.zeros(RATE, dtype=np.float32)
    wave[7001] = 1.0
    assert abs(int(np.abs(pass_telephone(wave, RATE, 300.0, 3400.0, True)).argmax()) - 7001) <= 1
    speech = noise(RATE)
    heard = pass_telephone(speech, RATE, 0.0, 3400.0, False)
    assert int(np.correlate(heard, speech[100:-100], "valid").argmax()) == 100


def test_eight_bits_of_which_quiet_sounds_get_more() -> None:
    wave = np.linspace(-1, 1, 100_001).astype(np.float32)
    coded = code_mu_law(wave)
    assert len(np.unique(coded)) == 255  # both zeros of the code are one value
    assert np.abs(coded - wave).max() < 0.025
    assert np.abs(coded - wave)[np.abs(wave) < 0.01].max() < 0.0004
    assert (coded[0], coded[50_000], coded[-1]) == (-1, 0, 1) and np.all(np.diff(coded) >= 0)
    np.testing.assert_allclose(code_mu_law(coded), coded, atol=1e-6)


def test_what_is_too_loud_is_not_clipped() -> None:
    wave = 3 * np.sin(np.arange(1000) * 0.1).astype(np.float32)
    assert np.abs(code_mu_law(wave) - wave).max() < 0.075


@pytest.mark.parametrize("size", [0, 1, 2, 77])
@pytest.mark.parametrize("rate", [1000, 8000, 16_000])
def test_short_and_silent_recordings_survive(size: int, rate: int) -> None:
    for samples in (np.zeros(size, dtype=np.float32), np.full(size, 0.3, dtype=np.float32)):
        heard = pass_telephone(samples, rate, 300.0, 3400.0, True)
        assert len(heard) == size and np.isfinite(heard).all()
