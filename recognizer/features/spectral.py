"""Spectral features of waveforms: Kaldi's filter bank, cepstrum or spectrogram, energy, differences, normalisation."""

from __future__ import annotations

import math
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recognizer.config import AudioFeatures

ENERGY_FLOOR = 1e-10  # of samples in [-1, 1]; no more than the rounding noise of 16-bit audio (1e-8 a bin, less where pre-emphasis damps)
LIFTER = 22.0  # Kaldi's and HTK's cepstral lifter
QUIET = 0.02  # root mean square of samples; with normalise="utterance" what is quieter is brought there, lest the floor flatten it
MOST_GAIN = 100.0
DITHER = 1 << 16  # samples after which the dither repeats itself
REACH = 2  # frames on either side that a difference is taken over
SMALLEST_DEVIATION = 1e-3  # a dimension that varies less within an utterance is not scaled up

Count = TypeVar("Count", int, Tensor)


class SpectralFeatures(nn.Module):
    """Features (B, T, D) of a batch of waveforms (B, N), each as if it were alone.

    Static columns follow Kaldi (``compute-fbank-feats``, ``compute-mfcc-feats``): each frame loses its
    mean, is pre-emphasised, weighted by the Povey window and padded to a power of two; the power spectrum is summed by
    triangles equally spaced on the HTK mel scale, 1127 ln(1 + f / 700 Hz); the natural logarithm is taken. Two things
    differ from Kaldi: samples stay in [-1, 1], so log energies are lower by 2 ln 32768, and energies are floored at
    ``ENERGY_FLOOR`` (``normalise="utterance"`` first lifts quiet
    recordings well above it, by at most 40 dB). A "spectrogram" keeps every bin, the zero frequency included.
    The noise of ``dither``, always the same, lies so far below the utterance's own level. It hides what no ear hears but a
    logarithm makes much of: whether pauses are digital silence, how the upper bands of a recording of 8 kHz were filled.

    Columns: statics (with ``energy``, the log energy of the frame before pre-emphasis as the last of them), then, with
    ``deltas``, as many first and second differences (HTK book, equation 5.16, over two frames on either side; the first
    and last frame repeat at the ends). The features of Graves, Mohamed & Hinton (2013) are ``bins=40, energy=True,
    deltas=2``: 123 columns.

    Frames lie wholly within the utterance ("snip edges"); one shorter than a window is padded with zeros to one frame.

    Attributes:
        dim: D, columns of the features.
        seconds_per_frame: from one frame to the next.
        mean, std: (D,) buffers used by ``normalise="corpus"``, kept with the weights.
    """

    mean: Tensor
    std: Tensor
    _window: Tensor
    _bank: Tensor
    _cosines: Tensor
    _dither: Tensor

    def __init__(self, config: AudioFeatures) -> None:
        """All sizes follow from ``config``; set the corpus's statistics with :meth:`set_statistics`."""
        super().__init__()
        self.config = config
        # Rounded down as Kaldi does.
        self.window = max(2, int(config.sample_rate * config.window_ms * 0.001))  # samples
        self.hop = max(1, int(config.sample_rate * config.hop_ms * 0.001))  # samples
        self.fft = 1 << (self.window - 1).bit_length()  # samples
        self.seconds_per_frame = self.hop / config.sample_rate
        columns = {"fbank": config.bins, "mfcc": config.coefficients, "spectrogram": self.fft // 2 + 1}
        self.dim = (columns[config.kind] + int(config.energy)) * (1 + config.deltas)

        position = torch.arange(self.window, dtype=torch.float64)
        hann = 0.5 - 0.5 * torch.cos(2 * math.pi * position / (self.window - 1))
        self.register_buffer("_window", hann.pow(0.85).float(), persistent=False)
        self.register_buffer("_bank", mel_bank(config, self.fft).float(), persistent=False)
        self.register_buffer("_cosines", cosine_transform(config.bins, config.coefficients).float(), persistent=False)
        noise = np.random.default_rng(0).standard_normal(DITHER if config.dither else 0)
        self.register_buffer("_dither", torch.from_numpy(noise).float(), persistent=False)
        self.register_buffer("mean", torch.zeros(self.dim))
        self.register_buffer("std", torch.ones(self.dim))

    def frames(self, samples: Count) -> Count:
        """Number of frames of an utterance of so many samples; takes an int or a LongTensor."""
        if isinstance(samples, Tensor):
            whole = 1 + torch.div(samples - self.window, self.hop, rounding_mode="floor")
            return cast(Count, torch.where(samples < 1, 0, whole.clamp(min=1)))
        return 0 if samples < 1 else max(1, 1 + (samples - self.window) // self.hop)

    def set_statistics(self, mean: Tensor | np.ndarray, std: Tensor | np.ndarray) -> None:
        """Set the corpus's mean and standard deviation (D,) of the raw features.

        Raises:
            ValueError: a wrong shape, a value that is not finite, or a deviation that is not positive.
        """
        for name, value in (("mean", torch.as_tensor(mean)), ("std", torch.as_tensor(std))):
            if value.shape != (self.dim,):
                raise ValueError(f"{name}: expected {self.dim} values, found shape {tuple(value.shape)}")
            if not bool(torch.isfinite(value).all()) or (name == "std" and not bool((value > 0).all())):
                raise ValueError(f"{name}: values must be finite, deviations positive")
            getattr(self, name).copy_(value)

    def raw(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features before normalisation.

        Args:
            waveforms: (B, N) samples in [-1, 1]; what lies beyond an utterance's length is ignored.
            lengths: (B,) samples of each utterance.

        Returns:
            Features (B, T, D) in float32 with T = ``frames(N)``, zero beyond the utterance, and frames of each, (B,).
        """
        with torch.autocast(waveforms.device.type, enabled=False):
            lengths = lengths.to(waveforms.device, torch.long)
            frames = self.frames(lengths)  # (B,)
            size = waveforms.shape[1]
            inside = torch.arange(size, device=waveforms.device) < lengths[:, None]  # (B, N)
            samples = waveforms.float().masked_fill(~inside, 0.0)
            level = (samples.square().sum(1, keepdim=True) / lengths.clamp(min=1)[:, None]).sqrt()  # (B, 1)
            if self.config.dither:
                noise = self._dither.repeat(size // DITHER + 1)[:size]
                samples = samples + (self.config.dither * level * noise).masked_fill(~inside, 0.0)
            samples = F.pad(samples, (0, max(0, self.window - size)))
            if self.config.normalise == "utterance":
                samples = samples * (QUIET / level.clamp(min=QUIET / MOST_GAIN)).clamp(min=1.0)
            features = self._static(samples.unfold(1, self.window, self.hop))  # at least one frame
            blocks = [features]
            for _ in range(self.config.deltas):
                blocks.append(_difference(blocks[-1], frames))
            features = torch.cat(blocks, dim=-1)
            return features.masked_fill(~_real(features, frames), 0.0)[:, : self.frames(size)], frames

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`raw`, normalised as the settings say; frames beyond an utterance are exactly zero."""
        features, frames = self.raw(waveforms, lengths)
        if self.config.normalise == "none":
            return features, frames
        with torch.autocast(waveforms.device.type, enabled=False):
            real = _real(features, frames)  # (B, T, 1)
            if self.config.normalise == "corpus":
                features = (features - self.mean.float()) / self.std.float()
            else:
                count = frames.clamp(min=1)[:, None, None]
                features = features - features.sum(1, keepdim=True) / count
                variance = features.masked_fill(~real, 0.0).square().sum(1, keepdim=True) / count
                features = features / variance.sqrt().clamp(min=SMALLEST_DEVIATION)
            return features.masked_fill(~real, 0.0), frames

    def _static(self, pieces: Tensor) -> Tensor:
        """Static columns (B, T, S) of the samples (B, T, window) of every frame."""
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
    """Corners (bins + 2,) of the triangles in mel, in float64: triangle k reaches from k to k + 2 and has its centre at k + 1."""
    high = config.high_hz if config.high_hz > 0 else config.sample_rate / 2 + config.high_hz
    low_mel, high_mel = hertz_to_mel(np.array([config.low_hz, high]))
    return np.linspace(low_mel, high_mel, config.bins + 2)


def hertz_to_mel(hertz: np.ndarray) -> np.ndarray:
    """HTK's mel scale."""
    return 1127.0 * np.log1p(hertz / 700.0)


def mel_to_hertz(mel: np.ndarray) -> np.ndarray:
    """The inverse of :func:`hertz_to_mel`."""
    return 700.0 * np.expm1(mel / 1127.0)


def mel_bank(config: AudioFeatures, fft: int) -> Tensor:
    """Weights (fft // 2 + 1, bins) in float64 of triangles that are equally wide in mel and reach 1 at their centres."""
    nyquist = config.sample_rate / 2
    edges = torch.from_numpy(mel_edges(config))
    mel = torch.from_numpy(hertz_to_mel(np.linspace(0, nyquist, fft // 2 + 1)))
    width = edges[1] - edges[0]
    rising, falling = (mel[:, None] - edges[:-2]) / width, (edges[2:] - mel[:, None]) / width  # (fft // 2 + 1, bins)
    bank = torch.minimum(rising, falling).clamp(min=0.0)
    bank[-1] = 0.0  # as in Kaldi, which leaves out the Nyquist bin
    return bank


def cosine_transform(bins: int, coefficients: int) -> Tensor:
    """Orthonormal cosine transform with Kaldi's lifter, (bins, coefficients) in float64."""
    order = torch.arange(coefficients, dtype=torch.float64)
    band = torch.arange(bins, dtype=torch.float64)[:, None]
    cosines = math.sqrt(2 / bins) * torch.cos(math.pi / bins * (band + 0.5) * order)
    cosines[:, 0] = math.sqrt(1 / bins)
    return cosines * (1.0 + LIFTER / 2 * torch.sin(math.pi * order / LIFTER))


def _real(features: Tensor, frames: Tensor) -> Tensor:
    """Whether a frame lies within its utterance, (B, T, 1)."""
    return (torch.arange(features.shape[1], device=features.device) < frames[:, None])[..., None]


def _difference(features: Tensor, frames: Tensor) -> Tensor:
    """Slope (B, T, S) of each column of ``features``, fitted over ``REACH`` frames on either side within the utterance."""
    length = features.shape[1]
    position = torch.arange(-REACH, length + REACH, device=features.device)
    inside = torch.minimum(position.clamp(min=0), (frames - 1).clamp(min=0)[:, None])  # (B, T + 2 REACH)
    repeated = features.gather(1, inside[..., None].expand(-1, -1, features.shape[2]))
    slope = torch.zeros_like(features)
    for distance in range(1, REACH + 1):
        later = repeated[:, REACH + distance : REACH + distance + length]
        earlier = repeated[:, REACH - distance : REACH - distance + length]
        slope += distance * (later - earlier)
    return slope / (2 * sum(distance**2 for distance in range(1, REACH + 1)))
