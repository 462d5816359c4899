"""Typed settings of the features of recordings, line images and pen traces; every key, its unit, its default and its limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from recognizer.config.schema import require, require_shares

Modality = Literal["audio", "line", "strokes"]
MAX_SAMPLE_RATE = 768_000  # Hz, four times what studios use; settings of unknown origin must not take all memory
MAX_WINDOW_MS = 1000.0


@dataclass(frozen=True)
class AudioFeatures:
    """Spectral features of a waveform, one frame every ``hop_ms``."""

    kind: Literal["fbank", "mfcc", "spectrogram"] = "fbank"
    sample_rate: int = 16_000  # Hz; recordings of another rate are resampled
    window_ms: float = 25.0
    hop_ms: float = 10.0
    num_mel_bins: int = 80  # mel bands (not used by "spectrogram", which keeps every FFT bin)
    coefficients: int = 13  # cepstral coefficients kept ("mfcc" only)
    f_min: float = 20.0
    f_max: float = 0.0  # 0: the Nyquist frequency; negative: so far below it
    preemphasis: float = 0.97
    energy: bool = False  # append the log energy of each frame
    deltas: int = 0  # 1: append first differences; 2: and second differences
    normalize: Literal["corpus", "utterance", "none"] = "utterance"  # by whose mean and deviation
    dither: float = 0.0  # level of a fixed noise that is added, share of the utterance's own (root mean square)

    def __post_init__(self) -> None:
        require(self.sample_rate >= 1000, "sample_rate", f"{self.sample_rate} Hz is too low")
        require(self.sample_rate <= MAX_SAMPLE_RATE, "sample_rate", f"{self.sample_rate} Hz is more than {MAX_SAMPLE_RATE}")
        require(0 < self.window_ms <= MAX_WINDOW_MS, "window_ms", f"must be positive and at most {MAX_WINDOW_MS:g}")
        require(0 < self.hop_ms <= self.window_ms, "hop_ms", "must be positive and no longer than window_ms")
        require(2 <= self.num_mel_bins <= 512, "num_mel_bins", "must lie between 2 and 512")
        require(self.coefficients >= 1, "coefficients", "must be positive")
        require(self.kind != "mfcc" or self.coefficients <= self.num_mel_bins, "coefficients", "must lie between 1 and num_mel_bins")
        nyquist = self.sample_rate / 2
        high = self.f_max if self.f_max > 0 else nyquist + self.f_max
        require(0 <= self.f_min < high <= nyquist, "f_max", f"the band {self.f_min:g}..{high:g} Hz must lie within 0..{nyquist:g} Hz")
        require(0 <= self.preemphasis < 1, "preemphasis", "must lie in [0, 1)")
        require(self.deltas in (0, 1, 2), "deltas", "must be 0, 1 or 2")
        require_shares(self, "dither")

    @property
    def window(self) -> int:
        """Samples of a frame, rounded down as Kaldi does."""
        return max(2, int(self.sample_rate * self.window_ms * 0.001))

    @property
    def hop(self) -> int:
        """Samples from the beginning of a frame to that of the next."""
        return max(1, int(self.sample_rate * self.hop_ms * 0.001))

    def frames(self, size: int) -> int:
        """Frames of an utterance of so many samples: at least one, none of an empty one."""
        return 0 if size < 1 else max(1, 1 + (size - self.window) // self.hop)


@dataclass(frozen=True)
class LineFeatures:
    """A text-line image as a sequence of columns, left to right."""

    kind: Literal["pixels", "geometric"] = "pixels"  # geometric: nine numbers a column (Marti & Bunke 2001)
    height: int = 64  # rows after normalization; the width keeps the aspect ratio
    polarity: Literal["auto", "dark_on_light", "light_on_dark"] = "auto"
    contrast: Literal["stretch", "background", "none"] = "stretch"
    crop: bool = True  # cut empty margins
    deskew: bool = False  # level the base line
    deslant: bool = False  # stand the strokes upright
    normalize: Literal["corpus", "none"] = "corpus"

    def __post_init__(self) -> None:
        require(8 <= self.height <= 512, "height", "must lie between 8 and 512")


@dataclass(frozen=True)
class StrokeFeatures:
    """A pen trace as a sequence of equally spaced points, each described by 25 numbers (Graves et al. 2009)."""

    kind: Literal["strokes"] = "strokes"
    spacing: float = 0.2  # distance of the points, as a share of the height of letters such as x
    deskew: bool = True  # level the base line
    deslant: bool = True  # stand the strokes upright
    scale_width: bool = True  # scale the width by the number of strokes
    hats: bool = True  # turn dots and crossbars into a mark; false where accents tell letters apart
    normalize: Literal["corpus", "none"] = "corpus"

    def __post_init__(self) -> None:
        require(0.02 <= self.spacing <= 1, "spacing", "must lie between 0.02 and 1")


Features = AudioFeatures | LineFeatures | StrokeFeatures
IMAGE_CLEANING = ("polarity", "contrast", "crop", "deskew", "deslant")  # the result is ink on paper of the same height either way


def are_compatible(one: Features, other: Features) -> bool:
    """Whether weights trained with one kind of features can go on with the other.

    They can if both are equal but for how images are cleaned and sound is dithered.
    """
    if isinstance(one, LineFeatures) and isinstance(other, LineFeatures):
        one = replace(one, **{key: getattr(other, key) for key in IMAGE_CLEANING})
    if isinstance(one, AudioFeatures) and isinstance(other, AudioFeatures):
        one = replace(one, dither=other.dither)
    return one == other
