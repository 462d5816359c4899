"""From lists of n-grams to the automaton of a model, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from recognizer.decoding.ngram import NEVER, START, Level, NgramModel


class Grams(NamedTuple):
    """The n-grams of one order of a model, in the order of its arcs: ids (M, n), log probs (M,), backoffs (M,)."""

    ids: np.ndarray
    log_prob: np.ndarray
    backoff: np.ndarray


class Trie:
    """The n-grams of a model as a tree: node 0 is empty, the others are numbered by length, then by ids.

    Args:
        size: number of symbols V; each is a node of length one, id i being node i + 1.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.keys = np.arange(size, dtype=np.int64)  # parent * V + symbol of node i + 1; ascending, since parents are
        self.ends = [size]  # nodes of at most each length, the empty one not counted

    def add(self, ids: np.ndarray) -> np.ndarray:
        """Add all n-grams of the next length (M, n); return their order: the first new node is ``ids[order[0]]``.

        The contexts must be nodes already and no n-gram may come twice.
        """
        keys = self.walk(ids[:, :-1]) * self.size + ids[:, -1]
        order = np.argsort(keys, kind="stable")  # quick where they come sorted
        self.keys = np.concatenate([self.keys, keys[order]])
        self.ends.append(len(self.keys))
        return order

    def find(self, nodes: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """Node of each node with a symbol after it; -1 where there is none, or where the node is -1."""
        wanted = nodes * np.int64(self.size) + symbols
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[place] == wanted, place + 1, -1)

    def walk(self, ids: np.ndarray) -> np.ndarray:
        """Node of each n-gram (M, n), -1 where there is none."""
        nodes = np.zeros(len(ids), dtype=np.int64)
        for column in ids.T:
            nodes = np.where(nodes < 0, -1, self.find(nodes, column))
        return nodes

    def suffixes(self) -> np.ndarray:
        """For every node, the node of its longest proper suffix that is one, (A + 1,); -1 for node 0."""
        parents, symbols = np.divmod(self.keys, self.size)
        suffix = np.zeros(len(self.keys) + 1, dtype=np.int64)
        suffix[0] = -1
        for begin, end in zip(self.ends, self.ends[1:], strict=False):
            candidates = suffix[parents[begin:end]]
            found = self.find(candidates, symbols[begin:end])
            while len(missing := np.flatnonzero(found < 0)):  # ends at node 0, which every symbol follows
                candidates[missing] = suffix[candidates[missing]]
                found[missing] = self.find(candidates[missing], symbols[begin:end][missing])
            suffix[begin + 1 : end + 1] = found
        return suffix


def make_model(order: int, level: Level, symbols: Sequence[str], trie: Trie, log_prob: np.ndarray, backoff: np.ndarray) -> NgramModel:
    """The automaton of a tree with a natural log probability and backoff weight per node but the empty one, (A,) each."""
    parents, symbol = np.divmod(trie.keys, trie.size)
    suffix = trie.suffixes()
    backoff = np.concatenate([[0.0], _finite(backoff)])
    is_state = backoff != 0
    is_state[0] = True
    is_state[parents] = True
    nearest = np.arange(len(is_state))  # longest suffix that is a state
    for begin, end in zip([0, *trie.ends], trie.ends, strict=False):
        nodes = slice(begin + 1, end + 1)
        nearest[nodes] = np.where(is_state[nodes], nearest[nodes], nearest[suffix[nodes]])
    number = np.cumsum(is_state) - 1
    states = np.flatnonzero(is_state)
    fallback = number[nearest[suffix[states]]]
    fallback[0] = -1
    log_prob = _finite(log_prob)
    log_prob[START] = NEVER
    target = number[nearest[1:]]
    first = np.zeros(len(states) + 1, dtype=np.int64)
    np.cumsum(np.bincount(number[parents], minlength=len(states)), out=first[1:])
    return NgramModel(
        order=order,
        level=level,
        symbols=tuple(symbols),
        first=first,
        symbol=symbol.astype(np.int32),
        log_prob=log_prob.astype(np.float32),
        target=target.astype(np.int32),
        backoff=backoff[states].astype(np.float32),
        fallback=fallback.astype(np.int32),
        start=int(target[START]),
    )


def _finite(logs: np.ndarray) -> np.ndarray:
    return np.where(np.isneginf(logs), NEVER, logs)


def list_grams(model: NgramModel) -> list[Grams]:
    """The n-grams of each order 1 to ``model.order``; those of one order follow each other in the model's arcs."""
    contexts = np.zeros((1, 0), dtype=np.int32)  # of the states begin to end, (end - begin, n - 1)
    begin, end = 0, 1
    found = []
    for _ in range(model.order):
        arcs = slice(int(model.first[begin]), int(model.first[end]))
        ids = np.repeat(contexts, np.diff(model.first[begin : end + 1]), axis=0)
        ids = np.concatenate([ids, model.symbol[arcs, None]], axis=1)
        target = model.target[arcs]
        is_state = target >= end  # an arc of a context of n - 1 leads to n symbols, or to fewer: those have lower numbers
        found.append(Grams(ids, model.log_prob[arcs], np.where(is_state, model.backoff[target], np.float32(0))))
        contexts = ids[is_state]
        begin, end = end, end + len(contexts)
    return found
