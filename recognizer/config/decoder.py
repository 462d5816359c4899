"""Typed settings of decoding: from log-probs to text, and from evidence to confidence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from recognizer.config.schema import require, require_each, require_not_negative, require_shares

MAX_BEAM = 100_000  # prefixes: some hundred megabytes; more than some thousand change no text
UNITS = "units"  # in `combine_with`: the second output of the recognizer's own network
DECODER_FILES = ("lm", "char_lm", "lexicon", "combine_lexicon")  # settings of DecoderConfig that name files


@dataclass(frozen=True)
class PlattScaling:
    """Logistic regression from two pieces of evidence, both in log-odds, to a probability (Platt 1999).

    Log-odds of the probability: ``bias + posterior * log-odds of the N-best posterior + peak * log-odds of the peak``.
    """

    posterior: float
    peak: float
    bias: float

    def __post_init__(self) -> None:
        require_not_negative(self, "posterior peak")
        require(math.isfinite(self.bias), "bias", "must be a finite number")


@dataclass(frozen=True)
class Calibration:
    """What was fitted on development data, and how well it held for speakers or writers left out of a fit."""

    tokens: PlattScaling
    words: PlattScaling
    token_error: float = 0.0  # expected calibration error of symbols
    word_error: float = 0.0  # of words


@dataclass(frozen=True)
class DecoderConfig:
    """How log-probs become labels. `recognizer tune` finds the weights; files are paths, or names within a bundle."""

    kind: Literal["greedy", "beam"] = "greedy"
    beam_size: int = 50  # prefixes kept in each frame; 1 without models is greedy
    beam_size_token: int = 40  # most labels that a frame may append to a prefix
    token_threshold: float = 7.0  # nats below the likeliest label of a frame; less likely ones are not appended
    beam_threshold: float = 25.0  # nats below the best prefix
    blank_skip: float = 0.999  # from this probability of the blank on, a frame appends nothing; 1: never
    labels_per_frame: int = 4  # objective=transducer: most labels written in one frame
    lm: str | None = None  # n-gram model of words or of characters, as `recognizer lm` writes it
    lm_weight: float = 0.5
    char_lm: str | None = None  # n-gram model of characters (or units) beside a word model
    char_lm_weight: float = 0.5
    lexicon: str | None = None  # words and their spellings or pronunciations
    vocabulary: Literal["auto", "open", "closed"] = "auto"  # closed: only words of the lexicon or word model; auto: if there is a lexicon
    unk_score: float = -5.0  # nats added for a word outside the vocabulary
    word_score: float = 0.0  # nats added for every word where words are known, else for every symbol
    token_score: float = 0.0  # nats added for every symbol where words are known: CTC tends to leave symbols out
    words: bool = True  # where a lexicon makes words of units, write words; false: the units that they are made of
    combine_with: str | None = None  # a second recognizer of the same input, whose hypotheses and scores join: name, or path from the bundle;
    # units: the network's own second output (model.units_layer)
    combine_weight: float = 0.5  # its share of the acoustic score
    combine_lexicon: str | None = None  # how it spells or pronounces the words
    ctc_weight: float = 0.3  # objective=joint: share of the CTC prefix score; the attention decoder has the rest
    calibration: Calibration | None = None  # from evidence to confidence; found by `recognizer tune`

    @property
    def closed(self) -> bool:
        """Whether only words of a list may be written."""
        return self.vocabulary == "closed" or (self.vocabulary == "auto" and self.lexicon is not None)

    @property
    def partner(self) -> str | None:
        """The bundle that decides with the recognizer's own, if there is one."""
        return None if self.combine_with == UNITS else self.combine_with

    def __post_init__(self) -> None:
        require_each(self, "beam_size beam_size_token token_threshold beam_threshold labels_per_frame", lambda value: value > 0, "must be positive")
        require(self.beam_size <= MAX_BEAM, "beam_size", f"must be at most {MAX_BEAM:,}")
        require(0 < self.blank_skip <= 1, "blank_skip", "must lie in (0, 1]")
        require_not_negative(self, "lm_weight char_lm_weight")
        require_each(self, "unk_score word_score token_score", lambda score: abs(score) < float("inf"), "must be a finite number")
        require_shares(self, "combine_weight ctc_weight")
        known = bool(self.lexicon or self.lm or self.combine_lexicon)
        require(self.vocabulary != "closed" or known, "vocabulary", "closed needs decoder.lexicon or a word model in decoder.lm")
