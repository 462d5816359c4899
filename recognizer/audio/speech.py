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
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recognizer.errors import RecognizerWarning

RATE = 16_000  # Hz, what the network takes
FRAME = 512  # samples at RATE that a probability is about: 32 ms
FRAME_SECONDS = FRAME / RATE
_CONTEXT = 64  # samples in front of a frame that the network sees as well
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


class SileroDetector(SpeechDetector):
    """Speech by the network of ``silero-vad``."""

    def __init__(self, sample_rate: int) -> None:
        """Raises whatever reading its weights raises."""
        super().__init__(sample_rate)
        self._network = _load_network(str(_find_weights()))
        self._before = np.zeros(_CONTEXT, dtype=np.float32)
        self._state: tuple[Tensor, Tensor] | None = None

    def _score(self, frames: np.ndarray) -> np.ndarray:
        signal = np.concatenate([self._before, frames.reshape(-1)])
        self._before = signal[-_CONTEXT:].copy()
        with torch.inference_mode():
            windows = torch.from_numpy(signal).unfold(0, _CONTEXT + FRAME, FRAME)  # (F, 576)
            found, self._state = self._network(windows, self._state)
        return found.numpy()


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


class _SileroNetwork(nn.Module):
    """The network of silero-vad 6 for 16 kHz, over many frames in one call, which is some hundred times faster."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm = nn.LSTM(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, windows: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Probabilities (F,) of windows (F, 576), and the state behind them."""
        spectrum = self.stft_conv(F.pad(windows[:, None], (0, 64), "reflect"))  # (F, 258, 4)
        features = (spectrum[:, :129].square() + spectrum[:, 129:].square()).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            features = layer(features).relu()
        outputs, state = self.lstm(features.squeeze(-1), state)
        return self.final_conv(outputs.relu()[..., None]).sigmoid().reshape(-1), state


def _find_weights() -> Path | None:
    """The weights within the installed package, which is not imported: it changes the number of threads of torch."""
    found = find_spec("silero_vad")
    for folder in (found.submodule_search_locations or []) if found is not None else []:
        path = Path(folder) / "data" / _WEIGHTS
        if path.is_file():
            return path
    return None


@cache
def _load_network(path: str) -> _SileroNetwork:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript, of which only the numbers are taken
        weights = torch.jit.load(path, map_location="cpu")._model.state_dict()
    encoder = {f"conv{n + 1}.{kind}": weights[f"encoder.{n}.reparam_conv.{kind}"] for n in range(4) for kind in ("weight", "bias")}
    lstm = {f"lstm.{name}_l0": weights[f"decoder.rnn.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    final = {f"final_conv.{kind}": weights[f"decoder.decoder.2.{kind}"] for kind in ("weight", "bias")}
    network = _SileroNetwork()
    network.load_state_dict({"stft_conv.weight": weights["stft.forward_basis_buffer"], **encoder, **lstm, **final})
    return network.eval()


@cache
def _note_missing() -> None:
    """Said once."""
    what = "long recordings are cut by loudness, and music is taken for speech; `pip install silero-vad` tells them apart"
    warnings.warn(f"the package silero-vad is not installed: {what}", RecognizerWarning, stacklevel=3)


def speech_detector(sample_rate: int) -> SpeechDetector:
    """A detector for one recording at ``sample_rate``: the network where it is installed, else loudness, which is noted once."""
    if _find_weights() is None:
        _note_missing()
        return LoudnessDetector(sample_rate)
    return SileroDetector(sample_rate)
