"""Symbols, tokens and words in the order in which they are read.

Labels stand in the order of the frames. Of line images and pen traces that is from left to right, so that right-to-left text has to be
turned around (:mod:`recognizer.text.bidi`); places and confidences go with their symbols. All else passes as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from recognizer.decoding.timing import FrameTimes, Span, fill_gaps, split_words
from recognizer.text.bidi import is_right_to_left, logical_order
from recognizer.types import Token, Word


def order_symbols(symbols: Sequence[str]) -> list[str]:
    """Characters of a line from left to right, as they are read."""
    visual = "".join(symbols)
    return list(logical_order(visual)[0]) if is_right_to_left(visual) else list(symbols)


def order_tokens(
    tokens: tuple[Token, ...], words: tuple[Word, ...], spans: Sequence[Span], times: FrameTimes
) -> tuple[tuple[Token, ...], tuple[Word, ...]]:
    """Tokens and words of a line from left to right, as they are read; those of right-to-left text go from right to left then.

    Args:
        tokens: one for each character.
        words: what lies between spaces from left to right, and of which tokens (``spans``). In mixed text a word may
            be another one when it is read: it reaches from its first token on the line to its last, and has the lowest confidence
            of the words that its tokens stood in.
        times: of the tokens.
    """
    visual = "".join(token.symbol for token in tokens)
    if not is_right_to_left(visual):
        return tokens, words
    text, order = logical_order(visual)
    confidences = {index: word.confidence for word, span in zip(words, spans, strict=True) for index in range(*span)}
    read: list[Word] = []
    for begin, end in split_words(text):
        indices = sorted(order[begin:end])
        known = [confidence for index in indices if (confidence := confidences.get(index)) is not None]
        read.append(Word(text[begin:end], tokens[indices[0]].start, tokens[indices[-1]].end, min(known, default=None)))
    places = sorted(range(len(read)), key=lambda number: read[number].start)
    for number, word in zip(places, fill_gaps([read[number] for number in places], times.reach, times.end), strict=True):
        read[number] = word
    return tuple(replace(tokens[index], symbol=symbol) for symbol, index in zip(text, order, strict=True)), tuple(read)
