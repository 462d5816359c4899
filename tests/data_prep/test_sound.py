"""Joined recordings: pauses, margins, levels and what lies between."""

from __future__ import annotations

import random

import numpy as np
import pytest
import soundfile
from PIL import Image

from recognizer.data_prep.common import write_picture
from recognizer.data_prep.sound import Spacing, join_sounds, set_level, write_sound
from recognizer.errors import OutputError


def test_pauses_and_margins_are_where_they_should_be():
    sound = np.ones(100, dtype=np.float32)
    joined = join_sounds([sound, sound, sound], 1000, Spacing([0.05, 0.0], 0.03, 0.02, 0.01))
    assert len(joined) == 30 + 100 + 50 + 100 - 10 + 100 + 20
    assert not joined[:30].any() and not joined[130:180].any() and not joined[-20:].any()
    np.testing.assert_allclose(joined[40:120], 1)
    np.testing.assert_allclose(joined[190:360], 1, atol=1e-6)  # the fades of two neighbors add up to one
    assert 0 < joined[30] < joined[35] < 1 and np.array_equal(sound, np.ones(100))


def test_pauses_sound_like_the_recordings_between_them():
    generator = np.random.default_rng(1)
    hiss = [0.01 * generator.standard_normal(2400).astype(np.float32) for _ in range(3)]
    for sound in hiss:
        sound[800:1600] += np.sin(np.arange(800)).astype(np.float32)
    joined = join_sounds(hiss, 8000, Spacing([0.3, 0.3], 0.3, 0.3, 0.01, noise_seed=1))
    for start in (0, 4800, 9600, 14_400):
        assert np.std(joined[start : start + 2400]) == pytest.approx(0.009, rel=0.15)  # the quietest tenth is quieter than the average
    assert np.array_equal(joined[2480:4720], hiss[0][80:-80])  # a recording itself is left alone
    assert not join_sounds([np.zeros(50, dtype=np.float32)], 8000, Spacing([], 0.1, 0.1, 0.01, noise_seed=1)).any()


def test_random_spacings_are_within_their_limits():
    spacings = [Spacing.draw(random.Random(seed), 4, 0.4, 0.3) for seed in range(200)]
    pauses = [pause for spacing in spacings for pause in spacing.pauses]
    assert len(pauses) == 600 and max(pauses) <= 0.4 and 0.25 < np.mean([pause == 0 for pause in pauses]) < 0.35
    assert 0.15 < np.mean([spacing.noise_seed is None for spacing in spacings]) < 0.35


def test_levels_and_files(tmp_path):
    tone = np.sin(np.arange(8000))
    assert 20 * np.log10(np.sqrt(np.mean(set_level(tone, -30.0).astype(float) ** 2))) == pytest.approx(-30)
    assert not set_level(np.zeros(10), -30.0).any()
    write_sound(tmp_path / "a.flac", 2 * tone, 8000)
    samples, rate = soundfile.read(tmp_path / "a.flac")
    assert rate == 8000 and np.abs(samples - tone / np.abs(tone).max()).max() < 1e-4 and [*tmp_path.iterdir()] == [tmp_path / "a.flac"]


def test_a_full_disk_leaves_nothing(tmp_path, full_disk):
    noise = np.random.default_rng(1).standard_normal(8000)
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40), np.uint8))
    for name, write in {"a.flac": lambda path: write_sound(path, noise, 8000), "a.wav": lambda path: write_sound(path, noise, 8000),
                        "a.png": lambda path: write_picture(path, picture)}.items():  # fmt: skip
        for size in (0, 1000):
            with full_disk(size), pytest.raises(OutputError, match=rf"/{name}: cannot be written: File too large"):
                write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
