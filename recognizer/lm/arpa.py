"""ARPA files: the text form of backoff n-gram models that every toolkit reads and writes."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from recognizer.errors import InputError
from recognizer.lm.ngram import END, LOG_ZERO, SPECIAL, START, UNKNOWN, Level, NgramModel
from recognizer.lm.trie import Trie, build_model, list_ngrams
from recognizer.text.alphabet import SPACE
from recognizer.utils.reading import open_text

LN10 = math.log(10)
UNSEEN = -100 * LN10  # natural log of <unk> where the file has none, as in KenLM


class Section(NamedTuple):
    """The n-grams of one order as they stand in the file."""

    ids: np.ndarray  # (M, n) int32
    log_prob: np.ndarray  # (M,), natural
    backoff: np.ndarray
    lines: np.ndarray  # line of each in the file, for errors


def load_arpa(path: str | Path, level: Level | None = None) -> NgramModel:
    """Read an ARPA file, plain or gzip.

    Models that lack suffixes of their n-grams, as SRILM's pruned ones do, are read as they are. An n-gram whose context is
    not listed (but all symbols are) adds the context with the probability and the weight that it has by backing off, which
    changes no score. ``<s>`` gets the log prob ``LOG_ZERO`` whatever the file says.

    Args:
        path: the file; the text before ``\\data\\`` is skipped.
        level: what a symbol is; by default characters if every symbol but ``<unk>``, ``<s>`` and ``</s>`` is a single
            character or ``<space>``, which is read as the space.

    Raises:
        InputError: the file cannot be read or is malformed; the message names file and line and what was expected.
    """
    with open_text(path) as lines:
        reader = _Reader(str(path), lines)
        counts = reader.read_counts()
        level, symbols, unigrams = reader.read_unigrams(counts[0], level)
        sections = [unigrams, *(reader.read_section(n, count, n == len(counts)) for n, count in enumerate(counts[1:], start=2))]
        reader.read_end()
    _add_contexts(sections)
    trie = Trie(len(symbols))
    log_prob, backoff = [unigrams.log_prob], [unigrams.backoff]
    for section in sections[1:]:
        begin = trie.ends[-1]
        order = trie.add(section.ids)
        twice = np.flatnonzero(trie.keys[begin + 1 :] == trie.keys[begin:-1])
        if len(twice):
            one, other = sorted(section.lines[order[twice[0] : twice[0] + 2]].tolist())
            ngram = " ".join(symbols[id] for id in section.ids[order[twice[0]]])
            raise InputError(f"{path}:{other}: {ngram!r} already stands in line {one}")
        log_prob.append(section.log_prob[order])
        backoff.append(section.backoff[order])
    known, weights = np.concatenate(log_prob), np.concatenate(backoff)
    _fill_missing(trie, sections, known, weights)
    return build_model(len(sections), level, symbols, trie, known, weights)


def write_arpa(model: NgramModel, file: TextIO) -> None:
    """Write a model in ARPA form to a text file that is open."""
    symbols = [SPACE if symbol == " " else symbol for symbol in model.symbols]
    orders = list_ngrams(model)
    file.write("\\data\\\n" + "".join(f"ngram {n}={len(each.ids)}\n" for n, each in enumerate(orders, start=1)))
    for n, (ids, log_prob, backoff) in enumerate(orders, start=1):
        file.write(f"\n\\{n}-grams:\n")
        for begin in range(0, len(ids), 1 << 16):
            part = slice(begin, begin + (1 << 16))
            logs = np.where(log_prob[part] == np.float32(LOG_ZERO), -99.0, log_prob[part] / LN10).tolist()
            weights = (backoff[part] / LN10).tolist()
            for log, row, weight in zip(logs, ids[part].tolist(), weights, strict=True):
                shown = "" if n == model.order else f"\t{weight:.7g}"
                file.write(f"{log:.7g}\t{' '.join([symbols[id] for id in row])}{shown}\n")
    file.write("\n\\end\\\n")


def _add_contexts(sections: list[Section]) -> None:
    """List the contexts that are not listed, with NaN for their log probs."""
    for n in range(len(sections) - 1, 1, -1):
        missing = np.setdiff1d(_rows_as_bytes(sections[n].ids[:, :-1]), _rows_as_bytes(sections[n - 1].ids))
        if len(missing):
            added = Section(missing.view(np.int32).reshape(-1, n), np.full(len(missing), np.nan), np.zeros(len(missing)), np.zeros(len(missing)))
            sections[n - 1] = Section(*map(np.concatenate, zip(sections[n - 1], added, strict=True)))


def _rows_as_bytes(ids: np.ndarray) -> np.ndarray:
    """Each row (M, n) as one value."""
    return np.ascontiguousarray(ids, dtype=np.int32).view(np.dtype((np.void, 4 * ids.shape[1]))).ravel()


def _fill_missing(trie: Trie, sections: list[Section], log_prob: np.ndarray, backoff: np.ndarray) -> None:
    """Give nodes without a log prob the one they have by backing off, shorter ones first."""
    for section in sections[1:]:
        ids = section.ids[np.isnan(section.log_prob)]
        total, lower = np.zeros(len(ids)), np.full(len(ids), -1)  # backoff weights so far; node of what they back off to
        for skipped in range(ids.shape[1] - 1):
            context, found = trie.walk(ids[:, skipped:-1]), trie.walk(ids[:, skipped + 1 :])
            total += np.where((lower < 0) & (context > 0), backoff[context - 1], 0.0)
            lower = np.where(lower < 0, found, lower)
        log_prob[trie.walk(ids) - 1] = np.maximum(total + log_prob[lower - 1], LOG_ZERO)


class _Reader:
    """Reads the parts of an ARPA file one after the other and says what was expected where something else stands."""

    def __init__(self, name: str, lines: Iterator[str]) -> None:
        self._name, self._lines = name, lines
        self._ids: dict[str, int] = {}  # of the symbols as the file spells them
        self._number = 0
        self._advance()

    def read_counts(self) -> list[int]:
        while self._line != "\\data\\":
            if self._end:
                raise InputError(f"{self._name}: is not an ARPA file: no line is \\data\\")
            self._advance()
        self._advance()
        counts: list[int] = []
        while self._line.startswith("ngram "):
            order, _, count = self._line[6:].partition("=")
            if order.strip() != str(len(counts) + 1) or not re.fullmatch(r"\s*\d{1,18}\s*", count):
                raise self._fail(f"'ngram {len(counts) + 1}=COUNT'")
            counts.append(int(count))
            self._advance()
        if not counts:
            raise self._fail("'ngram 1=COUNT'")
        return counts

    def read_unigrams(self, count: int, level: Level | None) -> tuple[Level, list[str], Section]:
        """The level, which is guessed if it is None, the symbols in the order of their ids, and the unigrams in the same order."""
        found: dict[str, tuple[float, float, int]] = {}
        for fields in self._section(1, count):
            symbol = fields[1]
            if symbol in found:
                raise InputError(f"{self._name}:{self._number}: {symbol!r} already stands in line {found[symbol][2]}")
            found[symbol] = (self._log(fields[0]), self._weight(fields, 1), self._number)
        for symbol in (SPECIAL[START], SPECIAL[END]):
            if symbol not in found:
                raise InputError(f"{self._name}: {symbol} is not among the 1-grams; a model needs both <s> and </s>")
        if level is None:
            ordinary = found.keys() - {*SPECIAL, "<UNK>"}
            level = "characters" if ordinary and all(len(symbol) == 1 or symbol == SPACE for symbol in ordinary) else "words"
        renamed = {"<UNK>": SPECIAL[UNKNOWN]} | ({SPACE: " "} if level == "characters" else {})
        renamed = {spelled: symbol for spelled, symbol in renamed.items() if spelled in found and symbol not in found}
        found = {renamed.get(symbol, symbol): fields for symbol, fields in found.items()}
        found.setdefault(SPECIAL[UNKNOWN], (UNSEEN, 0.0, 0))
        symbols = [*SPECIAL, *sorted(found.keys() - {*SPECIAL})]
        self._ids = {symbol: number for number, symbol in enumerate(symbols)}
        self._ids |= {spelled: self._ids[symbol] for spelled, symbol in renamed.items()}
        log_prob, backoff, lines = zip(*(found[symbol] for symbol in symbols), strict=True)
        return level, symbols, Section(np.arange(len(symbols))[:, None], np.array(log_prob), np.array(backoff), np.array(lines))

    def read_section(self, n: int, count: int, highest: bool) -> Section:
        """The n-grams of one order from 2, whose symbols must be among the unigrams."""
        known = self._ids
        ids, lines, log_prob, backoff = array("i"), array("q"), array("d"), array("d")
        for fields in self._section(n, count):
            try:
                ids.extend([known[symbol] for symbol in fields[1 : n + 1]])
            except KeyError as error:
                raise InputError(f"{self._name}:{self._number}: {error.args[0]!r} is not among the 1-grams") from None
            log_prob.append(self._log(fields[0]))
            backoff.append(self._weight(fields, n))
            lines.append(self._number)
            if highest and backoff[-1]:
                raise self._fail("no backoff weight at the highest order")
        return Section(np.array(ids, dtype=np.int32).reshape(-1, n), np.array(log_prob), np.array(backoff), np.array(lines))

    def read_end(self) -> None:
        if self._line != "\\end\\":
            raise self._fail("'\\end\\'")

    def _section(self, n: int, count: int) -> Iterator[list[str]]:
        """Fields of each line of a section, which is checked to have so many."""
        if self._line != f"\\{n}-grams:":
            raise self._fail(f"'\\{n}-grams:'")
        heading = self._number
        self._advance()
        seen = 0
        while not self._end and not self._line.startswith("\\"):
            fields = [field for field in self._line.replace("\t", " ").split(" ") if field]
            if not n + 1 <= len(fields) <= n + 2:
                raise self._fail(f"a number, {n} symbol{'s' * (n > 1)} and perhaps a backoff weight")
            seen += 1
            yield fields
            self._advance()
        if seen != count:
            raise InputError(f"{self._name}:{heading}: expected {count} {n}-grams as \\data\\ says, found {seen}")

    def _log(self, word: str) -> float:
        try:
            value = float(word)
        except ValueError:
            raise self._fail(f"a base-10 logarithm instead of {word!r}") from None
        if not value <= 0:
            if 0 < value < 1e-4:  # of a probability of one, as some toolkits round it
                return 0.0
            raise self._fail(f"the logarithm of a probability, 0 or less, instead of {word!r}")
        return value * LN10

    def _weight(self, fields: list[str], n: int) -> float:
        if len(fields) < n + 2:
            return 0.0
        try:
            value = float(fields[n + 1])
        except ValueError:
            value = math.nan
        if math.isnan(value) or value == math.inf:
            raise self._fail(f"a base-10 logarithm as backoff weight instead of {fields[n + 1]!r}")
        return value * LN10

    def _advance(self) -> None:
        """Go to the next line that is not empty."""
        self._line, self._end = "", False
        while not self._line and not self._end:
            line = next(self._lines, None)
            self._line, self._end = (line or "").strip(" \t\r\n"), line is None
            self._number += 1

    def _fail(self, expected: str) -> InputError:
        found = "the end of the file" if self._end else repr(self._line[:60]).replace("\\\\", "\\")
        return InputError(f"{self._name}:{self._number}: expected {expected}, found {found}")
