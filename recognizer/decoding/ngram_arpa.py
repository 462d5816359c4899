"""ARPA files: the text form of backoff n-gram models that every toolkit reads and writes."""

from __future__ import annotations

import gzip
import math
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

import numpy as np

from recognizer.alphabet import SPACE
from recognizer.decoding.ngram import END, NEVER, SPECIAL, START, UNKNOWN, Level, NgramModel
from recognizer.decoding.ngram_sections import UNSEEN, Section, assemble
from recognizer.decoding.ngram_text import open_text
from recognizer.decoding.ngram_trie import list_grams
from recognizer.errors import InputError

LN10 = math.log(10)


def load_arpa(path: str | Path, level: Level | None = None) -> NgramModel:
    """Read an ARPA file, plain or gzip.

    Models that lack suffixes of their n-grams, as SRILM's pruned ones do, are read as they are. An n-gram whose context is
    not listed (but all symbols are) adds the context with the probability and the weight that it has by backing off, which
    changes no score. ``<s>`` gets the log prob ``NEVER`` whatever the file says.

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
    return assemble(str(path), level, symbols, sections)


def save_arpa(model: NgramModel, path: str | Path) -> None:
    """Write an ARPA file, gzip if the name ends in ``.gz``; it appears whole or not at all."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with cast(TextIO, gzip.open(partial, "wt", encoding="utf-8") if path.suffix == ".gz" else partial.open("w", encoding="utf-8")) as file:
            _write(model, file)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _write(model: NgramModel, file: TextIO) -> None:
    symbols = [SPACE if symbol == " " else symbol for symbol in model.symbols]
    grams = list_grams(model)
    file.write("\\data\\\n" + "".join(f"ngram {n}={len(each.ids)}\n" for n, each in enumerate(grams, start=1)))
    for n, (ids, log_prob, backoff) in enumerate(grams, start=1):
        file.write(f"\n\\{n}-grams:\n")
        for begin in range(0, len(ids), 1 << 16):
            part = slice(begin, begin + (1 << 16))
            names = [" ".join([symbols[id] for id in row]) for row in ids[part].tolist()]
            logs = np.where(log_prob[part] == np.float32(NEVER), -99.0, log_prob[part] / LN10)
            columns = zip(logs.tolist(), names, (backoff[part] / LN10).tolist(), strict=True)
            if n == model.order:
                file.writelines([f"{log:.7g}\t{name}\n" for log, name, _ in columns])
            else:
                file.writelines([f"{log:.7g}\t{name}\t{weight:.7g}\n" for log, name, weight in columns])
    file.write("\n\\end\\\n")


class _Reader:
    def __init__(self, name: str, lines: Iterator[str]) -> None:
        self._name, self._lines = name, lines
        self._ids: dict[str, int] = {}  # with other spellings
        self._number = 0
        self._advance()

    def read_counts(self) -> list[int]:
        while self._line != "\\data\\":
            if self._end:
                raise InputError(f"{self._name}: is not an ARPA file: no line is \\data\\")
            self._advance()
        self._advance()
        self._skip_blank()
        counts: list[int] = []
        while self._line.startswith("ngram "):
            order, _, count = self._line[6:].partition("=")
            if order.strip() != str(len(counts) + 1) or not count.strip().isdecimal():
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
        renamed = {spelt: symbol for spelt, symbol in renamed.items() if spelt in found and symbol not in found}
        found = {renamed.get(symbol, symbol): fields for symbol, fields in found.items()}
        found.setdefault(SPECIAL[UNKNOWN], (UNSEEN, 0.0, 0))
        symbols = [*SPECIAL, *sorted(found.keys() - {*SPECIAL})]
        self._ids = {symbol: number for number, symbol in enumerate(symbols)}
        self._ids |= {spelt: self._ids[symbol] for spelt, symbol in renamed.items()}
        log_prob, backoff, lines = zip(*(found[symbol] for symbol in symbols), strict=True)
        return level, symbols, Section(np.arange(len(symbols))[:, None], np.array(log_prob), np.array(backoff), np.array(lines))

    def read_section(self, n: int, count: int, highest: bool) -> Section:
        """The n-grams of one order from 2, whose symbols must be among the unigrams."""
        known = self._ids
        ids, lines = array("i"), array("q")
        log_prob, backoff = array("d"), array("d")
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
        rows = np.array(ids, dtype=np.int32).reshape(-1, n)
        return Section(rows, np.array(log_prob), np.array(backoff), np.array(lines, dtype=np.int64))

    def read_end(self) -> None:
        self._skip_blank()
        if self._line != "\\end\\":
            raise self._fail("'\\end\\'")

    def _section(self, n: int, count: int) -> Iterator[list[str]]:
        """Fields of each line of a section, which is checked to have so many."""
        self._skip_blank()
        if self._line != f"\\{n}-grams:":
            raise self._fail(f"'\\{n}-grams:'")
        heading = self._number
        self._advance()
        seen = 0
        while not self._end and not self._line.startswith("\\"):
            if self._line:
                fields = self._line.replace("\t", " ").split(" ")
                if "" in fields:
                    fields = [field for field in fields if field]
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
        line = next(self._lines, None)
        self._end = line is None
        self._line = (line or "").strip(" \t\r\n")
        self._number += 1

    def _skip_blank(self) -> None:
        while not self._line and not self._end:
            self._advance()

    def _fail(self, expected: str) -> InputError:
        found = "the end of the file" if self._end else repr(self._line[:60]).replace("\\\\", "\\") if self._line else "an empty line"
        return InputError(f"{self._name}:{self._number}: expected {expected}, found {found}")
