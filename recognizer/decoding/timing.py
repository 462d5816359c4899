"""Times: from the frames of an alignment to seconds of a recording or pixels of a line image, for tokens and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import repeat

from recognizer.types import Token, Word

# How far a word goes beyond its labels' spikes. On 527 words of TIMIT (a phone network with a frame of 30 ms) word limits then
# lie 26 ms from the hand-made ones on average; with 0 they lie 28 (start) and 44 ms (end), with 0.15 s 37 and 29 ms.
WORD_REACH_SECONDS = 0.05
WORD_REACH_HEIGHTS = 0.25  # of the line: about half a letter

Span = tuple[int, int]  # first token of a word, and the one after its last


@dataclass(frozen=True)
class FrameTimes:
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
    def of_audio(cls, seconds_per_frame: float, seconds: float) -> FrameTimes:
        """Times in seconds for a recording of so many ``seconds``."""
        return cls(seconds_per_frame, WORD_REACH_SECONDS, end=seconds)

    @classmethod
    def of_line(cls, columns_per_frame: float, height: int, columns: int, offset: float = 0.0, scale: float = 1.0) -> FrameTimes:
        """Pixels for a line of so many prepared ``columns`` of ``height`` rows.

        ``offset`` and ``scale`` (:class:`~recognizer.image.normalize.ColumnTransform`) make them pixels of the picture as it was;
        without them they are prepared columns.
        """
        return cls(columns_per_frame * scale, WORD_REACH_HEIGHTS * height * scale, offset, offset + columns * scale)

    def at(self, frame: int) -> float:
        """Where a frame begins, from 0 to ``end``."""
        return min(max(self.offset + frame * self.step, 0.0), self.end)


def time_tokens(
    symbols: Sequence[str], starts: Sequence[int], stops: Sequence[int], times: FrameTimes, confidences: Sequence[float] | None = None
) -> tuple[Token, ...]:
    """Tokens of an alignment: each lies where its label's run of frames does.

    CTC emits a label as a spike somewhere within the sound or the letter, often one frame long; between the spikes lies
    blank. A token's start is a good place to point to, its length says little.
    """
    rows = zip(symbols, starts, stops, confidences or repeat(None, len(symbols)), strict=True)
    return tuple(Token(symbol, times.at(start), times.at(stop), confidence) for symbol, start, stop, confidence in rows)


def time_words(
    tokens: Sequence[Token], spans: Sequence[Span], times: FrameTimes, texts: Sequence[str] | None = None, confidences: Sequence[float] | None = None
) -> tuple[Word, ...]:
    """Words as people expect their times: they meet in running speech and stay apart at pauses (:func:`fill_gaps`).

    Args:
        tokens: as :func:`time_tokens` gives them.
        spans: the tokens of each word; :func:`split_words` finds those of characters, a lexicon decode knows its own.
        times: of the tokens.
        texts: what the words are called; None: their symbols run together.
        confidences: one for each word.
    """
    names = texts if texts is not None else ["".join(token.symbol for token in tokens[begin:end]) for begin, end in spans]
    rows = zip(names, spans, confidences or repeat(None, len(spans)), strict=True)
    words = [Word(text, tokens[begin].start, tokens[end - 1].end, confidence) for text, (begin, end), confidence in rows]
    return fill_gaps(words, times.reach, times.end)


def split_words(symbols: Sequence[str], space: str = " ") -> list[Span]:
    """Spans of the words of a sequence of characters: what lies between spaces, however many."""
    spans, begin = [], 0
    for end in [i for i, symbol in enumerate(symbols) if symbol == space] + [len(symbols)]:
        if begin < end:
            spans.append((begin, end))
        begin = end + 1
    return spans


def fill_gaps(words: Sequence[Word], reach: float, end: float = float("inf")) -> tuple[Word, ...]:
    """Stretch words into the gaps between them: to the middle of each gap, but by no more than ``reach``.

    Order is kept and nothing comes to overlap; the first may grow towards 0, the last towards ``end``.
    """
    filled = []
    for i, word in enumerate(words):
        before = words[i - 1].end if i > 0 else -word.start
        after = words[i + 1].start if i + 1 < len(words) else 2 * end - word.end
        start = max(word.start - reach, min(word.start, (before + word.start) / 2))
        stop = min(word.end + reach, max(word.end, (word.end + after) / 2))
        filled.append(replace(word, start=start, end=stop))
    return tuple(filled)
