"""What users get: transcripts with their tokens, words, lines and alternatives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Token:
    """One symbol, and where it is.

    Attributes:
        symbol: a character or a unit.
        start, end: seconds; pixels of the picture as it was given; points of the prepared pen trace.
        confidence: probability that it is right; None where that was not asked for.
    """

    symbol: str
    start: float
    end: float
    confidence: float | None = None


@dataclass(frozen=True)
class Word:
    """One word, and where it is; start, end and confidence as in :class:`Token`.

    Attributes:
        box: left, top, right, bottom in pixels of the page, where the word stands on one.
    """

    text: str
    start: float
    end: float
    confidence: float | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Alternative:
    """Another hypothesis for an input: its text and total score."""

    text: str
    score: float


@dataclass(frozen=True)
class Line:
    """One line of a page, and what was recognized in it.

    Attributes:
        id: in the layout that was given, or ``line_N``.
        outline: corners (x, y) of the polygon around it, in pixels of the page; ``baseline``: points from its beginning to its end, if known.
        region: id of the region of the page that it belongs to.
        text: what was recognized; empty where ``error`` is set.
        words: with ``start``, ``end`` and ``box`` in pixels of the page, where times were asked for.
        confidence: probability that the text is right, where that is known.
        error: why the line could not be used.
    """

    id: str
    outline: tuple[tuple[float, float], ...]
    baseline: tuple[tuple[float, float], ...] = ()
    region: str = ""
    text: str = ""
    words: tuple[Word, ...] = ()
    confidence: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Transcript:
    """What was recognized in one input.

    Attributes:
        source: the path, or ``array N`` for the N-th array.
        text: characters run together, or units separated by spaces, or the words that a lexicon makes of units; empty where
            ``error`` is set.
        units: the recognized symbols.
        score: total log score, ``acoustic + language + bonus`` (:class:`~recognizer.decoding.hypothesis.Hypothesis`).
        acoustic, language, bonus: its parts.
        seconds: duration of a recording; ``width``: columns of a prepared line, or points of a prepared pen trace.
        error: why the input could not be used, one line that names it; None where it could.
        tokens, words: symbols and words with times, where these were asked for.
        alternatives: the other hypotheses of an N-best list, best first.
        lines: of a page, in reading order; ``text`` is theirs, one below the other, and ``width`` and ``height`` are the page's in pixels.
        channel: of a recording, where it was chosen or where each is a transcript of its own: "left", "right", "mix".
        page: number of the page in its file, from 1, where the file holds several.
        given: the input itself and its sample rate, for showing them in a notebook, where it was recognized by itself; not pickled.
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
    lines: tuple[Line, ...] = ()
    height: int | None = None
    channel: str | None = None
    page: int | None = None
    given: Any = field(default=None, repr=False, compare=False)

    @property
    def confidence(self) -> float | None:
        """The share of the words that are likely to be right (of the tokens where there are no words); None where times were not asked for."""
        words: Sequence[Word | Token] = [word for line in self.lines for word in line.words] or self.words or self.tokens
        known = [word.confidence for word in words if word.confidence is not None]
        return sum(known) / len(known) if known else None

    def to(self, format: str) -> str:
        """This transcript in an output format, the text that ``recognizer transcribe -f FORMAT`` writes.

        Args:
            format: such as "txt", "srt", "vtt", "tsv", "json", "ctm", "textgrid", "alto", "page".

        Raises:
            ConfigError: an unknown format.
            InputError: the format needs times, and they were not asked for, or it is for another kind of input.
        """
        from recognizer import render  # looked up when it is called: formats know types, and not the other way round

        return render(self, format)

    def to_dict(self) -> dict[str, Any]:
        """Its parts as values that JSON can hold; what is unknown is left out."""
        record: dict[str, Any] = json.loads(self.to("jsonl"))
        return record

    def to_json(self) -> str:
        """One JSON object, indented."""
        return self.to("json")

    def to_srt(self) -> str:
        """SubRip subtitles of a recording with times; raises as :meth:`to`."""
        return self.to("srt")

    def to_vtt(self) -> str:
        """WebVTT subtitles of a recording with times; raises as :meth:`to`."""
        return self.to("vtt")

    def _repr_html_(self) -> str:
        from recognizer import render_html

        return render_html(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "given": None}  # a result that another process sends is not to carry its recording with it
