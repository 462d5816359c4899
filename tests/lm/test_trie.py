"""The automaton of a model from a tree of n-grams."""

from __future__ import annotations

import numpy as np

from recognizer.lm.trie import Trie, build_model


def test_arcs_of_a_large_model_lead_to_the_longest_context() -> None:
    size = 60_000  # symbols and as many contexts of two: their numbers together take more than 32 bits
    trie, chain = Trie(size), np.stack([(np.arange(size) + shift) % size for shift in range(3)], axis=1)
    for length in (2, 3):
        trie.add(chain[:, :length])
    logs = np.zeros(len(trie.keys))
    model = build_model(3, "words", [str(number) for number in range(size)], trie, logs, logs)
    bigrams = model.target[size : 2 * size]  # states of "n, n + 1", in the order of n
    assert (bigrams == size + 1 + np.arange(size)).all()
    assert (model.target[2 * size :] == np.roll(bigrams, -1)).all()  # "n, n + 1, n + 2" leads to "n + 1, n + 2"
    assert (model.fallback[bigrams] == 1 + (np.arange(size) + 1) % size).all()
