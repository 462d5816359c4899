"""What is read of files and arrays, and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr

from recognizer.config import AudioFeatures
from recognizer.inference.inputs import InputLoader, Recording


def test_samples_of_another_rate_are_resampled() -> None:
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, 22_050).astype(np.float32)
    loader = InputLoader(AudioFeatures(), 1000)
    loaded = loader.load(0, samples, 22_050)
    np.testing.assert_array_equal(loaded.content, soxr.resample(samples, 22_050, 16_000, quality="HQ"))
    assert loaded.length == 16_000 and loader.load(0, samples).length == 22_050  # by default they are at the rate of the features


def test_one_channel_of_a_recording(tmp_path: Path) -> None:
    left, right = np.random.default_rng(2).uniform(-0.5, 0.5, (2, 800)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16_000, subtype="FLOAT")
    loader = InputLoader(AudioFeatures(), 1000)
    for channel, samples in (("left", left), ("right", right), ("mix", (left + right) / 2)):
        loaded = loader.load(0, Recording(tmp_path / "a.wav", channel))
        np.testing.assert_array_equal(loaded.content, samples)
        assert loaded.name == str(tmp_path / "a.wav") and loaded.length == 800


def test_whatever_goes_wrong_is_the_error_of_its_input(monkeypatch, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(800), 16_000)

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("recognizer.inference.inputs.load_audio", fail)
    loaded = InputLoader(AudioFeatures(), 1000).load(0, tmp_path / "a.wav")
    assert loaded.error == f"{tmp_path / 'a.wav'}: MemoryError: no further message" and loaded.content is None
