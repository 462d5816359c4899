from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import idct

from recognizer.data_prep.sphinx_model import MelScale
from recognizer.data_prep.vocoder import HOP, RATE, render

from .sphinx_files import EDGES, LIFTER, find_cepstra

SCALE = MelScale(25, 130.0, 6800.0)
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
    found = find_cepstra(samples)
    inner = slice(5, len(found) - 5)
    off = (found[inner] - cepstra[: len(found)][inner]) / LIFTER
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
    """Of what the other tests measure with."""
    for hertz in (300.0, 1000.0, 3000.0, 5000.0):
        cepstra = find_cepstra(0.5 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)).mean(axis=0)
        energies = idct(np.pad(cepstra / LIFTER, (0, 12)), norm="ortho")
        assert abs(int(np.argmax(energies)) - int(np.argmin(np.abs(EDGES[1:-1] - hertz)))) <= 1
