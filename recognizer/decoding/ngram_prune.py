"""n-gram models made smaller: n-grams that matter little dropped (Stolcke 1998), or all with symbols outside a vocabulary."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from recognizer.decoding.ngram import END, NEVER, SPECIAL, START, NgramModel
from recognizer.decoding.ngram_mix import normalise
from recognizer.decoding.ngram_query import query_many
from recognizer.decoding.ngram_trie import Trie, make_model
from recognizer.errors import ConfigError


def prune_ngrams(model: NgramModel, most: int) -> NgramModel:
    """The model with so many n-grams of two symbols and more: those without which it would change most.

    Those with the smallest ``removal_costs`` go, but what is the context of an n-gram that stays has to stay as well. All
    unigrams stay. Backoff weights are computed anew, unless there is nothing to drop.

    Raises:
        ConfigError: ``most`` is negative.
    """
    if most < 0:
        raise ConfigError(f"most: {most} is not 0 or more")
    size = len(model.symbols)
    if len(model.symbol) - size <= most:
        return model
    model = normalise(model)  # the costs are those of a model in which contexts sum to one
    tree = _read_tree(model)
    worth = removal_costs(model)
    for begin, end in reversed([*pairwise(tree.begins)][1:]):  # an n-gram is worth as much as its best continuation
        arcs = slice(int(model.first[begin]), int(model.first[end]))
        np.maximum.at(worth, tree.entry[tree.owner[arcs]], worth[arcs])
    order = np.argsort(-worth[size:], kind="stable")  # of equals, contexts come before what continues them
    keep = np.arange(len(worth)) < size
    keep[size + order[:most]] = True
    return _select(model, tree, keep, model.log_prob, model.symbols)


def removal_costs(model: NgramModel) -> np.ndarray:
    """How far the model would be from itself without each n-gram alone, (A,) float64; infinity for unigrams.

    It is the relative entropy of the distribution in the n-gram's context and of the one without the n-gram, with a new
    backoff weight, times the probability of the context (Stolcke 1998, equation 5). The latter is the product of the model's
    probabilities of its symbols, where ``<s>`` at the beginning has the probability of ``</s>``, as one follows the other.
    The model's contexts must sum to one.
    """
    tree, size = _read_tree(model), len(model.symbols)
    owner = tree.owner[size:]
    log_prob = model.log_prob[size:].astype(np.float64)
    lower, _ = query_many(*model.arrays, model.fallback[owner], model.symbol[size:])
    own, backed = np.exp(log_prob), np.exp(lower)
    left = np.maximum(1 - np.bincount(owner, own, minlength=len(model.backoff)), np.exp(NEVER))
    share = np.maximum(1 - np.bincount(owner, backed, minlength=len(model.backoff)), 1e-12)
    weight = np.log(left[owner] + own) - np.log(share[owner] + backed)
    change = own * (log_prob - lower - weight) + left[owner] * (np.log(left / share)[owner] - weight)
    return np.concatenate([np.full(size, np.inf), np.exp(_context_log_probs(model, tree)[owner]) * change])


def keep_words(model: NgramModel, words: Collection[str]) -> NgramModel:
    """The model of sentences without other symbols than these and the special ones: n-grams that hold others are dropped.

    In every context, the probabilities of the symbols that stay are those of the model divided by their sum.

    Raises:
        ConfigError: the model knows none of the symbols.
    """
    words = {*words, *SPECIAL}
    stays = np.array([symbol in words for symbol in model.symbols])
    if stays.all():
        return model
    if np.count_nonzero(stays) == len(SPECIAL):
        raise ConfigError("vocabulary: the model knows none of its symbols")
    tree = _read_tree(model)
    keep = stays[model.symbol]
    for begin, end in [*pairwise(tree.begins)][1:]:
        arcs = slice(int(model.first[begin]), int(model.first[end]))
        keep[arcs] &= keep[tree.entry[tree.owner[arcs]]]
    log_prob = model.log_prob - np.log(_sum_contexts(model, tree, stays))[tree.owner]
    symbols = [symbol for symbol, stay in zip(model.symbols, stays.tolist(), strict=True) if stay]
    return _select(model, tree, keep, np.minimum(log_prob, 0.0), symbols)


def likeliest_words(model: NgramModel, count: int) -> list[str]:
    """So many symbols of a model, but the special ones, by falling probability without context (then by code points).

    Raises:
        ConfigError: ``count`` is not 1 or more.
    """
    if count < 1:
        raise ConfigError(f"vocabulary: {count} symbols leave none; at least 1")
    begin = len(SPECIAL)
    order = np.argsort(-model.log_prob[begin : len(model.symbols)], kind="stable")
    return [model.symbols[begin + id] for id in order[:count].tolist()]


@dataclass(frozen=True)
class _Tree:
    """How the contexts of a model hang together: state each arc leaves, (A,); arc that makes the context of each state, (S,)."""

    owner: np.ndarray
    entry: np.ndarray  # -1 for state 0
    begins: list[int]  # first state of each length of context, and at last the number of states


def _read_tree(model: NgramModel) -> _Tree:
    entry = np.full(len(model.backoff), -1, dtype=np.int64)
    begins = [0, 1]
    while (end := begins[-1]) < len(entry):
        begin = int(model.first[begins[-2]])
        found = begin + np.flatnonzero(model.target[begin : int(model.first[end])] >= end)
        entry[end : end + len(found)] = found
        begins.append(end + len(found))
    return _Tree(np.repeat(np.arange(len(entry)), np.diff(model.first)), entry, begins)


def _context_log_probs(model: NgramModel, tree: _Tree) -> np.ndarray:
    """Natural log probability of the context of each state, (S,) float64."""
    steps = model.log_prob.astype(np.float64)
    steps[START] = steps[END]
    log_probs = np.zeros(len(tree.entry))
    for begin, end in [*pairwise(tree.begins)][1:]:
        entry = tree.entry[begin:end]
        log_probs[begin:end] = log_probs[tree.owner[entry]] + steps[entry]
    return log_probs


def _sum_contexts(model: NgramModel, tree: _Tree, stays: np.ndarray) -> np.ndarray:
    """Sum of the probabilities of some symbols (V,) in each state, (S,) float64."""
    own = np.where(stays[model.symbol], np.exp(model.log_prob.astype(np.float64)), 0.0)
    lower, _ = query_many(*model.arrays, np.maximum(model.fallback, 0)[tree.owner], model.symbol)
    listed = np.bincount(tree.owner, own, minlength=len(tree.entry))
    backed = np.bincount(tree.owner, np.where(stays[model.symbol], np.exp(lower), 0.0), minlength=len(tree.entry))
    sums = listed.copy()
    for begin, end in [*pairwise(tree.begins)][1:]:  # what is not listed has its share in a shorter context
        share = np.maximum(sums[model.fallback[begin:end]] - backed[begin:end], 0.0)
        sums[begin:end] += np.exp(model.backoff[begin:end].astype(np.float64)) * share
    return np.maximum(sums, np.exp(NEVER))


def _select(model: NgramModel, tree: _Tree, keep: np.ndarray, log_prob: np.ndarray, symbols: Sequence[str]) -> NgramModel:
    """The model of some arcs, (A,) bool, with their contexts among them, and of the symbols that the first ones stand for."""
    size = len(symbols)
    ids = np.cumsum(keep[: len(model.symbols)]) - 1
    nodes = np.cumsum(keep)  # of a tree: arcs come in the order of their nodes
    parents = np.where(tree.owner == 0, 0, nodes[tree.entry[tree.owner]])
    trie = Trie(size)
    trie.keys = (parents * size + ids[model.symbol])[keep]
    ends = nodes[model.first[tree.begins[1:]] - 1].tolist()
    trie.ends = [end for n, end in enumerate(ends) if not n or end > ends[n - 1]]  # no length that nothing has
    logs = log_prob[keep].astype(np.float64)
    return normalise(make_model(len(trie.ends), model.level, symbols, trie, logs, np.zeros(len(logs))))
