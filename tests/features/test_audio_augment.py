from __future__ import annotations

import numpy as np
import pytest

from recognizer.config import AudioAugment
from recognizer.features.audio_augment import add_noise, augment_audio, change_speed, change_tempo
from recognizer.features.chance import item_generator

RATE = 16_000


def tone(hertz: float = 220.0, seconds: float = 2.0) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(RATE * seconds)) / RATE)).astype(np.float32)


def frequency(samples: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax() * RATE / len(samples))


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 1.7])
def test_speed_changes_pitch_and_duration(factor: float) -> None:
    changed = change_speed(tone(), factor)
    assert len(changed) == pytest.approx(32_000 / factor, abs=1)
    assert frequency(changed) == pytest.approx(220 * factor, abs=1)
    assert np.abs(changed[500:-500]).max() == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("factor", [0.5, 0.8, 0.95, 1.05, 1.25, 2.0])
@pytest.mark.parametrize("hertz", [110.0, 233.0, 700.0])
def test_tempo_keeps_pitch_and_size(factor: float, hertz: float) -> None:
    changed = change_tempo(tone(hertz), RATE, factor)
    assert len(changed) == round(32_000 / factor) and changed.dtype == np.float32
    assert frequency(changed) == pytest.approx(hertz, abs=1.5)
    middle = changed[1000:-1000]
    assert np.sqrt(np.mean(middle**2) * 2) == pytest.approx(0.4, rel=0.05)


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_tempo_moves_events_to_their_place(factor: float) -> None:
    wave = np.zeros(32_000, dtype=np.float32)
    wave[16_000:20_000] = tone()[:4_000]
    loud = np.flatnonzero(np.abs(change_tempo(wave, RATE, factor)) > 0.1)
    assert loud[0] == pytest.approx(16_000 / factor, abs=0.04 * RATE)
    assert loud[-1] == pytest.approx(20_000 / factor, abs=0.04 * RATE)


def test_tempo_one_gives_the_recording_back() -> None:
    wave = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    np.testing.assert_allclose(change_tempo(wave, RATE, 1.0), wave, atol=1e-5)


@pytest.mark.parametrize("snr", [-5.0, 10.0, 30.0])
@pytest.mark.parametrize("colour", [-0.5, 0.0, 1.0, 2.0])
def test_noise_has_the_ratio_and_colour_asked_for(snr: float, colour: float) -> None:
    wave = tone()[:31_991]  # a prime number of samples
    noise = add_noise(wave, snr, colour, np.random.default_rng(1)) - wave
    # The noise is a stretch of a longer draw, so its power is near what was asked for.
    assert 10 * np.log10(np.mean(wave**2) / np.mean(noise**2)) == pytest.approx(snr, abs=0.05)
    power = np.abs(np.fft.rfft(noise)) ** 2
    octaves = [np.log2(power[2**k : 2 ** (k + 1)].mean()) for k in range(8, 13)]
    assert np.polyfit(range(5), octaves, 1)[0] == pytest.approx(-colour, abs=0.15)


def test_silence_gets_no_noise() -> None:
    assert not add_noise(np.zeros(100, dtype=np.float32), 10.0, 0.5, np.random.default_rng(0)).any()


def test_nothing_asked_nothing_changed() -> None:
    wave = tone()
    assert np.array_equal(augment_audio(wave, RATE, AudioAugment(), np.random.default_rng(0)), wave)


def test_same_item_same_result_and_never_beyond_one() -> None:
    config = AudioAugment(speed=(0.9, 1.1), tempo=(0.8, 1.2), gain_db=(-6.0, 20.0), noise=0.7, noise_snr_db=(0.0, 20.0))
    lengths = set()
    for epoch in range(12):
        first, again = (augment_audio(tone(), RATE, config, item_generator(3, epoch, "utt")) for _ in range(2))
        assert np.array_equal(first, again) and first.dtype == np.float32
        assert np.abs(first).max() <= 1.0
        assert 32_000 / 1.1 / 1.2 - 2 <= len(first) <= 32_000 / 0.9 / 0.8 + 2
        lengths.add(len(first))
    assert len(lengths) > 8


def test_rooms_lines_and_coloured_noise_follow_from_the_item_alone() -> None:
    config = AudioAugment(reverb=0.5, telephone=0.5, noise=0.5, noise_colour=(0.0, 2.0), gain_db=(0.0, 20.0))
    drawn = set()
    for epoch in range(12):
        first, again = (augment_audio(tone(), RATE, config, item_generator(3, epoch, "utt")) for _ in range(2))
        assert np.array_equal(first, again) and first.dtype == np.float32 and len(first) == 32_000
        assert np.abs(first).max() <= 1.0
        drawn.add(first.tobytes())
    assert len(drawn) == 12


def test_a_setting_that_is_off_draws_nothing() -> None:
    """What a recipe without rooms and lines drew before there were any, it draws again."""
    config = AudioAugment(speed=(1.1, 1.1), gain_db=(-6.0, 6.0), noise=0.9)
    for epoch in range(4):
        generator = item_generator(1, epoch, "utt")
        speed, _, gain_db = (generator.uniform(*bounds) for bounds in (config.speed, config.tempo, config.gain_db))
        assert generator.random() < 0.9
        snr_db, colour = generator.uniform(*config.noise_snr_db), generator.uniform(0, 1)
        expected = add_noise(change_speed(tone(), speed) * np.float32(10 ** (gain_db / 20)), snr_db, colour, generator)
        changed = augment_audio(tone(), RATE, config, item_generator(1, epoch, "utt"))
        np.testing.assert_allclose(changed, expected / max(1, np.abs(expected).max()), atol=1e-6)


def test_noise_takes_its_colour_from_the_range() -> None:
    config = AudioAugment(noise=1.0, noise_snr_db=(0.0, 0.0), noise_colour=(2.0, 2.0))
    noise = augment_audio(tone(50.0), RATE, config, np.random.default_rng(0)) - tone(50.0)
    power = np.abs(np.fft.rfft(noise)) ** 2
    octaves = [np.log2(power[2**k : 2 ** (k + 1)].mean()) for k in range(8, 13)]
    assert np.polyfit(range(5), octaves, 1)[0] == pytest.approx(-2, abs=0.2)


@pytest.mark.parametrize(("setting", "changes"), [("reverb", True), ("telephone", True), ("telephone_mu_law", False)])
def test_each_setting_is_a_probability_of_its_own(setting: str, changes: bool) -> None:
    wave = tone()
    changed = [augment_audio(wave, RATE, AudioAugment(**{setting: share}), item_generator(1, 0, "utt")) for share in (0.0, 1.0)]
    assert np.array_equal(changed[0], wave) and np.array_equal(changed[1], wave) is not changes


def test_the_line_carries_the_noise_too() -> None:
    wave = np.concatenate([tone(seconds=0.5), np.zeros(RATE, dtype=np.float32)])
    config = AudioAugment(noise=1.0, noise_snr_db=(0.0, 0.0), noise_colour=(0.0, 0.0), telephone=1.0, telephone_mu_law=0.0)
    changed = augment_audio(wave, RATE, config, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(changed[RATE // 2 :])) ** 2
    hertz = np.fft.rfftfreq(RATE, 1 / RATE)
    assert spectrum[(hertz > 500) & (hertz < 3000)].mean() > 1e4 * spectrum[hertz > 4200].mean()


def test_gain_is_decibels() -> None:
    changed = augment_audio(tone(), RATE, AudioAugment(gain_db=(-6.0, -6.0)), np.random.default_rng(0))
    np.testing.assert_allclose(changed, tone() * 10 ** (-6 / 20), rtol=1e-5)


def test_input_is_left_alone() -> None:
    wave = tone()
    wave.setflags(write=False)
    augment_audio(wave, RATE, AudioAugment(speed=(0.9, 0.9), tempo=(0.9, 0.9), gain_db=(3.0, 3.0), noise=1.0), np.random.default_rng(0))


@pytest.mark.parametrize("size", [1, 2, 50, 700])
def test_short_recordings_survive(size: int) -> None:
    config = AudioAugment(speed=(0.9, 1.1), tempo=(0.8, 1.2), noise=1.0, reverb=1.0, telephone=1.0)
    changed = augment_audio(tone()[100 : 100 + size], RATE, config, np.random.default_rng(0))
    assert len(changed) >= 1 and np.isfinite(changed).all()
