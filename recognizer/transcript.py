"""What comes out of a recogniser: transcripts, and the log-probs they are read from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recognizer.decoding.timing import Clock, Token, Word


@dataclass(frozen=True)
class Alternative:
    """Another reading of a source: its text and total score."""

    text: str
    score: float


@dataclass(frozen=True)
class Transcript:
    """What was recognised in one source.

    Attributes:
        source: the path, or ``array N`` for the N-th array.
        text: characters run together, or units separated by spaces, or the words that a lexicon makes of units; empty where
            ``error`` is set.
        units: the recognised symbols.
        score: total log score, ``acoustic + language + bonus`` (:class:`~recognizer.decoding.hypothesis.Hypothesis`).
        acoustic, language, bonus: its parts.
        seconds: duration of a recording; ``width``: columns of a prepared line, or points of a prepared pen trace.
        error: why the source could not be used, one line that names it; None where it could.
        tokens, words: symbols and words with times, where these were asked for.
        alternatives: the other hypotheses of an N-best list, best first.
    """

    source: str
    text: str = ""
    units: tuple[str, ...] = ()
    score: float = 0.0
    acoustic: float = 0.0
    language: float = 0.0
    bonus: float = 0.0
    seconds: float | None = None
    width: int | None = None
    error: str | None = None
    tokens: tuple[Token, ...] = ()
    words: tuple[Word, ...] = ()
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class Emission:
    """What the network says about one source.

    Attributes:
        source: the path, or ``array N``.
        log_probs: (T, V) float32; None where ``error`` is set.
        table: what the decoder takes: the log-probs and, if there is a second recogniser, its own beside them, (T, V + V2).
        error: why the source could not be used.
        seconds: duration of a recording; ``width``: columns of a prepared line, or points of a prepared pen trace.
        clock: what a frame is in seconds, in pixels of the picture, or in points of the prepared trace.
        content: what the network was given, where it was to be kept.
    """

    source: str
    log_probs: np.ndarray | None = None
    table: np.ndarray | None = None
    error: str | None = None
    seconds: float | None = None
    width: int | None = None
    clock: Clock | None = None
    content: np.ndarray | None = None
