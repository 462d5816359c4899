"""Settings by which evidence for a symbol or a word becomes its confidence; part of a bundle's ``config.yaml``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recognizer.strict import require


@dataclass(frozen=True)
class Logistic:
    """Logistic regression from two pieces of evidence, both in log-odds, to a probability (Platt 1999).

    Log-odds of the probability: ``bias + posterior * log-odds of the N-best posterior + peak * log-odds of the peak``.
    """

    posterior: float
    peak: float
    bias: float

    def __post_init__(self) -> None:
        for key in ("posterior", "peak"):
            require(0 <= getattr(self, key) < math.inf, key, "must be a finite number of 0 or more")
        require(math.isfinite(self.bias), "bias", "must be a finite number")


@dataclass(frozen=True)
class Calibration:
    """What was fitted on development data, and how well it held for speakers or writers left out of a fit."""

    tokens: Logistic
    words: Logistic
    token_error: float = 0.0  # expected calibration error of symbols
    word_error: float = 0.0  # of words
