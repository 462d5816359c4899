"""Times: from the frames of an alignment to seconds of a recording or pixels of a line image, for tokens and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

# How far a word goes beyond its labels' spikes. On 527 words of TIMIT (a phone network with a frame of 30 ms) word limits then
# lie 26 ms from the hand-made ones on average; with 0 they lie 28 (start) and 44 ms (end), with 0.15 s 37 and 29 ms.
WORD_REACH_SECONDS = 0.05
WORD_REACH_HEIGHTS = 0.25  # of the line: about half a letter


@dataclass(frozen=True)
class Token:
    """One symbol where it was heard or seen.

    Attributes:
        symbol: what the alphabet calls it; the space between words is a token too.
        start, end: seconds of a recording, or pixels from the left edge of a line image.
        confidence: estimated probability that the symbol is right, 0..1; None where it was not estimated.
    """

    symbol: str
    start: float
    end: float
    confidence: float | None = None


@dataclass(frozen=True)
class Word:
    """One word where it was heard or seen; start, end and confidence as in :class:`Token`."""

    text: str
    start: float
    end: float
    confidence: float | None = None


Span = tuple[int, int]  # first token of a word, and the one after its last
Timed = TypeVar("Timed", Token, Word)


@dataclass(frozen=True)
class Clock:
    """What a frame number means: frame ``n`` begins at ``offset + n * step``.

    Attributes:
        step: seconds or pixels from one frame to the next.
        reach: how far a word may go beyond the frames of its own labels.
        offset: where the first frame begins.
        end: where the recording or image ends; no time lies beyond. Frames may, where a front-end rounds up.
    """

    step: float
    reach: float
    offset: float = 0.0
    end: float = float("inf")

    @classmethod
    def of_audio(cls, seconds_per_frame: float, seconds: float) -> Clock:
        """Times in seconds for a recording of so many ``seconds``."""
        return cls(seconds_per_frame, WORD_REACH_SECONDS, end=seconds)

    @classmethod
    def of_line(cls, columns_per_frame: float, height: int, columns: int, offset: float = 0.0, scale: float = 1.0) -> Clock:
        """Pixels for a line of so many prepared ``columns`` of ``height`` rows.

        ``offset`` and ``scale`` (:class:`~recognizer.features.line.Placement`) make them pixels of the picture as it was;
        without them they are prepared columns.
        """
        return cls(columns_per_frame * scale, WORD_REACH_HEIGHTS * height * scale, offset, offset + columns * scale)

    def at(self, frame: int) -> float:
        """Where a frame begins, from 0 to ``end``."""
        return min(max(self.offset + frame * self.step, 0.0), self.end)


def time_tokens(
    symbols: Sequence[str], starts: Sequence[int], stops: Sequence[int], clock: Clock, confidences: Sequence[float] | None = None
) -> tuple[Token, ...]:
    """Tokens of an alignment: each lies where its label's run of frames does.

    CTC emits a label as a spike somewhere within the sound or the letter, often one frame long; between the spikes lies
    blank. A token's start is a good place to point to, its length says little.
    """
    trusts = confidences if confidences is not None else [None] * len(symbols)
    return tuple(
        Token(symbol, clock.at(start), clock.at(stop), trust) for symbol, start, stop, trust in zip(symbols, starts, stops, trusts, strict=True)
    )


def time_words(
    tokens: Sequence[Token], spans: Sequence[Span], clock: Clock, texts: Sequence[str] | None = None, confidences: Sequence[float] | None = None
) -> tuple[Word, ...]:
    """Words as people expect their times: they meet in running speech and stay apart at pauses (:func:`fill_gaps`).

    Args:
        tokens: as :func:`time_tokens` gives them.
        spans: the tokens of each word; :func:`split_words` finds those of characters, a lexicon decode knows its own.
        clock: that of the tokens.
        texts: what the words are called; None: their symbols run together.
        confidences: one for each word.
    """
    return fill_gaps(join_words(tokens, spans, texts, confidences), clock.reach, clock.end)


def split_words(symbols: Sequence[str], space: str = " ") -> list[Span]:
    """Spans of the words of a sequence of characters: what lies between spaces, however many."""
    spans, begin = [], 0
    for end in [i for i, symbol in enumerate(symbols) if symbol == space] + [len(symbols)]:
        if begin < end:
            spans.append((begin, end))
        begin = end + 1
    return spans


def join_words(
    tokens: Sequence[Token], spans: Sequence[Span], texts: Sequence[str] | None = None, confidences: Sequence[float] | None = None
) -> tuple[Word, ...]:
    """As :func:`time_words`, from the start of a word's first token to the end of its last and no further."""
    names = texts if texts is not None else ["".join(token.symbol for token in tokens[begin:end]) for begin, end in spans]
    trusts = confidences if confidences is not None else [None] * len(spans)
    return tuple(
        Word(text, tokens[begin].start, tokens[end - 1].end, trust) for text, (begin, end), trust in zip(names, spans, trusts, strict=True)
    )


def fill_gaps(items: Sequence[Timed], reach: float, end: float = float("inf")) -> tuple[Timed, ...]:
    """Stretch tokens or words into the gaps between them: to the middle of each gap, but by no more than ``reach``.

    Order is kept and nothing comes to overlap; the first may grow towards 0, the last towards ``end``.
    """
    filled = []
    for i, item in enumerate(items):
        before = items[i - 1].end if i > 0 else -item.start
        after = items[i + 1].start if i + 1 < len(items) else 2 * end - item.end
        start = max(item.start - reach, min(item.start, (before + item.start) / 2))
        stop = min(item.end + reach, max(item.end, (item.end + after) / 2))
        filled.append(replace(item, start=start, end=stop))
    return tuple(filled)
