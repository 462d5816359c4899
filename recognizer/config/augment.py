"""Typed settings of the random changes in training; every key, its unit, its default and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recognizer.config.schema import require, require_each, require_not_negative, require_shares

Range = tuple[float, float]  # from, to


@dataclass(frozen=True)
class AudioAugment:
    """Random changes of a recording and of its features; a value is drawn from each range for every item and epoch."""

    kind: Literal["audio"] = "audio"
    speed: Range = (1.0, 1.0)  # factor; changes pitch and tempo (Ko et al. 2015)
    tempo: Range = (1.0, 1.0)  # factor; keeps the pitch
    gain_db: Range = (0.0, 0.0)
    noise: float = 0.0  # probability of additive noise
    noise_snr_db: Range = (10.0, 40.0)
    noise_color: Range = (0.0, 1.0)  # exponent of its spectrum 1 / f ** color: 0 white, 1 pink, 2 brown, like rumble
    reverb: float = 0.0  # probability of an echoing room
    reverb_seconds: Range = (0.15, 0.8)  # time in which the echo falls by 60 dB
    reverb_direct_db: Range = (0.0, 15.0)  # energy of the direct sound over that of the echo
    telephone: float = 0.0  # probability of a telephone line: 8 kHz, and a part of that band
    telephone_mu_law: float = 0.5  # probability that the line codes samples in 8 bits (ITU-T G.711)
    vocal_tract: Range = (1.0, 1.0)  # factor that scales the formants of a filter bank's features (Jaitly & Hinton 2013)
    time_masks: int = 0  # SpecAugment (Park et al. 2019)
    time_mask_ms: float = 100.0  # longest time mask
    frequency_masks: int = 0
    frequency_mask_share: float = 0.15  # widest frequency mask, share of the bands

    def __post_init__(self) -> None:
        limits = (
            ("speed tempo vocal_tract", 0.5, 2.0), ("noise_color", -2.0, 3.0), ("reverb_seconds", 0.05, 5.0),
            ("gain_db noise_snr_db reverb_direct_db", -120.0, 120.0),
        )  # fmt: skip
        for keys, low, high in limits:
            message = f"must be a range within {low:g}..{high:g}, lower end first"
            require_each(self, keys, lambda ends, low=low, high=high: low <= ends[0] <= ends[1] <= high, message)  # type: ignore[misc]
        require_shares(self, "noise reverb telephone telephone_mu_law frequency_mask_share")
        require_not_negative(self, "time_masks frequency_masks time_mask_ms")


@dataclass(frozen=True)
class LineAugment:
    """Random changes of a line image; ranges are half-widths around "no change"."""

    kind: Literal["line"] = "line"
    probability: float = 0.9  # of changing an item at all
    scale: float = 0.0  # share by which width and height are scaled, each on its own
    shear: float = 0.0  # horizontal shift per row (slant), tangent of the angle
    rotate_degrees: float = 0.0
    elastic: float = 0.0  # largest displacement of the smooth random field, share of the height (Simard et al. 2003)
    thickness: float = 0.0  # probability of thinner or thicker strokes (erosion, dilation)
    contrast: float = 0.0  # share by which ink density and paper gray vary
    blur: float = 0.0  # largest standard deviation, pixels
    noise: float = 0.0  # largest standard deviation, share of the gray range
    ruling: float = 0.0  # probability of drawn ruled lines
    bleed: float = 0.0  # probability of the reverse side (or a neighbor's ink) shining through
    neighbors: float = 0.0  # probability that parts of the lines above and below are in the picture, which makes the text smaller

    def __post_init__(self) -> None:
        require_shares(self, "probability thickness ruling bleed neighbors")
        require_not_negative(self, "scale shear rotate_degrees elastic contrast blur noise")
        require_each(self, "scale contrast", lambda share: share < 1, "must be below 1")


@dataclass(frozen=True)
class StrokeAugment:
    """Random changes of a pen trace; ranges are half-widths around "no change"."""

    kind: Literal["strokes"] = "strokes"
    probability: float = 0.9  # of changing an item at all
    scale: float = 0.0  # share by which width and height are scaled, each on its own
    shear: float = 0.0  # horizontal shift by height (slant), tangent of the angle
    rotate_degrees: float = 0.0
    jitter: float = 0.0  # standard deviation by which each point is moved, share of the height of letters such as x
    speed: float = 0.0  # share by which the speed is scaled
    spacing: float = 0.0  # share by which the distance of the points is scaled

    def __post_init__(self) -> None:
        require_shares(self, "probability")
        require_not_negative(self, "scale shear rotate_degrees jitter speed spacing")
        require(self.scale < 1, "scale", "must be below 1")


@dataclass(frozen=True)
class NoAugment:
    """Items go into training as they are."""

    kind: Literal["none"] = "none"


Augment = NoAugment | AudioAugment | LineAugment | StrokeAugment
