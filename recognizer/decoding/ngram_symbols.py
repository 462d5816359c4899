"""The symbols of a text that a model is estimated from: numbered as they come, and the vocabulary that is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from recognizer.decoding.ngram import END, SPECIAL, START, UNKNOWN, Level, split
from recognizer.errors import ConfigError, InputError

BATCH = 4096  # sentences


class Encoder:
    """Numbers the symbols of a text as they come and counts them."""

    def __init__(self, level: Level) -> None:
        self._level: Level = level
        self._ids = _Numbers({symbol: number for number, symbol in enumerate(SPECIAL)})
        self._counts = np.zeros(len(SPECIAL), dtype=np.int64)
        self.sentences = 0
        self.tokens = 0  # ends of sentences included

    def encode(self, sentences: Iterable[str | Sequence[str]]) -> Iterator[np.ndarray]:
        """Numbers of the symbols in the order of the text, int32, a sentence being ended by that of ``</s>``.

        Raises:
            InputError: ``<s>`` or ``</s>`` is a symbol of a sentence.
        """
        rest = iter(sentences)
        seen = 0
        while batch := list(islice(rest, BATCH)):
            parts = [part for part in (split(sentence, self._level) for sentence in batch) if len(part)]
            tokens = [symbol for part in parts for symbol in (*part, SPECIAL[END])]
            ids = np.fromiter(map(self._ids.__getitem__, tokens), dtype=np.int32, count=len(tokens))
            counts = np.bincount(ids, minlength=len(self._ids))
            if counts[START] or counts[END] != len(parts):
                self._refuse(batch, seen)
            counts[: len(self._counts)] += self._counts
            self._counts = counts
            seen += len(batch)
            self.sentences += len(parts)
            self.tokens += len(tokens)
            yield ids

    def choose(self, vocabulary: int | Iterable[str] | None) -> tuple[tuple[str, ...], np.ndarray]:
        """The symbols of the model, and for each number given out so far the id of its symbol, that of ``<unk>`` if it has none.

        Args:
            vocabulary: symbols, or how many of the most frequent ones (the first in code point order of equally frequent
                ones), ``<unk>``, ``<s>`` and ``</s>`` not counted; None: all.

        Raises:
            ConfigError: none is left.
        """
        found = list(self._ids)[len(SPECIAL) :]
        if vocabulary is None:
            chosen = sorted(found)
        elif isinstance(vocabulary, int):
            if vocabulary < 1:
                raise ConfigError(f"vocabulary: {vocabulary} symbols leave none; at least 1")
            counts = dict(zip(found, self._counts[len(SPECIAL) :].tolist(), strict=True))
            chosen = sorted(sorted(found, key=lambda symbol: (-counts[symbol], symbol))[:vocabulary])
        else:
            chosen = sorted(set(vocabulary) - {*SPECIAL, ""})
            if not chosen:
                raise ConfigError("vocabulary: is empty")
        new = {symbol: number for number, symbol in enumerate([*SPECIAL, *chosen])}
        return (*SPECIAL, *chosen), np.array([new.get(symbol, UNKNOWN) for symbol in self._ids], dtype=np.int32)

    def _refuse(self, batch: list[str | Sequence[str]], seen: int) -> None:
        for number, sentence in enumerate(batch, start=seen + 1):
            for symbol in split(sentence, self._level):
                if symbol in (SPECIAL[START], SPECIAL[END]):
                    raise InputError(f"sentence {number}: {symbol!r} stands for the edge of a sentence and cannot be a word; take it out of the text")


class _Numbers(dict[str, int]):
    """Gives the next number to a symbol that has none."""

    def __missing__(self, symbol: str) -> int:
        self[symbol] = number = len(self)
        return number
