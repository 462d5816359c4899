"""Random changes of recordings: what each does to pitch, duration, spectrum and energy, and that the generator decides everything."""

from __future__ import annotations

import numpy as np
import pytest

from recognizer.audio.augment import (
    EARLY_SECONDS,
    add_noise,
    add_reverb,
    augment_audio,
    change_speed,
    change_tempo,
    pass_telephone,
    quantize_mu_law,
    room_response,
)
from recognizer.config import AudioAugment
from recognizer.utils.seeding import item_rng

RATE = 16_000


def tone(hertz: float = 220.0, seconds: float = 2.0) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(RATE * seconds)) / RATE)).astype(np.float32)


def white(rate: int = RATE, seconds: float = 2.0) -> np.ndarray:
    return (0.1 * np.random.default_rng(5).standard_normal(round(rate * seconds))).astype(np.float32)


def click(size: int = RATE, place: int = 5000) -> np.ndarray:
    return 0.5 * (np.arange(size) == place).astype(np.float32)


def frequency(samples: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax() * RATE / len(samples))


def level(samples: np.ndarray, rate: int, low: float, high: float) -> float:
    """Mean power between two frequencies, decibels."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / rate)
    return float(10 * np.log10(power[(hertz >= low) & (hertz < high)].mean() + 1e-30))


def spectral_slope(noise: np.ndarray) -> float:
    """Change of power, as an exponent of the frequency, over five octaves."""
    power = np.abs(np.fft.rfft(noise)) ** 2
    return float(np.polyfit(range(5), [np.log2(power[2**k : 2 ** (k + 1)].mean()) for k in range(8, 13)], 1)[0])


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.7])
def test_speed_changes_pitch_and_duration(factor: float) -> None:
    changed = change_speed(tone(), factor)
    assert len(changed) == pytest.approx(32_000 / factor, abs=1)
    assert frequency(changed) == pytest.approx(220 * factor, abs=1)
    assert np.abs(changed[500:-500]).max() == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.25, 2.0])
@pytest.mark.parametrize("hertz", [110.0, 233.0, 700.0])
def test_tempo_keeps_pitch_and_size(factor: float, hertz: float) -> None:
    changed = change_tempo(tone(hertz), RATE, factor)
    assert len(changed) == round(32_000 / factor) and changed.dtype == np.float32
    assert frequency(changed) == pytest.approx(hertz, abs=1.5)
    assert np.sqrt(np.mean(changed[1000:-1000] ** 2) * 2) == pytest.approx(0.4, rel=0.05)


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_tempo_moves_events_to_their_place(factor: float) -> None:
    wave = np.zeros(32_000, dtype=np.float32)
    wave[16_000:20_000] = tone()[:4_000]
    loud = np.flatnonzero(np.abs(change_tempo(wave, RATE, factor)) > 0.1)
    assert loud[[0, -1]] == pytest.approx(np.array([16_000, 20_000]) / factor, abs=0.04 * RATE)


def test_tempo_one_gives_the_recording_back() -> None:
    wave = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    np.testing.assert_allclose(change_tempo(wave, RATE, 1.0), wave, atol=1e-5)


@pytest.mark.parametrize("snr", [-5.0, 30.0])
@pytest.mark.parametrize("color", [-0.5, 0.0, 1.0, 2.0])
def test_noise_has_the_ratio_and_color_asked_for(snr: float, color: float) -> None:
    wave = tone()[:31_991]  # a prime number of samples
    noise = add_noise(wave, snr, color, np.random.default_rng(1)) - wave
    # The noise is a stretch of a longer draw, so its power is near what was asked for.
    assert 10 * np.log10(np.mean(wave**2) / np.mean(noise**2)) == pytest.approx(snr, abs=0.05)
    assert spectral_slope(noise) == pytest.approx(-color, abs=0.15)


@pytest.mark.parametrize("seconds", [0.2, 0.5, 1.5])
@pytest.mark.parametrize("rate", [8000, 16_000])
def test_the_energy_of_a_room_falls_by_sixty_decibels_in_the_time_asked_for(seconds: float, rate: int) -> None:
    """By the slope of the energy that is still to come (Schroeder 1965), between 5 and 25 dB below its start."""
    response = room_response(rate, seconds, -20.0, np.random.default_rng(3))
    assert len(response) == round(seconds * rate) and response.dtype == np.float32
    tail = response[round(EARLY_SECONDS * rate) :].astype(float)
    remaining = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1] / np.sum(tail**2))
    inside = np.flatnonzero((remaining < -5) & (remaining > -25))
    assert -60 / np.polyfit(inside / rate, remaining[inside], 1)[0] == pytest.approx(seconds, rel=0.1)


@pytest.mark.parametrize("direct_db", [-5.0, 0.0, 15.0])
def test_the_direct_sound_comes_first_at_the_ratio_asked_for(direct_db: float) -> None:
    response = room_response(RATE, 0.4, direct_db, np.random.default_rng(1)).astype(float)
    assert response[0] == 1.0
    assert -10 * np.log10(np.sum(response[1:] ** 2)) == pytest.approx(direct_db, abs=0.01)


def test_reverb_moves_nothing_and_keeps_the_energy() -> None:
    echoing = add_reverb(click(), RATE, 0.5, 3.0, np.random.default_rng(0))
    assert len(echoing) == RATE and echoing.dtype == np.float32
    assert np.abs(echoing).argmax() == 5000 and np.abs(echoing[:5000]).max() < 1e-6
    assert np.sum(echoing.astype(float) ** 2) == pytest.approx(0.25, rel=1e-4)
    assert np.abs(echoing[5000 + RATE // 4 : 5000 + RATE // 2]).max() > 1e-4  # it echoes


def test_reverb_is_a_convolution() -> None:
    wave = np.random.default_rng(4).standard_normal(700).astype(np.float32)
    response = room_response(RATE, 0.05, 2.0, np.random.default_rng(9)).astype(float)
    expected = np.convolve(wave.astype(float), response)[:700]
    expected *= np.sqrt(np.sum(wave.astype(float) ** 2) / np.sum(expected**2))
    np.testing.assert_allclose(add_reverb(wave, RATE, 0.05, 2.0, np.random.default_rng(9)), expected, atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 44_100])
def test_only_the_band_of_the_telephone_comes_through(rate: int) -> None:
    wave = white(rate)
    passed = pass_telephone(wave, rate, 300.0, 3400.0, False)
    assert len(passed) == len(wave) and passed.dtype == np.float32
    assert level(passed, rate, 320, 3380) == pytest.approx(level(wave, rate, 320, 3380), abs=0.2)
    assert level(passed, rate, 10, 260) < level(wave, rate, 10, 260) - 50
    assert level(passed, rate, 3750, rate / 2) < level(wave, rate, 3750, rate / 2) - 50


def test_a_line_of_eight_kilohertz_has_nothing_above_four() -> None:
    for mu_law in (False, True):
        passed = pass_telephone(white(), RATE, 0.0, 4000.0, mu_law)
        assert level(passed, RATE, 4100, 8000) < level(passed, RATE, 500, 3500) - 60
    assert level(passed, RATE, 20, 200) == pytest.approx(level(white(), RATE, 20, 200), abs=1)


def test_the_telephone_moves_nothing_in_time() -> None:
    wave = click(place=7001)
    assert abs(int(np.abs(pass_telephone(wave, RATE, 300.0, 3400.0, True)).argmax()) - 7001) <= 1
    passed = pass_telephone(white(), RATE, 0.0, 3400.0, False)
    assert int(np.correlate(passed, white()[100:-100], "valid").argmax()) == 100


def test_mu_law_has_eight_bits_of_which_quiet_sounds_get_more() -> None:
    wave = np.linspace(-1, 1, 100_001).astype(np.float32)
    coded = quantize_mu_law(wave)
    assert len(np.unique(coded)) == 255  # both zeros of the code are one value
    assert np.abs(coded - wave).max() < 0.025 and np.abs(coded - wave)[np.abs(wave) < 0.01].max() < 0.0004
    assert (coded[0], coded[50_000], coded[-1]) == (-1, 0, 1) and np.all(np.diff(coded) >= 0)
    np.testing.assert_allclose(quantize_mu_law(coded), coded, atol=1e-6)
    loud = 3 * np.sin(np.arange(1000) * 0.1).astype(np.float32)
    assert np.abs(quantize_mu_law(loud) - loud).max() < 0.075  # not clipped


@pytest.mark.parametrize("config", [
    AudioAugment(speed=(0.9, 1.1), tempo=(0.8, 1.2), gain_db=(-6.0, 20.0), noise=0.7, noise_snr_db=(0.0, 20.0)),
    AudioAugment(reverb=0.5, telephone=0.5, noise=0.5, noise_color=(0.0, 2.0), gain_db=(0.0, 20.0)),
])
def test_the_item_decides_and_nothing_leaves_the_range(config: AudioAugment) -> None:
    drawn = set()
    for epoch in range(12):
        first, again = (augment_audio(tone(), RATE, config, item_rng(3, epoch, "utt")) for _ in range(2))
        assert np.array_equal(first, again) and first.dtype == np.float32 and np.abs(first).max() <= 1.0
        assert 32_000 / config.speed[1] / config.tempo[1] - 2 <= len(first) <= 32_000 / config.speed[0] / config.tempo[0] + 2
        drawn.add(first.tobytes())
    assert len(drawn) == 12


def test_a_setting_that_is_off_draws_nothing() -> None:
    """What is drawn, and in which order, must not change: training would not be reproducible."""
    config = AudioAugment(speed=(1.1, 1.1), gain_db=(-6.0, 6.0), noise=0.9)
    for epoch in range(4):
        rng = item_rng(1, epoch, "utt")
        speed, _, gain_db = (rng.uniform(*bounds) for bounds in (config.speed, config.tempo, config.gain_db))
        assert rng.random() < 0.9
        snr_db, color = rng.uniform(*config.noise_snr_db), rng.uniform(0, 1)
        expected = add_noise(change_speed(tone(), speed) * np.float32(10 ** (gain_db / 20)), snr_db, color, rng)
        changed = augment_audio(tone(), RATE, config, item_rng(1, epoch, "utt"))
        np.testing.assert_allclose(changed, expected / max(1, np.abs(expected).max()), atol=1e-6)


def test_noise_takes_its_color_and_gain_its_decibels_from_the_settings() -> None:
    config = AudioAugment(noise=1.0, noise_snr_db=(0.0, 0.0), noise_color=(2.0, 2.0))
    assert spectral_slope(augment_audio(tone(50.0), RATE, config, np.random.default_rng(0)) - tone(50.0)) == pytest.approx(-2, abs=0.2)
    changed = augment_audio(tone(), RATE, AudioAugment(gain_db=(-6.0, -6.0)), np.random.default_rng(0))
    np.testing.assert_allclose(changed, tone() * 10 ** (-6 / 20), rtol=1e-5)


@pytest.mark.parametrize(("setting", "changes"), [("reverb", True), ("telephone", True), ("telephone_mu_law", False)])
def test_each_setting_is_a_probability_of_its_own(setting: str, changes: bool) -> None:
    changed = [augment_audio(tone(), RATE, AudioAugment(**{setting: share}), item_rng(1, 0, "utt")) for share in (0.0, 1.0)]
    assert np.array_equal(changed[0], tone()) and np.array_equal(changed[1], tone()) is not changes


def test_the_telephone_carries_the_noise_too() -> None:
    wave = np.concatenate([tone(seconds=0.5), np.zeros(RATE, dtype=np.float32)])
    config = AudioAugment(noise=1.0, noise_snr_db=(0.0, 0.0), noise_color=(0.0, 0.0), telephone=1.0, telephone_mu_law=0.0)
    pause = augment_audio(wave, RATE, config, np.random.default_rng(0))[RATE // 2 :]
    assert level(pause, RATE, 500, 3000) > level(pause, RATE, 4200, 8000) + 40


@pytest.mark.parametrize("size", [0, 1, 2, 50, 700])
def test_short_and_silent_recordings_survive_and_inputs_stay(size: int) -> None:
    config = AudioAugment(speed=(0.9, 1.1), tempo=(0.8, 1.2), gain_db=(3.0, 3.0), noise=1.0, reverb=1.0, telephone=1.0)
    for wave in (tone()[100 : 100 + size], np.zeros(size, dtype=np.float32)):
        wave.setflags(write=False)
        changed = augment_audio(wave, RATE, config, np.random.default_rng(0))
        assert len(changed) >= min(1, size) and np.isfinite(changed).all() and changed.any() == wave.any()
