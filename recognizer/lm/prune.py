"""Smaller n-gram models: without the n-grams that matter least (Stolcke 1998), or without those that hold symbols outside a vocabulary."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np

from recognizer.errors import ConfigError
from recognizer.lm.interpolate import EPSILON, normalize
from recognizer.lm.ngram import END, LOG_ZERO, SPECIAL, START, NgramModel, query_many
from recognizer.lm.trie import Trie, build_model, leading_arcs, read_trie


def prune_ngrams(model: NgramModel, max_ngrams: int) -> NgramModel:
    """The model with at most so many n-grams of two symbols and more: those without which it would change most.

    Those with the smallest ``removal_costs`` go, but what is the context of an n-gram that stays has to stay as well. All
    unigrams stay. Backoff weights are computed anew, unless there is nothing to drop.

    Raises:
        ConfigError: ``max_ngrams`` is negative.
    """
    if max_ngrams < 0:
        raise ConfigError(f"max_ngrams: {max_ngrams} is not 0 or more")
    size = len(model.symbols)
    if len(model.symbol) - size <= max_ngrams:
        return model
    model = normalize(model)  # the costs are those of a model in which contexts sum to one
    trie = read_trie(model)
    parents = trie.keys // size
    worth = removal_costs(model)
    for begin, end in reversed([*pairwise(trie.ends)]):  # an n-gram is worth as much as its best continuation
        np.maximum.at(worth, parents[begin:end] - 1, worth[begin:end])
    order = np.argsort(-worth[size:], kind="stable")  # of equals, contexts come before what continues them
    keep = np.arange(len(worth)) < size
    keep[size + order[:max_ngrams]] = True
    return _select(model, trie, keep, model.log_prob, model.symbols)


def removal_costs(model: NgramModel) -> np.ndarray:
    """How far the model would be from itself without each n-gram alone, (A,) float64; infinity for unigrams.

    It is the relative entropy of the distribution in the n-gram's context and of the one without the n-gram, with a new
    backoff weight, times the probability of the context (Stolcke 1998, equation 5). The latter is the product of the model's
    probabilities of its symbols, where ``<s>`` at the beginning has the probability of ``</s>``, as one follows the other.
    The model's contexts must sum to one.
    """
    trie, size = read_trie(model), len(model.symbols)
    owner = _owners(model)[size:]
    log_prob = model.log_prob[size:].astype(np.float64)
    lower, _ = query_many(*model.arrays, model.fallback[owner], model.symbol[size:])
    own, backed = np.exp(log_prob), np.exp(lower)
    left = np.maximum(1 - np.bincount(owner, own, minlength=len(model.backoff)), np.exp(LOG_ZERO))
    share = np.maximum(1 - np.bincount(owner, backed, minlength=len(model.backoff)), EPSILON)
    weight = np.log(left[owner] + own) - np.log(share[owner] + backed)
    change = own * (log_prob - lower - weight) + left[owner] * (np.log(left / share)[owner] - weight)
    steps, parents = model.log_prob.astype(np.float64), trie.keys // size
    steps[START] = steps[END]
    context = np.zeros(len(steps) + 1)  # log prob of each node from the beginning
    for begin, end in pairwise([0, *trie.ends]):
        context[begin + 1 : end + 1] = context[parents[begin:end]] + steps[begin:end]
    return np.concatenate([np.full(size, np.inf), np.exp(context[parents[size:]]) * change])


def limit_vocabulary(model: NgramModel, vocabulary: Collection[str]) -> NgramModel:
    """The model of sentences without other symbols than these and the special ones: n-grams that hold others are dropped.

    In every context, the probabilities of the symbols that stay are those of the model divided by their sum.

    Raises:
        ConfigError: the model knows none of the symbols.
    """
    kept = {*vocabulary, *SPECIAL}
    stays = np.array([symbol in kept for symbol in model.symbols])
    if stays.all():
        return model
    if np.count_nonzero(stays) == len(SPECIAL):
        raise ConfigError("vocabulary: the model knows none of its symbols")
    trie = read_trie(model)
    parents = trie.keys // trie.size
    keep = stays[model.symbol]
    for begin, end in pairwise(trie.ends):
        keep[begin:end] &= keep[parents[begin:end] - 1]
    log_prob = model.log_prob - np.log(_sum_contexts(model, trie, stays))[_owners(model)]
    symbols = [symbol for symbol, stay in zip(model.symbols, stays.tolist(), strict=True) if stay]
    return _select(model, trie, keep, np.minimum(log_prob, 0.0), symbols)


def most_probable_symbols(model: NgramModel, count: int) -> list[str]:
    """So many symbols of a model, special ones left out, by falling probability without context (then by code points).

    Raises:
        ConfigError: ``count`` is not 1 or more.
    """
    if count < 1:
        raise ConfigError(f"vocabulary: {count} symbols leave none; at least 1")
    begin = len(SPECIAL)
    order = np.argsort(-model.log_prob[begin : len(model.symbols)], kind="stable")
    return [model.symbols[begin + id] for id in order[:count].tolist()]


def _owners(model: NgramModel) -> np.ndarray:
    """State that each arc leaves, (A,)."""
    return np.repeat(np.arange(len(model.backoff)), np.diff(model.first))


def _sum_contexts(model: NgramModel, trie: Trie, stays: np.ndarray) -> np.ndarray:
    """Sum of the probabilities of some symbols (V,) in each state, (S,) float64."""
    owner, states = _owners(model), len(model.backoff)
    lower, _ = query_many(*model.arrays, np.maximum(model.fallback, 0)[owner], model.symbol)
    sums = np.bincount(owner, np.where(stays[model.symbol], np.exp(model.log_prob.astype(np.float64)), 0.0), minlength=states)
    backed = np.bincount(owner, np.where(stays[model.symbol], np.exp(lower), 0.0), minlength=states)
    ends = 1 + np.cumsum(leading_arcs(model))[np.array(trie.ends) - 1]  # of the states of each length
    for begin, end in pairwise([1, *ends.tolist()]):  # what is not listed has its share in a shorter context
        share = np.maximum(sums[model.fallback[begin:end]] - backed[begin:end], 0.0)
        sums[begin:end] += np.exp(model.backoff[begin:end].astype(np.float64)) * share
    return np.maximum(sums, np.exp(LOG_ZERO))


def _select(model: NgramModel, trie: Trie, keep: np.ndarray, log_prob: np.ndarray, symbols: Sequence[str]) -> NgramModel:
    """The model of some arcs, (A,) bool, with their contexts among them, and of the symbols that the first ones stand for."""
    ids = np.cumsum(keep[: trie.size]) - 1
    nodes = np.concatenate([[0], np.cumsum(keep)])
    smaller = Trie(len(symbols))
    smaller.keys = (nodes[trie.keys // trie.size] * smaller.size + ids[model.symbol])[keep]
    smaller.ends = np.unique(nodes[trie.ends]).tolist()  # no length that nothing has
    logs = log_prob[keep].astype(np.float64)
    return normalize(build_model(len(smaller.ends), model.level, symbols, smaller, logs, np.zeros(len(logs))))
