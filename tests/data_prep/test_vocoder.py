from __future__ import annotations

import numpy as np
import pytest

from recognizer.data_prep.sphinx_model import MelScale
from recognizer.data_prep.vocoder import HOP, RATE, find_cepstra, render

SCALE = MelScale(25, 130.0, 6800.0, 22)
FRAMES = 120


def smooth(seed):
    """Cepstra (FRAMES, 13) that change as those of speech do: slowly."""
    chance = np.random.default_rng(seed)
    knots = chance.normal(0, [4, *[8] * 12], size=(7, 13))
    courses = [np.interp(np.arange(FRAMES), np.linspace(0, FRAMES - 1, 7), knot) for knot in knots.T]
    return np.stack(courses, axis=1) + np.array([60.0, *[0.0] * 12])


@pytest.mark.parametrize("noise", [1.0, 0.0])
def test_the_cepstra_of_what_is_rendered_are_those_asked_for(noise):
    cepstra = smooth(2)
    samples = render(cepstra, np.full(FRAMES, noise), np.full(FRAMES, 120.0), SCALE, np.random.default_rng(1))
    assert len(samples) == FRAMES * HOP
    found = find_cepstra(samples, SCALE)
    lifter = 1 + 11 * np.sin(np.pi * np.arange(13) / 22)
    inner = slice(5, len(found) - 5)
    off = (found[inner] - cepstra[: len(found)][inner]) / lifter
    assert np.sqrt((off[:, 1:] ** 2).mean()) < 0.6  # of about 1.5 that they vary by
    assert np.abs(off[:, 0].mean() / np.sqrt(25)) < 0.3  # loudness: the mean logarithm of a filter's power


def test_voices_repeat_with_their_pitch_and_noise_does_not():
    cepstra = np.tile([60.0, 10.0, *[0.0] * 11], (FRAMES, 1))
    peaks = {}
    for noise in (0.0, 1.0):
        samples = render(cepstra, np.full(FRAMES, noise), np.full(FRAMES, 125.0), SCALE, np.random.default_rng(1))[2000:12000]
        correlation = np.correlate(samples, samples, "full")[len(samples) - 1 :] / np.sum(samples**2)
        peaks[noise] = 100 + int(np.argmax(correlation[100:200])), float(correlation[RATE // 125])
    assert peaks[0.0][0] == RATE // 125 and peaks[0.0][1] > 0.6 and abs(peaks[1.0][1]) < 0.2


def test_a_tone_is_loudest_in_the_filter_it_lies_in():
    mels = np.linspace(2595 * np.log10(1 + 130 / 700), 2595 * np.log10(1 + 6800 / 700), 27)
    centres = 700 * (10 ** (mels[1:-1] / 2595) - 1)
    angles = np.pi * np.arange(13)[:, None] * (np.arange(25) + 0.5) / 25
    for hertz in (300.0, 1000.0, 3000.0, 5000.0):
        cepstra = find_cepstra(0.5 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE), SCALE).mean(axis=0)
        plain = cepstra / (1 + 11 * np.sin(np.pi * np.arange(13) / 22))
        energies = plain[0] / np.sqrt(25) + np.sqrt(2 / 25) * (plain[1:, None] * np.cos(angles[1:])).sum(axis=0)
        assert abs(int(np.argmax(energies)) - int(np.argmin(np.abs(centres - hertz)))) <= 1
