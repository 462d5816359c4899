"""Linear interpolation of two n-gram models, and backoff weights that make contexts sum to one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from recognizer.errors import ConfigError, InputError
from recognizer.lm.ngram import END, LOG_ZERO, SPECIAL, UNKNOWN, NgramModel, Sentence, query_many, split_sentence
from recognizer.lm.trie import Trie, build_model, list_ngrams

EPSILON = 1e-12  # of a context's probability; less is rounding
MAX_STEPS = 200  # of expectation maximization


def interpolate_ngrams(one: NgramModel, other: NgramModel, weight: float) -> NgramModel:
    """The model ``(1 - weight) one + weight other`` over the n-grams of both.

    Each n-gram that either model lists has the interpolated probability; backoff weights are computed anew so that every
    context sums to one (as Stolcke 2002 does). A symbol that a model does not know has the probability 0 in it.

    Raises:
        ConfigError: the models differ in level, or the weight is not between 0 and 1.
    """
    _check_levels(one, other)
    if not 0 <= weight <= 1:
        raise ConfigError(f"weight: {weight} is not between 0 and 1")
    symbols = (*SPECIAL, *sorted({*one.symbols, *other.symbols} - {*SPECIAL}))
    order = max(one.order, other.order)
    trie = Trie(len(symbols))
    ids = {symbol: number for number, symbol in enumerate(symbols)}
    lists = [(np.array([ids[symbol] for symbol in model.symbols]), list_ngrams(model)) for model in (one, other)]
    for n in range(2, order + 1):
        listed = [new_ids[orders[n - 1].ids] for new_ids, orders in lists if n <= len(orders)]
        trie.add_keys(np.unique(np.concatenate([trie.walk(part[:, :-1]) * trie.size + part[:, -1] for part in listed])))
    with np.errstate(divide="ignore"):
        parts = [np.log(1 - weight) + _score_nodes(one, trie, symbols), np.log(weight) + _score_nodes(other, trie, symbols)]
    log_prob = np.logaddexp(*parts)
    return normalize(build_model(order, one.level, symbols, trie, log_prob, np.zeros(len(log_prob))))


def fit_weight(one: NgramModel, other: NgramModel, sentences: Iterable[Sentence]) -> float:
    """The weight of ``other`` with which ``interpolate_ngrams`` predicts a held-out text best, by expectation maximization.

    Tokens that neither model knows are left out.

    Raises:
        ConfigError: the models differ in level.
        InputError: the text has no token that one of them knows.
    """
    _check_levels(one, other)
    parts: list[list[np.ndarray]] = []
    for sentence in sentences:
        tokens = split_sentence(sentence, one.level)
        parts.append([])
        for model in (one, other):
            ids = np.array([*map(model.id, tokens), END], dtype=np.int32)
            parts[-1].append(np.where(ids == UNKNOWN, 0.0, np.exp(model.token_log_probs(ids))))
    probability = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0))
    ours, theirs = probability[:, probability.sum(axis=0) > 0]
    if not len(ours):
        raise InputError("the held-out text has no token that either model knows; the weight cannot be fitted")
    weight = 0.5
    for _ in range(MAX_STEPS):
        before, weight = weight, float(np.mean(weight * theirs / ((1 - weight) * ours + weight * theirs)))
        if abs(weight - before) < 1e-6:
            break
    return weight


def normalize(model: NgramModel) -> NgramModel:
    """The model with the backoff weights with which every context sums to one, given the probabilities of its n-grams.

    Shorter contexts come first, since what backing off leaves to the symbols not listed depends on them. Where every symbol
    is listed, or nothing is left, the weight is that of ``LOG_ZERO`` or none.
    """
    backoff = np.zeros_like(model.backoff)
    model = replace(model, backoff=backoff)
    listed = np.exp(model.log_prob.astype(np.float64))
    begin, end = 1, 1 + int(np.count_nonzero(model.target[: model.first[1]]))
    while begin < end:
        arcs = slice(int(model.first[begin]), int(model.first[end]))
        sizes = np.diff(model.first[begin : end + 1])
        lower = np.exp(query_many(*model.arrays, np.repeat(model.fallback[begin:end], sizes), model.symbol[arcs])[0])
        owner = np.repeat(np.arange(end - begin), sizes)
        left = 1 - np.bincount(owner, listed[arcs], minlength=end - begin)
        share = 1 - np.bincount(owner, lower, minlength=end - begin)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.where(left < EPSILON, LOG_ZERO, np.log(left) - np.log(np.maximum(share, EPSILON)))
        all_listed = sizes >= len(model.symbols) - 1  # all but <s>
        backoff[begin:end] = np.where((sizes == 0) | all_listed, 0.0, np.maximum(weight, LOG_ZERO))
        begin, end = end, end + int(np.count_nonzero(model.target[arcs] >= end))
    return model


def _score_nodes(model: NgramModel, trie: Trie, symbols: Sequence[str]) -> np.ndarray:
    """Log prob in ``model`` of the last symbol of each node of a tree over ``symbols``, (A,); -inf where it is not known."""
    parents, symbol = np.divmod(trie.keys, trie.size)
    ids = np.array([model.id(each) for each in symbols], dtype=np.int32)[symbol]
    unknown = (ids == UNKNOWN) & (symbol != UNKNOWN)
    log_prob = np.zeros(len(ids))
    states = np.zeros(len(ids) + 1, dtype=np.int64)  # of each node
    for begin, end in zip([0, *trie.ends], trie.ends, strict=False):
        log_prob[begin:end], states[begin + 1 : end + 1] = query_many(*model.arrays, states[parents[begin:end]], ids[begin:end])
    return np.where(unknown, -np.inf, log_prob)


def _check_levels(one: NgramModel, other: NgramModel) -> None:
    if one.level != other.level:
        raise ConfigError(f"a model of {one.level} and one of {other.level} cannot be interpolated")
