"""Where somebody speaks: the network equals that of its package, loudness serves without it, and neither depends on the blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recognizer.audio import speech
from recognizer.audio.io import load_audio
from recognizer.audio.speech import FRAME, RATE, LoudnessDetector, SpeechDetector, speech_detector
from recognizer.errors import RecognizerWarning

EXAMPLE = Path(speech.__file__).parent.parent / "bundles" / "examples" / "let-me-go.opus"


def probabilities(detector: SpeechDetector, signal: np.ndarray, block: int = 5000) -> np.ndarray:
    found = [detector.probabilities(signal[begin : begin + block]) for begin in range(0, len(signal), block)]
    return np.concatenate([*found, detector.probabilities(signal[:0], last=True)])


def between_silence() -> np.ndarray:
    silence = 1e-4 * np.random.default_rng(1).standard_normal(3 * RATE).astype(np.float32)
    return np.concatenate([silence, load_audio(EXAMPLE, RATE), silence])


@pytest.mark.parametrize("kind", ["network", "loudness"])
def test_speech_is_found_and_silence_is_none_whatever_the_blocks(kind: str) -> None:
    if kind == "network":
        pytest.importorskip("silero_vad", reason="the extra vad")
    detect = (lambda: speech_detector(RATE)) if kind == "network" else (lambda: LoudnessDetector(RATE))
    signal = between_silence()
    found = probabilities(detect(), signal)
    assert len(found) == -(-len(signal) // FRAME)
    inside = slice(3 * RATE // FRAME + 1, -3 * RATE // FRAME - 1)
    assert (found[inside] > 0.5).mean() > 0.4 and (found[: 3 * RATE // FRAME - 8] < 0.5).all() and (found[-3 * RATE // FRAME + 20 :] < 0.5).all()
    if kind == "network":
        np.testing.assert_allclose(found, probabilities(detect(), signal, 777), atol=1e-4)


def test_the_network_is_that_of_the_package() -> None:
    pytest.importorskip("silero_vad", reason="the extra vad")
    import torch

    path = speech.find_weights()
    assert path is not None
    with pytest.warns(DeprecationWarning):
        model = torch.jit.load(str(path))
    model.reset_states()
    signal = between_silence()[2 * RATE : 5 * RATE // FRAME * FRAME]
    signal = signal[: len(signal) // FRAME * FRAME]
    with torch.no_grad():
        expected = [model(torch.from_numpy(frame)[None], RATE).item() for frame in signal.reshape(-1, FRAME)]
    np.testing.assert_allclose(probabilities(speech_detector(RATE), signal), expected, atol=1e-3)
    assert max(expected) > 0.9


def test_other_sample_rates_are_resampled() -> None:
    pytest.importorskip("silero_vad", reason="the extra vad")
    signal = between_silence()
    whole, half = probabilities(speech_detector(RATE), signal), probabilities(speech_detector(8000), load_half(signal))
    assert abs(len(whole) - len(half)) <= 1
    size = min(len(whole), len(half))
    assert ((whole[:size] > 0.5) == (half[:size] > 0.5)).mean() > 0.9


def load_half(signal: np.ndarray) -> np.ndarray:
    import soxr

    return soxr.resample(signal, RATE, 8000).astype(np.float32)


def test_without_the_package_loudness_decides_and_that_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "find_weights", lambda: None)
    speech._note_missing.cache_clear()
    with pytest.warns(RecognizerWarning, match="silero-vad is not installed") as told:
        assert isinstance(speech_detector(RATE), LoudnessDetector) and isinstance(speech_detector(RATE), LoudnessDetector)
    assert len(told) == 1
    speech._note_missing.cache_clear()


def test_sound_of_one_loudness_is_not_left_out() -> None:
    noise = 0.1 * np.random.default_rng(2).standard_normal(60 * RATE).astype(np.float32)
    assert (probabilities(LoudnessDetector(RATE), noise) > 0.5).all()
    for quiet in (np.zeros(RATE, np.float32), 0.01 * noise):
        assert not (probabilities(LoudnessDetector(RATE), quiet) > 0.5).any()
