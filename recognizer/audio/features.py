"""Spectral features of waveforms: Kaldi's filter bank, cepstrum or spectrogram, energy, deltas, normalization."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from recognizer.config import AudioFeatures
from recognizer.errors import ConfigError
from recognizer.utils.statistics import Count, FeatureExtractor, real_frames

PINNED_TORCH = "torch==2.11.0 torchaudio==2.11.0"  # as in pyproject.toml

ENERGY_FLOOR = 1e-10  # for samples in [-1, 1]: no more than the rounding noise of 16-bit audio (1e-8 a bin, less after pre-emphasis)
LIFTER = 22.0  # Kaldi's and HTK's cepstral lifter
MIN_RMS = 0.02  # normalize="utterance" lifts quieter recordings to this level, lest the floor flatten them
MAX_GAIN = 100.0  # 40 dB
DITHER_PERIOD = 1 << 16  # samples after which the dither repeats itself
MIN_DEVIATION = 1e-3  # a column that varies less within an utterance is not scaled up


def import_torchaudio() -> ModuleType:
    """Import torchaudio's functions; it loads only beside the torch that it was built for.

    Raises:
        ConfigError: it cannot be loaded; the message names the versions that belong together.
    """
    try:
        import torchaudio.functional
    except Exception as error:  # OSError, ImportError, AttributeError: whatever the wrong pair runs into
        reason = " ".join(str(error).split())
        raise ConfigError(f"torchaudio cannot be loaded beside torch {torch.__version__} ({reason}); run `pip install {PINNED_TORCH}`") from None
    return torchaudio.functional


class AudioFeatureExtractor(FeatureExtractor):
    """Features (B, T, D) of a batch of waveforms (B, N) in [-1, 1], each as if it were alone.

    Static columns follow Kaldi (``compute-fbank-feats``, ``compute-mfcc-feats``): each frame loses its
    mean, is pre-emphasized, weighted by the Povey window and padded to a power of two; the power spectrum is summed by
    triangles equally spaced on the HTK mel scale, 1127 ln(1 + f / 700 Hz); the natural logarithm is taken. Three things
    differ from Kaldi: samples stay in [-1, 1], so log energies are lower by 2 ln 32768; energies are floored at
    ``ENERGY_FLOOR`` (``normalize="utterance"`` first lifts quiet recordings well above it, by at most 40 dB); and a
    "spectrogram" keeps every bin, the zero frequency included.

    The noise of ``dither``, always the same, lies far below the utterance's own level. It hides what is inaudible but
    large in a logarithm: digital silence in pauses, the empty upper bands of a recording made at 8 kHz.

    Columns: statics (with ``energy``, the log energy of the frame before pre-emphasis as the last of them), then, with
    ``deltas``, as many first and second differences (HTK book, equation 5.16, over two frames on either side; the first
    and last frame repeat at the ends). The features of Graves, Mohamed & Hinton (2013) are ``num_mel_bins=40,
    energy=True, deltas=2``: 123 columns.

    Frames lie wholly within the utterance ("snip edges"); a shorter utterance is padded with zeros to one frame.

    Attributes:
        window, hop, fft: sizes in samples.
    """

    _window: Tensor
    _bank: Tensor
    _cosines: Tensor
    _dither: Tensor

    def __init__(self, config: AudioFeatures) -> None:
        """All sizes follow from ``config``."""
        window = config.window
        fft = 1 << (window - 1).bit_length()
        columns = {"fbank": config.num_mel_bins, "mfcc": config.coefficients, "spectrogram": fft // 2 + 1}[config.kind]
        super().__init__((columns + int(config.energy)) * (1 + config.deltas), config.normalize)
        self.config, self.window, self.fft = config, window, fft
        self.hop = config.hop
        noise = np.random.default_rng(0).standard_normal(DITHER_PERIOD if config.dither else 0)
        buffers = {"_window": torch.hann_window(window, periodic=False, dtype=torch.float64).pow(0.85), "_dither": torch.from_numpy(noise)}
        if config.kind != "spectrogram":
            buffers["_bank"] = mel_bank(config, fft)
        if config.kind == "mfcc":
            buffers["_cosines"] = cosine_transform(config.num_mel_bins, config.coefficients)
        for name, value in buffers.items():
            self.register_buffer(name, value.float(), persistent=False)

    def frames(self, size: Count) -> Count:
        """Number of frames of an utterance of so many samples; takes an int or a LongTensor."""
        if isinstance(size, Tensor):
            whole = 1 + torch.div(size - self.window, self.hop, rounding_mode="floor")
            return torch.where(size < 1, 0, whole.clamp(min=1))
        return self.config.frames(size)

    def raw(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, D) before normalization, T = ``frames(N)``, and the frames of each utterance; see the base class."""
        with torch.autocast(inputs.device.type, enabled=False):
            lengths = lengths.to(inputs.device, torch.long)
            frames = self.frames(lengths)  # (B,)
            size = inputs.shape[1]
            padding = torch.arange(size, device=inputs.device) >= lengths[:, None]  # (B, N)
            samples = inputs.float().masked_fill(padding, 0.0)
            count = lengths.clamp(min=1)[:, None]
            # frames lose a constant offset as well; sums in float64, which the zeros of other items' padding do not round otherwise
            level = (samples - (samples.sum(1, keepdim=True, dtype=torch.float64) / count).float()).masked_fill(padding, 0.0)
            rms = (level.square().sum(1, keepdim=True, dtype=torch.float64) / count).sqrt().float()  # (B, 1)
            if self.config.dither:
                noise = self._dither.repeat(size // DITHER_PERIOD + 1)[:size]
                samples = samples + (self.config.dither * rms * noise).masked_fill(padding, 0.0)
            samples = F.pad(samples, (0, max(0, self.window - size)))
            if self.normalize == "utterance":
                samples = samples * (MIN_RMS / rms.clamp(min=MIN_RMS / MAX_GAIN)).clamp(min=1.0)
            blocks = [self._static(samples.unfold(1, self.window, self.hop))]  # at least one frame
            for _ in range(self.config.deltas):
                blocks.append(_deltas(blocks[-1], frames))
            features = torch.cat(blocks, dim=-1)
            return features.masked_fill(~real_frames(features, frames), 0.0)[:, : self.frames(size)], frames

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`raw`, normalized as the settings say; frames beyond an utterance are exactly zero."""
        features, frames = super().forward(inputs, lengths)
        if self.normalize != "utterance":
            return features, frames
        with torch.autocast(inputs.device.type, enabled=False):
            padding = ~real_frames(features, frames)  # (B, T, 1)
            count = frames.clamp(min=1)[:, None, None]
            features = features - (features.sum(1, keepdim=True, dtype=torch.float64) / count).float()
            variance = features.masked_fill(padding, 0.0).square().sum(1, keepdim=True, dtype=torch.float64) / count
            return (features / variance.sqrt().float().clamp(min=MIN_DEVIATION)).masked_fill(padding, 0.0), frames

    def _static(self, pieces: Tensor) -> Tensor:
        """Static columns (B, T, S) of the samples (B, T, window) of every frame; batched, which ``torchaudio.compliance.kaldi`` is not."""
        pieces = pieces - pieces.mean(-1, keepdim=True)
        energy = pieces.square().sum(-1, keepdim=True)  # (B, T, 1)
        # Kaldi takes the sample before a frame's first to equal it.
        previous = torch.cat((pieces[..., :1], pieces[..., :-1]), dim=-1)
        pieces = torch.sub(pieces, previous, alpha=self.config.preemphasis) * self._window.float()
        spectrum = torch.fft.rfft(pieces, n=self.fft)
        features = spectrum.real.square() + spectrum.imag.square()  # (B, T, fft // 2 + 1)
        if self.config.kind != "spectrogram":
            features = features @ self._bank.float()  # (B, T, bins)
        features = features.clamp(min=ENERGY_FLOOR).log()
        if self.config.kind == "mfcc":
            features = features @ self._cosines.float()
        if self.config.energy:
            features = torch.cat((features, energy.clamp(min=ENERGY_FLOOR).log()), dim=-1)
        return features


def mel_edges(config: AudioFeatures) -> np.ndarray:
    """Corners (bins + 2,) of the triangles in mel, in float64: triangle k reaches from k to k + 2 and has its center at k + 1."""
    high = config.f_max if config.f_max > 0 else config.sample_rate / 2 + config.f_max
    low_mel, high_mel = hertz_to_mel(np.array([config.f_min, high]))
    return np.linspace(low_mel, high_mel, config.num_mel_bins + 2)


def hertz_to_mel(hertz: np.ndarray) -> np.ndarray:
    """HTK's mel scale."""
    return 1127.0 * np.log1p(hertz / 700.0)


def mel_to_hertz(mel: np.ndarray) -> np.ndarray:
    """The inverse of :func:`hertz_to_mel`."""
    return 700.0 * np.expm1(mel / 1127.0)


def mel_bank(config: AudioFeatures, fft: int) -> Tensor:
    """Weights (fft // 2 + 1, bins) in float64 of triangles that are equally wide in mel and reach 1 at their centers.

    Ours, as torchaudio's Kaldi bank is float32 (log energies differ by 3e-4) and its ``melscale_fbanks`` has sides straight in hertz (by 0.02).
    """
    edges = torch.from_numpy(mel_edges(config))
    mel = torch.from_numpy(hertz_to_mel(np.linspace(0, config.sample_rate / 2, fft // 2 + 1)))
    width = edges[1] - edges[0]
    rising, falling = (mel[:, None] - edges[:-2]) / width, (edges[2:] - mel[:, None]) / width  # (fft // 2 + 1, bins)
    bank = torch.minimum(rising, falling).clamp(min=0.0)
    bank[-1] = 0.0  # as in Kaldi, which leaves out the Nyquist bin
    return bank


def cosine_transform(bins: int, coefficients: int) -> Tensor:
    """Orthonormal cosine transform with Kaldi's lifter, (bins, coefficients) in float64 (torchaudio's ``create_dct`` is float32)."""
    from scipy.fft import dct  # only cepstra need it

    cosines = torch.from_numpy(dct(np.eye(bins), norm="ortho")[:, :coefficients])
    return cosines * (1.0 + LIFTER / 2 * torch.sin(math.pi * torch.arange(coefficients, dtype=torch.float64) / LIFTER))


def _deltas(features: Tensor, frames: Tensor) -> Tensor:
    """Slope (B, T, S) of each column over two frames on either side; the ends of every utterance repeat."""
    inside = torch.minimum(torch.arange(features.shape[1], device=features.device), (frames - 1).clamp(min=0)[:, None])  # (B, T)
    repeated = features.gather(1, inside[..., None].expand_as(features))
    shifted = repeated - repeated[:, :1]  # so that the slope of a constant is exactly zero
    slopes: Tensor = import_torchaudio().compute_deltas(shifted.transpose(1, 2), win_length=5)
    return slopes.transpose(1, 2)
