"""CMU Sphinx's binary n-gram models, which exist for many languages."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recognizer.decoding.ngram import SPECIAL, UNKNOWN, NgramModel
from recognizer.decoding.ngram_sections import UNSEEN, Section, assemble
from recognizer.errors import InputError

MAGIC = b"Trie Language Model"
LOG_BASE = math.log(1.0001)  # of the logarithms in the file
NUMBER = 16  # bits of a quantised logarithm


def load_sphinx(path: str | Path) -> NgramModel:
    """Read a model of words in the binary form of Sphinx (``.lm.bin``: a trie with quantised logarithms).

    The layout is that of PocketSphinx 5 (``ngram_model_trie.c``, ``lm_trie.c``, ``lm_trie_quant.c``), little-endian: the counts; tables of the
    logarithms that the 16-bit numbers stand for (log probs, then backoff weights, of each order); log prob, backoff weight and first
    child of each unigram; the longer n-grams packed into bits (oldest symbol, then backoff weight, log prob and first child, of the
    highest order the log prob only), in a tree that begins with an n-gram's last symbol; the symbols.

    Raises:
        InputError: the file cannot be read, is not such a model, is cut short, or has one order only.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    order = content[len(MAGIC)] if content.startswith(MAGIC) and len(content) > len(MAGIC) else 0
    if order < 2:
        raise InputError(f"{path}: is not a binary model of Sphinx with two orders or more")
    try:
        symbols, sections = _read(content, order)
    except (ValueError, IndexError, struct.error):
        raise InputError(f"{path}: is damaged or cut short; copy it anew") from None
    if SPECIAL[1] not in symbols or SPECIAL[2] not in symbols:
        raise InputError(f"{path}: a model needs both <s> and </s>")
    return assemble(str(path), "words", *_sort_symbols(symbols, sections))


def _read(content: bytes, order: int) -> tuple[list[str], list[Section]]:
    place = len(MAGIC) + 1
    counts = struct.unpack_from(f"<{order}I", content, place)
    place += 4 * order + 4  # there is only one kind of quantisation, which the last four bytes name
    tables = np.frombuffer(content, "<f4", (2 * order - 3) << NUMBER, place).reshape(-1, 1 << NUMBER) * LOG_BASE
    place += (2 * order - 3) * 4 << NUMBER
    unigrams = np.frombuffer(content, [("log_prob", "<f4"), ("backoff", "<f4"), ("child", "<u4")], counts[0] + 1, place)
    place += unigrams.nbytes
    ids = np.arange(counts[0])[:, None]
    sections = [_section(ids, unigrams["log_prob"][:-1] * LOG_BASE, unigrams["backoff"][:-1] * LOG_BASE)]
    children = unigrams["child"].astype(np.int64)  # of the node before: where they begin, and at last where they end
    for n in range(2, order + 1):
        inner = n < order
        widths = [counts[0].bit_length(), *([NUMBER, NUMBER, counts[n].bit_length()] if inner else [NUMBER])]
        columns, place = _unpack(content, place, widths, counts[n - 1])
        used = int(children[-1])  # there may be fewer than the counts say
        if used > counts[n - 1]:
            raise ValueError("more n-grams than the counts say")
        parents = np.repeat(np.arange(len(children) - 1), np.diff(children))
        ids = np.concatenate([columns[0][:used, None], ids[parents]], axis=1)
        log_probs, backoffs = tables[2 * n - 4], tables[2 * n - 3] if inner else np.zeros(1 << NUMBER)
        sections.append(_section(ids, log_probs[columns[-2 if inner else -1][:used]], backoffs[columns[1][:used]]))
        children = columns[-1][: used + 1]
    size = struct.unpack_from("<I", content, place)[0]
    symbols = content[place + 4 : place + 4 + size].decode().split("\0")[:-1]
    if len({*symbols}) != counts[0] or max(int(section.ids.max(initial=0)) for section in sections) >= counts[0]:
        raise ValueError("numbers of symbols do not agree")
    return symbols, sections


def _unpack(content: bytes, place: int, widths: Sequence[int], count: int) -> tuple[list[np.ndarray], int]:
    """Numbers of so many bits that repeat ``count + 1`` times, lowest bit first; a column of each, and where the next array begins."""
    size = ((count + 1) * sum(widths) + 7) // 8 + 8  # room for reading whole words
    raw = np.frombuffer(content, np.uint8, size, place)
    starts = np.arange(count + 1, dtype=np.int64) * sum(widths)
    columns = []
    for width in widths:
        word = np.zeros(count + 1, dtype=np.int64)
        for byte in range(5):  # 32 bits that begin anywhere in the first
            word |= raw[(starts >> 3) + byte].astype(np.int64) << (8 * byte)
        columns.append(word >> (starts & 7) & ((1 << width) - 1))
        starts += width
    return columns, place + size


def _section(ids: np.ndarray, log_prob: np.ndarray, backoff: np.ndarray) -> Section:
    # rounded probabilities may exceed one a little
    return Section(ids, np.minimum(log_prob.astype(np.float64), 0.0), backoff.astype(np.float64), np.zeros(len(ids), dtype=np.int64))


def _sort_symbols(symbols: list[str], sections: list[Section]) -> tuple[list[str], list[Section]]:
    """Number the symbols as models do: the special ones first, the others sorted."""
    if SPECIAL[UNKNOWN] not in symbols:
        symbols = [SPECIAL[UNKNOWN] if symbol == "<UNK>" else symbol for symbol in symbols]
    ordered = [*SPECIAL, *sorted({*symbols} - {*SPECIAL})]
    numbers = {symbol: number for number, symbol in enumerate(ordered)}
    renumbered = np.array([numbers[symbol] for symbol in symbols])
    for section in sections:
        section.ids = renumbered[section.ids]
    unigrams = sections[0]
    if SPECIAL[UNKNOWN] not in symbols:
        unigrams = _section(np.append(unigrams.ids, [[UNKNOWN]], axis=0), np.append(unigrams.log_prob, UNSEEN), np.append(unigrams.backoff, 0.0))
    rows = np.argsort(unigrams.ids[:, 0])
    return ordered, [_section(unigrams.ids[rows], unigrams.log_prob[rows], unigrams.backoff[rows]), *sections[1:]]
