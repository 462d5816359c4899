"""n-gram models in plain dictionaries, straight from the formulas, to test the fast ones against, and texts for them."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from recognizer.lm.ngram import NgramModel, query_many
from recognizer.lm.trie import list_ngrams

Gram = tuple[str, ...]
Text = Sequence[Sequence[str]]


def zipf_text(sentences: int, symbols: int, seed: int = 1) -> list[list[str]]:
    """Sentences of one to nine common and rare words."""
    generator = random.Random(seed)
    words = [f"w{i}" for i in range(symbols)]
    weights = [1 / (i + 1) for i in range(symbols)]
    return [generator.choices(words, weights, k=generator.randint(1, 9)) for _ in range(sentences)]


def same(one: NgramModel, other: NgramModel) -> bool:
    """Whether two models are equal to the last bit."""
    fields = (one.order, one.level, one.symbols, one.start) == (other.order, other.level, other.symbols, other.start)
    return fields and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(one.arrays, other.arrays, strict=True))


def read_dictionaries(model: NgramModel) -> tuple[dict[Gram, float], dict[Gram, float]]:
    """Probability of every n-gram of a model and backoff weight (not its log) of every context that has one."""
    probability, backoff = {}, {}
    for ids, log_prob, weight in list_ngrams(model):
        for row, p, b in zip(ids.tolist(), log_prob.tolist(), weight.tolist(), strict=True):
            gram = tuple(model.symbols[id] for id in row)
            probability[gram] = math.exp(p)
            if b:
                backoff[gram] = math.exp(b)
    return probability, backoff


def back_off(probability: dict[Gram, float], backoff: dict[Gram, float], context: Gram, symbol: str) -> float:
    """Katz 1987: p(w | h) if it is listed, else bow(h) p(w | h')."""
    if (*context, symbol) in probability:
        return probability[(*context, symbol)]
    return backoff.get(context, 1.0) * back_off(probability, backoff, context[1:], symbol)


def kneser_ney(text: Text, order: int, prune: Sequence[int], discounts: dict[int, Sequence[float]]) -> tuple[dict[Gram, float], dict[Gram, float]]:
    """Interpolated modified Kneser-Ney (Chen & Goodman 1998) with given discounts: probabilities and backoff weights."""
    counts, adjusted = count(text, order)
    symbols = {symbol for sentence in text for symbol in sentence} | {"<unk>", "</s>"}
    uniform = 1 / len(symbols)
    probability: dict[Gram, float] = {}
    backoff: dict[Gram, float] = {}
    for n in range(1, order + 1):
        followers = defaultdict(list)
        for gram in adjusted[n]:
            followers[gram[:-1]].append(gram)
        for context, grams in followers.items():
            total = sum(adjusted[n][gram] for gram in grams)
            kept = [gram for gram in grams if counts[n][gram] > prune[n - 1]]
            taken = sum(adjusted[n][gram] for gram in grams if gram not in kept)
            taken += sum(discounts[n][min(adjusted[n][gram], 3) - 1] for gram in kept)
            backoff[context] = taken / total
            for gram in kept:
                lower = probability[gram[1:]] if n > 1 else uniform
                own = adjusted[n][gram] - discounts[n][min(adjusted[n][gram], 3) - 1]
                probability[gram] = own / total + backoff[context] * lower
        if n == 1:
            for symbol in symbols:
                probability.setdefault((symbol,), backoff[()] * uniform)
    del backoff[()]
    return probability, backoff


def count(text: Text, order: int) -> tuple[dict[int, Counter[Gram]], dict[int, Counter[Gram]]]:
    """How often each n-gram of each order occurs, and its adjusted count."""
    counts: dict[int, Counter[Gram]] = {n: Counter() for n in range(1, order + 1)}
    for sentence in text:
        tokens = ("<s>", *sentence, "</s>")
        for n in counts:
            counts[n].update(tokens[i : i + n] for i in range(len(tokens) - n + 1) if tokens[i + n - 1] != "<s>")
    adjusted = {order: counts[order]}
    for n in range(1, order):
        before = Counter(gram[1:] for gram in counts[n + 1])
        adjusted[n] = Counter({gram: counts[n][gram] if gram[0] == "<s>" else before[gram] for gram in counts[n]})
    return counts, adjusted


def chen_goodman(counts: Counter[Gram]) -> list[float] | None:
    """The three discounts of equation 26, None if the counts do not give them."""
    n1, n2, n3, n4 = (sum(value == c for value in counts.values()) for c in (1, 2, 3, 4))
    if not n1 or not n2 or not n3:
        return None
    y = n1 / (n1 + 2 * n2)
    found = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
    return found if min(found) >= 0 else None


def sums_of_contexts(model: NgramModel) -> np.ndarray:
    """Sum of the probabilities of all symbols in each state, (S,)."""
    states, size = len(model.backoff), len(model.symbols)
    log_probs, _ = query_many(*model.arrays, np.repeat(np.arange(states), size), np.tile(np.arange(size), states))
    return np.exp(log_probs).reshape(states, size).sum(axis=1)
