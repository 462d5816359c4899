"""Where in a recording somebody speaks: probabilities of speech, 32 ms at a time.

With the package ``silero-vad`` its network tells speech from music and noise (Silero Team, 2021 to 2025; MIT); without it loudness decides.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soxr

from recognizer.errors import RecognizerWarning

RATE = 16_000  # Hz, what the network takes
FRAME = 512  # samples at RATE that a probability is about: 32 ms
FRAME_SECONDS = FRAME / RATE
_WEIGHTS = "silero_vad.jit"

_HISTORY_SECONDS = 30.0  # that the loudness of pauses and of speech is taken from
_QUIET = -70.0  # dB of full scale below which nothing is speech
_STEADY_QUIET = -45.0  # below which sound of one loudness is none
_RISE = 6.0  # dB that speech lies above the pauses at least
_SHARE = 0.3  # of the way from the loudness of pauses to that of speech, above which a frame is speech


class SpeechDetector(ABC):
    """Gives the probability of speech in each frame of one recording, block by block."""

    def __init__(self, sample_rate: int) -> None:
        """``sample_rate`` of the blocks to come, Hz."""
        self._resampler = None if sample_rate == RATE else soxr.ResampleStream(sample_rate, RATE, 1, dtype="float32", quality="LQ")
        self._rest = np.empty(0, dtype=np.float32)

    def probabilities(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """Probabilities (F,) of the frames that these samples (N,) complete; ``last``: nothing follows, an incomplete frame counts as well."""
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(np.ascontiguousarray(samples, dtype=np.float32), last=last)
        known = np.concatenate([self._rest, samples])
        if last:
            known = np.pad(known, (0, -len(known) % FRAME))
        whole = len(known) // FRAME * FRAME
        self._rest = known[whole:].copy()
        return self._score(known[:whole].reshape(-1, FRAME)) if whole else np.empty(0, dtype=np.float32)

    @abstractmethod
    def _score(self, frames: np.ndarray) -> np.ndarray:
        """Probabilities (F,) of frames (F, FRAME) that follow those before."""


class LoudnessDetector(SpeechDetector):
    """Speech by loudness: what stands out of the pauses of the last half minute."""

    def __init__(self, sample_rate: int) -> None:
        """No frame is known yet."""
        super().__init__(sample_rate)
        self._history = np.empty(0)  # dB of each frame

    def _score(self, frames: np.ndarray) -> np.ndarray:
        moved = frames - frames.mean(axis=1, keepdims=True)
        level = 10 * np.log10(np.square(moved, dtype=np.float64).mean(axis=1) + 1e-12)
        known = round(_HISTORY_SECONDS / FRAME_SECONDS)
        found = np.empty(len(level), dtype=np.float32)
        for begin in range(0, len(level), 32):  # the threshold moves once a second
            part = level[begin : begin + 32]
            self._history = np.concatenate([self._history, part])[-known:]
            heard = self._history[self._history > _QUIET]
            low, high = np.percentile(heard, [10, 99]) if heard.size else (_QUIET, _QUIET)
            # sound of one loudness has no pauses to stand out of, and is not left out unless it is quiet
            threshold = max(_QUIET, low + _SHARE * (high - low)) if high - low > _RISE else max(_STEADY_QUIET, low - _RISE)
            found[begin : begin + 32] = 1 / (1 + np.exp(threshold - part))
        return found


def find_weights() -> Path | None:
    """The weights within the installed package, which is not imported: it changes the number of threads of torch. None also without torch."""
    found = find_spec("silero_vad") if find_spec("torch") else None
    for folder in (found.submodule_search_locations or []) if found is not None else []:
        path = Path(folder) / "data" / _WEIGHTS
        if path.is_file():
            return path
    return None


@cache
def _note_missing() -> None:
    """Said once."""
    what = "long recordings are cut by loudness, and music is taken for speech; `pip install silero-vad` tells them apart"
    warnings.warn(f"the package silero-vad is not installed: {what}", RecognizerWarning, stacklevel=3)


def speech_detector(sample_rate: int) -> SpeechDetector:
    """A detector for one recording at ``sample_rate``: the network where it is installed, else loudness, which is noted once."""
    if find_weights() is None:
        _note_missing()
        return LoudnessDetector(sample_rate)
    from recognizer.audio.silero import SileroDetector  # which imports torch

    return SileroDetector(sample_rate)
