"""Text that models are estimated from: files in, cleaned sentences out, and the numbers of their symbols."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np

from recognizer.config import TextConfig
from recognizer.data.manifest import load_manifest
from recognizer.errors import ConfigError, InputError
from recognizer.lm.ngram import END, SPECIAL, START, UNKNOWN, Level, Sentence, split_sentence
from recognizer.text.bidi import to_visual
from recognizer.text.normalize import clean
from recognizer.utils.reading import open_text

MAX_HELD_CHARACTERS = 1 << 16  # of running text that is held before it is cut, even if no paragraph ends
BATCH = 4096  # sentences that are numbered at a time

# A full stop, question or exclamation mark with what closes quotations after it, white space, and a capital, a digit or
# an opening mark; no end is seen after a single capital (J. Smith) or a title.
_END = re.compile(r"(?<=[.!?…])[\"'\u2019”»)\]]*(?:\s»)?\s+(?=[\"'\u2018“«(\[¿¡—-]*\s?[^\W_a-zß-öø-ÿ])")
_NO_END = re.compile(r"(?:^|[\s\"'(\u2018“«])(?:[^\W\d_]|Mr|Mrs|Ms|Dr|St|Mme|Mlle|MM|Prof|Rev|Hon|Capt|Col|Gen|Sr|Jr|No|vol|cf|vs)\.$")
_EDGE_MARKS = re.compile(r"(?:(?<=\s)|^)['\u2019-]+|['\u2019-]+(?=\s|$)|--+")


def read_sentences(
    paths: Iterable[str | Path], config: TextConfig | None = None, running: bool = False, punctuation: bool = True, visual: bool = False
) -> Iterator[str]:
    """Sentences of text files (UTF-8, plain or gzip; ``-`` is standard input), cleaned as transcripts are; empty ones are left out.

    Args:
        paths: read one after the other; text files are never held as a whole. Of a manifest (``.jsonl``) the transcripts are the
            lines: the texts, of items without one the units with spaces between them.
        config: case, dropped characters, characters that become a space.
        running: the files are running text, to be cut where a sentence or paragraph ends; by default a line is a sentence.
        punctuation: False drops all punctuation and symbols but apostrophes and hyphens within words.
        visual: put right-to-left text into visual order, in which recognizers of line images and pen traces read it.

    Raises:
        InputError: a file cannot be read or is not UTF-8; the message names file and line.
        ManifestError: a manifest cannot be read.
    """
    config = config or TextConfig()
    for path in paths:
        lines = _read_lines(path)
        for sentence in _cut_running(lines) if running else lines:
            if not punctuation:
                sentence = _EDGE_MARKS.sub(" ", sentence.translate(_punctuation()))
            if cleaned := clean(sentence, config):
                yield to_visual(cleaned) if visual else cleaned


def cut_sentences(text: str) -> list[str]:
    """Sentences of a paragraph: cut after ``.``, ``!``, ``?`` and what closes quotations, before a capital or a digit."""
    sentences, begin = [], 0
    for match in _END.finditer(text):
        if not _NO_END.search(text[max(begin, match.start() - 8) : match.start()]):
            sentences.append(text[begin : match.end()].strip())
            begin = match.end()
    return [*sentences, text[begin:].strip()] if text[begin:].strip() else sentences


class Vocabulary:
    """Numbers the symbols of a text as they come, counts them, and chooses those that a model keeps."""

    def __init__(self, level: Level) -> None:
        self._level: Level = level
        self._ids: dict[str, int] = defaultdict(lambda: len(self._ids))  # a new symbol gets the next number
        self._ids.update({symbol: number for number, symbol in enumerate(SPECIAL)})
        self._counts = np.zeros(len(SPECIAL), dtype=np.int64)
        self.sentences = 0
        self.tokens = 0  # ends of sentences included

    def encode(self, sentences: Iterable[Sentence]) -> Iterator[np.ndarray]:
        """Numbers of the symbols in the order of the text, int32, each sentence ended by that of ``</s>``.

        Raises:
            InputError: ``<s>`` or ``</s>`` is a symbol of a sentence.
        """
        rest = iter(sentences)
        seen = 0
        while batch := [split_sentence(sentence, self._level) for sentence in islice(rest, BATCH)]:
            filled = [sentence for sentence in batch if len(sentence)]
            tokens = [symbol for sentence in filled for symbol in (*sentence, SPECIAL[END])]
            ids = np.fromiter(map(self._ids.__getitem__, tokens), dtype=np.int32, count=len(tokens))
            counts = np.bincount(ids, minlength=len(self._ids))
            if counts[START] or counts[END] != len(filled):
                self._refuse(batch, seen)
            counts[: len(self._counts)] += self._counts
            self._counts = counts
            seen += len(batch)
            self.sentences += len(filled)
            self.tokens += len(tokens)
            yield ids

    def choose(self, vocabulary: int | Iterable[str] | None) -> tuple[tuple[str, ...], np.ndarray]:
        """The symbols of the model, and for each number given out so far the id of its symbol, that of ``<unk>`` if it is not kept.

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
        elif not (chosen := sorted(set(vocabulary) - {*SPECIAL, ""})):
            raise ConfigError("vocabulary: is empty")
        symbols = (*SPECIAL, *chosen)
        new = {symbol: number for number, symbol in enumerate(symbols)}
        return symbols, np.array([new.get(symbol, UNKNOWN) for symbol in self._ids], dtype=np.int32)

    def _refuse(self, batch: Iterable[Iterable[str]], seen: int) -> None:
        for number, sentence in enumerate(batch, start=seen + 1):
            for symbol in sentence:
                if symbol in (SPECIAL[START], SPECIAL[END]):
                    raise InputError(f"sentence {number}: {symbol!r} stands for the edge of a sentence and cannot be a word; take it out of the text")


def _read_lines(path: str | Path) -> Iterator[str]:
    if str(path).endswith(".jsonl"):
        yield from (item.text if item.text is not None else " ".join(item.units or ()) for item in load_manifest(path))
    else:
        with open_text(path) as lines:
            yield from lines


def _cut_running(lines: Iterable[str]) -> Iterator[str]:
    held: list[str] = []
    size = 0
    for line in lines:
        if not line.strip():
            yield from cut_sentences(" ".join(held))
            held, size = [], 0
            continue
        held.append(line)
        size += len(line)
        if size >= MAX_HELD_CHARACTERS:
            *done, last = cut_sentences(" ".join(held))
            yield from done
            held, size = [last], len(last)
            if size >= MAX_HELD_CHARACTERS:
                yield last
                held, size = [], 0
    yield from cut_sentences(" ".join(held))


@cache
def _punctuation() -> dict[int, str]:
    """A space for every character of punctuation or symbol but apostrophes and the hyphen."""
    return {code: " " for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] in "PS" and chr(code) not in "'\u2019-"}
