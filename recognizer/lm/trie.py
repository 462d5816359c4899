"""From lists of n-grams to the automaton of a model, and back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from recognizer.lm.ngram import LOG_ZERO, START, Level, NgramModel


class Ngrams(NamedTuple):
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
        self.add_keys(keys[order])
        return order

    def add_keys(self, keys: np.ndarray) -> None:
        """Add all n-grams of the next length by their keys, sorted."""
        self.keys = np.concatenate([self.keys, keys])
        self.ends.append(len(self.keys))

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


def build_model(order: int, level: Level, symbols: Sequence[str], trie: Trie, log_prob: np.ndarray, backoff: np.ndarray) -> NgramModel:
    """The automaton of a tree with a natural log probability and backoff weight for each node but the empty one, (A,) each."""
    parents, symbol = np.divmod(trie.keys, trie.size)
    log_prob, backoff = (np.where(np.isneginf(logs), LOG_ZERO, logs) for logs in (log_prob, backoff))
    log_prob[START] = LOG_ZERO
    is_state = np.concatenate([[True], backoff != 0])
    is_state[parents] = True
    owner = (np.cumsum(is_state) - 1)[parents]  # state that each arc leaves
    first = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=np.count_nonzero(is_state)))])
    target, fallback = link(first, symbol, is_state[1:])
    return NgramModel(
        order=order,
        level=level,
        symbols=tuple(symbols),
        first=first,
        symbol=symbol.astype(np.int32),
        log_prob=log_prob.astype(np.float32),
        target=target,
        backoff=np.concatenate([[0.0], backoff])[is_state].astype(np.float32),
        fallback=fallback,
        start=int(target[START]),
    )


def link(first: np.ndarray, symbol: np.ndarray, leads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``target`` and ``fallback`` of a model whose states are numbered in the order of the arcs that lead to them.

    An arc leads to a state of its own, which is its n-gram, or to where the same symbol leads from the next shorter context.

    Args:
        first, symbol: as in the model.
        leads: whether an arc leads to a state of its own, (A,) bool, S - 1 in all.
    """
    states, size = len(first) - 1, int(first[1])
    counts = np.diff(first)
    keys = np.repeat(np.arange(states), counts) * size + symbol  # ascending
    target = np.zeros(len(symbol), dtype=np.int32)
    target[leads] = np.arange(1, states)
    fallback = np.zeros(states, dtype=np.int32)
    fallback[0] = -1
    begin, end = 1, 1 + int(leads[:size].sum())  # states of one length, whose fallbacks are shorter and known by then
    while begin < end:
        arcs = slice(int(first[begin]), int(first[end]))
        here = np.repeat(fallback[begin:end], counts[begin:end])
        shorter = target[_find_arcs(keys[: arcs.start], size, fallback, here, symbol[arcs])]
        own = leads[arcs]
        fallback[target[arcs][own]] = shorter[own]
        target[arcs] = np.where(own, target[arcs], shorter)
        begin, end = end, end + int(own.sum())
    return target, fallback


def leading_arcs(model: NgramModel) -> np.ndarray:
    """Whether each arc leads to a state of its own, (A,) bool."""
    return np.asarray(model.target) > np.maximum.accumulate(np.concatenate([[0], model.target[:-1]]))


def _find_arcs(keys: np.ndarray, size: int, fallback: np.ndarray, states: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """Arcs of symbols in states or, where there is none, in their nearest fallbacks that have one; state 0 has them all.

    Fallbacks have lower numbers and keys of state 0 are the lowest, so that this ends even for damaged models.
    """
    arcs = np.zeros(len(states), dtype=np.int64)
    left = np.arange(len(states))
    while len(left):
        wanted = states.astype(np.int64) * size + symbols[left]  # numpy 1 leaves them 32 bits, which large models go beyond
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found = keys[place] == wanted
        arcs[left[found]] = place[found]
        left, states = left[~found], fallback[states[~found]]
    return arcs


def read_trie(model: NgramModel) -> Trie:
    """The n-grams of a model as a tree, in which arc i is node i + 1."""
    nodes = np.concatenate([[0], np.flatnonzero(leading_arcs(model)) + 1])  # of each state
    parents = np.repeat(nodes, np.diff(model.first))
    trie = Trie(len(model.symbols))
    trie.keys = parents * trie.size + model.symbol
    for _ in range(1, model.order):
        trie.ends.append(int(np.searchsorted(parents, trie.ends[-1], side="right")))
    return trie


def list_ngrams(model: NgramModel) -> list[Ngrams]:
    """The n-grams of each order 1 to ``model.order``; those of one order follow each other in the model's arcs."""
    trie = read_trie(model)
    parents = trie.keys // trie.size
    backoff = np.where(leading_arcs(model), model.backoff[model.target], np.float32(0))
    contexts, node = np.zeros((1, 0), dtype=np.int32), 0  # the n-grams that are one shorter, and the first one's node
    found = []
    for begin, end in pairwise([0, *trie.ends]):
        ids = np.concatenate([contexts[parents[begin:end] - node], model.symbol[begin:end, None]], axis=1)
        found.append(Ngrams(ids, model.log_prob[begin:end], backoff[begin:end]))
        contexts, node = ids, begin + 1
    return found
