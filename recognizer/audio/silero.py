"""The network of ``silero-vad``, which tells speech from music and noise (Silero Team, 2021 to 2025; MIT), run by torch."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recognizer.audio.speech import FRAME, SpeechDetector, find_weights

_CONTEXT = 64  # samples in front of a frame that the network sees as well


class SileroDetector(SpeechDetector):
    """Speech by the network of ``silero-vad``."""

    def __init__(self, sample_rate: int) -> None:
        """Raises whatever reading its weights raises."""
        super().__init__(sample_rate)
        self._network = _load_network(str(find_weights()))
        self._before = np.zeros(_CONTEXT, dtype=np.float32)
        self._state: tuple[Tensor, Tensor] | None = None

    def _score(self, frames: np.ndarray) -> np.ndarray:
        signal = np.concatenate([self._before, frames.reshape(-1)])
        self._before = signal[-_CONTEXT:].copy()
        with torch.inference_mode():
            windows = torch.from_numpy(signal).unfold(0, _CONTEXT + FRAME, FRAME)  # (F, 576)
            found, self._state = self._network(windows, self._state)
        return found.numpy()


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
