"""The n-grams of each order as a file of a model lists them, made into a model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recognizer.decoding.ngram import NEVER, Level, NgramModel
from recognizer.decoding.ngram_trie import Trie, make_model
from recognizer.errors import InputError

UNSEEN = -100 * math.log(10)  # natural log of <unk> where the file has none, as in KenLM

@dataclass
class Section:
    """The n-grams of one order as they stand in the file: ids (M, n), natural logs (M,) twice, line of each (M,)."""

    ids: np.ndarray
    log_prob: np.ndarray
    backoff: np.ndarray
    lines: np.ndarray


def assemble(name: str, level: Level, symbols: list[str], sections: list[Section]) -> NgramModel:
    """The model of n-grams as a file lists them, shorter ones first.

    An n-gram whose context is not listed adds the context with the probability and the weight that it has by backing off.

    Args:
        name: of the file, for errors.
        symbols: of the ids: ``<unk>``, ``<s>``, ``</s>``, then the others, sorted.

    Raises:
        InputError: an n-gram stands there twice.
    """
    _add_contexts(sections)
    trie = Trie(len(symbols))
    log_prob, backoff = [sections[0].log_prob], [sections[0].backoff]
    for section in sections[1:]:
        begin = trie.ends[-1]
        order = trie.add(section.ids)
        twice = np.flatnonzero(trie.keys[begin + 1 :] == trie.keys[begin:-1])
        if len(twice):
            one, other = sorted(section.lines[order[twice[0] : twice[0] + 2]].tolist())
            gram = " ".join(symbols[id] for id in section.ids[order[twice[0]]])
            raise InputError(f"{name}:{other}: {gram!r} already stands in line {one}")
        log_prob.append(section.log_prob[order])
        backoff.append(section.backoff[order])
    known, weights = np.concatenate(log_prob), np.concatenate(backoff)
    _fill_missing(trie, known, weights)
    return make_model(len(sections), level, symbols, trie, known, weights)


def _add_contexts(sections: list[Section]) -> None:
    """List the contexts that are not, with NaN for their log probs."""
    for n in range(len(sections) - 1, 1, -1):
        longer, shorter = sections[n], sections[n - 1]
        contexts = longer.ids[:, :-1]
        numbers = _number_rows(np.concatenate([shorter.ids, contexts]))
        missing = np.flatnonzero(~np.isin(numbers[len(shorter.ids) :], numbers[: len(shorter.ids)]))
        _, first = np.unique(numbers[len(shorter.ids) :][missing], return_index=True)
        if len(first):
            rows = missing[first]
            sections[n - 1] = Section(
                np.concatenate([shorter.ids, contexts[rows]]),
                np.concatenate([shorter.log_prob, np.full(len(rows), np.nan)]),
                np.concatenate([shorter.backoff, np.zeros(len(rows))]),
                np.concatenate([shorter.lines, longer.lines[rows]]),
            )


def _number_rows(ids: np.ndarray) -> np.ndarray:
    """A number for each row (M, n), equal for equal rows."""
    numbers = ids[:, 0].astype(np.int64)
    for column in ids.T[1:]:
        numbers = np.unique(numbers * (int(column.max(initial=0)) + 1) + column, return_inverse=True)[1]
    return numbers


def _fill_missing(trie: Trie, log_prob: np.ndarray, backoff: np.ndarray) -> None:
    """Give nodes without a log prob the one they have by backing off, shorter ones first."""
    missing = np.flatnonzero(np.isnan(log_prob))
    if not len(missing):
        return
    suffix = trie.suffixes()
    for arc in missing.tolist():
        parent, symbol = divmod(int(trie.keys[arc]), trie.size)
        total = 0.0
        found = -1
        while found < 0:
            total += float(backoff[parent - 1])
            parent = int(suffix[parent])
            found = int(trie.find(np.array([parent]), np.array([symbol]))[0])
        log_prob[arc] = max(total + float(log_prob[found - 1]), NEVER)
