"""Estimation of n-gram models: interpolated modified Kneser-Ney smoothing (Chen & Goodman 1998)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from recognizer.errors import ConfigError, InputError
from recognizer.lm.counts import Table, count_ngrams
from recognizer.lm.ngram import LOG_ZERO, START, Level, NgramModel, Sentence
from recognizer.lm.text import Vocabulary
from recognizer.lm.trie import Trie, build_model
from recognizer.utils.files import named_failures

FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)  # for counts of 1, 2, and 3 or more; those of lmplz --discount_fallback
MEMORY = 1 << 30  # bytes
BYTES_PER_ROW = 160  # of an n-gram while it is counted: its numbers, their copies while they are sorted, masks

Log = Callable[[str], None]  # is given remarks, line by line


def estimate_ngram(
    sentences: Iterable[Sentence],
    order: int = 3,
    level: Level = "words",
    prune: Sequence[int] = (),
    vocabulary: int | Iterable[str] | None = None,
    memory: int = MEMORY,
    folder: str | Path | None = None,
    log: Log | None = None,
) -> NgramModel:
    """Estimate a model from a text, which is read once.

    Lower orders use counts of different left neighbors, each order has three discounts of its own, and unigrams are
    interpolated with the uniform distribution over all symbols but ``<s>``, so that unknown ones have a probability. The
    result is that of KenLM's lmplz (Heafield et al. 2013). Where the counts do not give discounts, as with a tiny text,
    ``FALLBACK_DISCOUNTS`` are taken and a remark is logged.

    Args:
        sentences: strings (words separated by white space) or sequences of symbols; those without any symbol are left out.
        order: the longest n-gram, at least 1.
        level: "words", or "characters" including the space.
        prune: for each order from 1, n-grams that occur so often or less are dropped; the last number holds for the orders
            after it. The first must be 0, and none may be smaller than the one before it.
        vocabulary: the symbols to keep, or how many of the most frequent ones; all others are counted as ``<unk>``.
        memory: bytes for counting. More text than fits is sorted in parts on disk: less memory costs time, not accuracy.
            The vocabulary and the finished model must fit as well.
        folder: for temporary files; by default where the system puts them.
        log: is given the sizes and discounts, line by line.

    Raises:
        ConfigError: ``order``, ``prune`` or ``vocabulary`` make no sense.
        InputError: no sentence has a symbol, or one has ``<s>`` or ``</s>`` as a word.
        OutputError: there is no room for the temporary files.
    """
    thresholds = check_prune(prune, order)
    log = log or (lambda line: None)
    with tempfile.TemporaryDirectory(prefix="recognizer-lm-", dir=folder) as name, named_failures(name):
        text = Vocabulary(level)
        with (Path(name) / "tokens").open("w+b") as file:
            for ids in text.encode(sentences):
                file.write(ids.tobytes())
            if not text.tokens:
                raise InputError("the text has no sentence to estimate a language model from")
            symbols, new_ids = text.choose(vocabulary)
            rows = max(memory // BYTES_PER_ROW, 1)
            tables = count_ngrams(_read_tokens(file, new_ids, rows), len(symbols), order, thresholds, rows, Path(name))
            log(f"{text.tokens:,} tokens in {text.sentences:,} sentences, {len(symbols):,} symbols")
            return _smooth(tables, order, level, symbols, log)


def check_prune(prune: Sequence[int], order: int) -> tuple[int, ...]:
    """A threshold for each order.

    Raises:
        ConfigError: not whole numbers that start at 0 and do not fall, or more of them than orders.
    """
    if order < 1:
        raise ConfigError(f"order: {order} is not 1 or more")
    thresholds = [*prune] or [0]
    if len(thresholds) > order:
        raise ConfigError(f"prune: {len(thresholds)} thresholds for a model of order {order}")
    if thresholds[0] != 0:
        raise ConfigError(f"prune: the first threshold is {thresholds[0]} but must be 0; limit the vocabulary to have fewer unigrams")
    if any(after < before for before, after in pairwise(thresholds)):
        raise ConfigError(f"prune: {', '.join(map(str, thresholds))} falls; a threshold may not be smaller than the one before it")
    return tuple(thresholds + thresholds[-1:] * (order - len(thresholds)))


def estimate_discounts(counts_of_counts: np.ndarray) -> np.ndarray:
    """Discounts of the counts 0, 1, 2, and 3 or more, (4,): equation 26 of Chen & Goodman 1998.

    Args:
        counts_of_counts: how many n-grams have the count 0, 1, 2, 3, 4, (5,).

    Raises:
        ValueError: no n-gram has one of the counts 1 to 3, or a discount is negative; the message says which.
    """
    n = counts_of_counts.astype(np.float64)
    for count in (1, 2, 3):
        if n[count] == 0:
            raise ValueError(f"none has the count {count}")
    ratio = n[1] / (n[1] + 2 * n[2])
    discounts = np.array([0.0, *(count - (count + 1) * ratio * n[count + 1] / n[count] for count in (1, 2, 3))])
    if (discounts < 0).any():
        raise ValueError(f"that of the count {int(discounts.argmin())} would be {discounts.min():.2f}")
    return discounts


def _read_tokens(file: BinaryIO, new_ids: np.ndarray, size: int) -> Iterator[np.ndarray]:
    file.seek(0)
    while len(data := file.read(4 * min(size, 1 << 22))):
        yield new_ids[np.frombuffer(data, dtype=np.int32)]


def _smooth(tables: Iterable[Table], order: int, level: Level, symbols: Sequence[str], log: Log) -> NgramModel:
    """Probabilities and backoff weights, order by order: p(w | h) = (c - D(c)) / total + gamma(h) p(w | h')."""
    size = len(symbols)
    trie = Trie(size)
    probability = np.zeros(size)
    backoff = np.zeros(size)  # natural log
    for n, table in enumerate(tables, start=1):
        discounts = _discounts(table, n, log)
        gamma = (discounts[1:] @ table.kept + table.dropped) / table.total
        own = (table.count - discounts[np.minimum(table.count, 3)]) / table.total[table.context]
        if n == 1:
            probability[table.ids[:, 0]] = own
            probability += gamma[0] / (size - 1)
            probability[START] = 0
            continue
        begin = trie.ends[-1]
        trie.add(table.ids)  # sorted, so that nodes come in the order of the table
        nodes = trie.keys[begin:] // size
        backoff[nodes - 1] = np.log(np.maximum(gamma, np.exp(LOG_ZERO)))[table.context]
        backoff = np.concatenate([backoff, np.zeros(len(table.count))])
        lower = trie.find(trie.walk(table.ids[:, 1:-1]), table.ids[:, -1])
        probability = np.concatenate([probability, own + gamma[table.context] * probability[lower - 1]])
    with np.errstate(divide="ignore"):
        return build_model(order, level, symbols, trie, np.log(probability), backoff)


def _discounts(table: Table, n: int, log: Log) -> np.ndarray:
    try:
        discounts = estimate_discounts(table.counts_of_counts)
    except ValueError as error:
        discounts = np.array([0.0, *FALLBACK_DISCOUNTS])
        log(f"{n}-grams: discounts cannot be estimated from this text ({error}); taking {', '.join(map(str, FALLBACK_DISCOUNTS))}")
    log(f"{n}-grams: {len(table.count):,} kept, discounts {' '.join(f'{value:.4f}' for value in discounts[1:])}")
    return discounts
