"""Typed settings of the random changes in training; every key, its unit, its default and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recognizer.strict import require


@dataclass(frozen=True)
class AudioAugment:
    """Random changes of a recording and of its features; each range is drawn from anew for every item and epoch."""

    kind: Literal["audio"] = "audio"
    speed: tuple[float, float] = (1.0, 1.0)  # factor; changes pitch and tempo (Ko et al. 2015)
    tempo: tuple[float, float] = (1.0, 1.0)  # factor; keeps the pitch
    gain_db: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0  # probability of additive noise
    noise_snr_db: tuple[float, float] = (10.0, 40.0)
    noise_colour: tuple[float, float] = (0.0, 1.0)  # exponent of its spectrum 1 / f ** colour: 0 white, 1 pink, 2 brown, like rumble
    reverb: float = 0.0  # probability of an echoing room
    reverb_seconds: tuple[float, float] = (0.15, 0.8)  # time in which the echo falls by 60 dB
    reverb_direct_db: tuple[float, float] = (0.0, 15.0)  # energy of the direct sound over that of the echo
    telephone: float = 0.0  # probability of a line of 8 kHz and less than its whole band
    telephone_mu_law: float = 0.5  # probability that the line codes samples in 8 bits (ITU-T G.711)
    vocal_tract: tuple[float, float] = (1.0, 1.0)  # factor that scales the formants of a filter bank's features (Jaitly & Hinton 2013)
    time_masks: int = 0  # SpecAugment (Park et al. 2019)
    time_mask_ms: float = 100.0  # longest time mask
    frequency_masks: int = 0
    frequency_mask_share: float = 0.15  # widest frequency mask, share of the bands

    def __post_init__(self) -> None:
        for key in ("speed", "tempo", "vocal_tract"):
            low, high = getattr(self, key)
            require(0.5 <= low <= high <= 2.0, key, "must be a range within 0.5..2")
        for key in ("gain_db", "noise_snr_db", "reverb_direct_db"):
            low, high = getattr(self, key)
            require(low <= high, key, "must be a range, lower end first")
        for key, least, most in (("noise_colour", -2.0, 3.0), ("reverb_seconds", 0.05, 5.0)):
            low, high = getattr(self, key)
            require(least <= low <= high <= most, key, f"must be a range within {least:g}..{most:g}")
        for key in ("noise", "reverb", "telephone", "telephone_mu_law"):
            require(0 <= getattr(self, key) <= 1, key, "is a probability")
        require(self.time_masks >= 0, "time_masks", "cannot be negative")
        require(self.frequency_masks >= 0, "frequency_masks", "cannot be negative")
        require(self.time_mask_ms >= 0, "time_mask_ms", "cannot be negative")
        require(0 <= self.frequency_mask_share <= 1, "frequency_mask_share", "is a share")


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
    contrast: float = 0.0  # share by which ink density and paper grey vary
    blur: float = 0.0  # largest standard deviation, pixels
    noise: float = 0.0  # largest standard deviation, share of the grey range
    ruling: float = 0.0  # probability of drawn ruled lines
    bleed: float = 0.0  # probability of the reverse side (or a neighbour's ink) shining through
    neighbours: float = 0.0  # probability that parts of the lines above and below are in the picture, which makes the text smaller

    def __post_init__(self) -> None:
        for key in ("probability", "thickness", "ruling", "bleed", "neighbours"):
            require(0 <= getattr(self, key) <= 1, key, "is a probability")
        for key in ("scale", "shear", "rotate_degrees", "elastic", "contrast", "blur", "noise"):
            require(getattr(self, key) >= 0, key, "cannot be negative")
        require(self.scale < 1, "scale", "must be below 1")
        require(self.contrast < 1, "contrast", "must be below 1")


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
        require(0 <= self.probability <= 1, "probability", "is a probability")
        for key in ("scale", "shear", "rotate_degrees", "jitter", "speed", "spacing"):
            require(getattr(self, key) >= 0, key, "cannot be negative")
        require(self.scale < 1, "scale", "must be below 1")


@dataclass(frozen=True)
class NoAugment:
    """Items go into training as they are."""

    kind: Literal["none"] = "none"
