"""Sequences whose last symbol, or whose next one, depends on what was read long before: three tasks of the LSTM's own papers."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

REBER = "BTPSXVE"  # symbols of the grammar, in the order of the inputs
# Reber's grammar behind its B: from each node, symbols and the nodes that they lead to; 6 is behind its E
INNER = ({"T": 1, "P": 2}, {"S": 1, "X": 3}, {"T": 2, "V": 4}, {"X": 2, "S": 5}, {"P": 3, "V": 5}, {"E": 6})


class Sequences(NamedTuple):
    """Padded sequences and what is to be said after the last frame of each.

    Attributes:
        frames: (B, T, D) float32; what stands behind a sequence's end means nothing.
        lengths: (B,).
        targets: (B,) float32.
    """

    frames: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray


def draw_distractors(generator: np.random.Generator, batch: int, lag: int, kinds: int) -> Sequences:
    """One symbol to be remembered over random ones: task 2c of Hochreiter & Schmidhuber 1997.

    A sequence is b, then x or y, then ``lag`` distractors of so many ``kinds`` and on average 9 more (each further one with
    probability 0.9), then e; the target is 1 if it was y. Frames are one-hot, D = kinds + 4: distractors, e, b, x, y.
    """
    lengths = lag + 2 + generator.geometric(0.1, batch)
    targets = generator.integers(0, 2, batch)
    symbols = generator.integers(0, kinds, (batch, lengths.max()))
    symbols[np.arange(batch), lengths - 1] = kinds
    symbols[:, 0] = kinds + 1
    symbols[:, 1] = kinds + 2 + targets
    return Sequences(np.eye(kinds + 4, dtype=np.float32)[symbols], lengths, targets.astype(np.float32))


def draw_sums(generator: np.random.Generator, batch: int, lag: int) -> Sequences:
    """Two marked numbers to be added: the adding problem, section 5.4 of Hochreiter & Schmidhuber 1997.

    A frame is a number from [-1, 1] and a marker: 1 at one of the first ten frames and at one of the first ``lag`` / 2 - 1 others, -1 at the
    ends, else 0. Lengths are ``lag`` to 1.1 ``lag``. The target is 0.5 + (X1 + X2) / 4; where the first frame was to be marked its X is 0.
    """
    lengths = generator.integers(lag, lag + lag // 10 + 1, batch)
    frames = np.zeros((batch, lengths.max(), 2), dtype=np.float32)
    frames[:, :, 0] = generator.uniform(-1, 1, frames.shape[:2])
    first = generator.integers(0, 10, batch)
    second = generator.integers(0, lag // 2 - 1, batch)
    second += second >= first
    rows = np.arange(batch)
    for place in (first, second):
        frames[rows, place, 1] = 1
    frames[:, 0, 1] = -1
    frames[rows, lengths - 1, 1] = -1
    one, other = (np.where(place > 0, frames[rows, place, 0], 0) for place in (first, second))
    return Sequences(frames, lengths, (0.5 + (one + other) / 4).astype(np.float32))


class Grammar(NamedTuple):
    """An embedded grammar without end, as tables over its N nodes.

    Attributes:
        symbols: (N, 2), the symbols of the two ways on from a node; twice the same where there is one way only.
        nodes: (N, 2), where they lead.
        recalls: (N,), where the next symbol is the string's last but one.
        possible: (N, 7), which symbols may follow.
    """

    symbols: np.ndarray
    nodes: np.ndarray
    recalls: np.ndarray
    possible: np.ndarray


@cache
def embed_grammar(inner: int = 1) -> Grammar:
    """The continual embedded Reber grammar (Gers, Schmidhuber & Cummins 2000, section 4.1).

    A string is B, then T or P, then a string of Reber's grammar (here: so many of them, which makes the way longer), then the same T or P
    again, then E; behind it the next begins at node 0.
    """
    size = len(INNER) + 1  # with the node before the inner string's B
    starts = {"T": 2, "P": 2 + inner * size + 1}
    end = starts["P"] + inner * size + 1
    ways: dict[int, dict[str, int]] = {0: {"B": 1}, 1: starts, end: {"E": 0}}
    for outer, first in starts.items():
        for start in range(first, first + inner * size, size):
            ways[start] = {"B": start + 1}
            for node, arcs in enumerate(INNER):
                ways[start + 1 + node] = {symbol: start + 1 + after for symbol, after in arcs.items()}
        ways[first + inner * size] = {outer: end}
    pairs = [list(ways[node].items()) for node in range(end + 1)]
    symbols = np.array([[REBER.index(arcs[k][0]) for k in (0, -1)] for arcs in pairs])
    recalls = np.isin(np.arange(end + 1), [first + inner * size for first in starts.values()])
    possible = np.stack([np.isin(np.arange(len(REBER)), pair) for pair in symbols])
    return Grammar(symbols, np.array([[arcs[k][1] for k in (0, -1)] for arcs in pairs]), recalls, possible)


def draw_stream(generator: np.random.Generator, grammar: Grammar, nodes: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Go on with streams of a grammar, ways on equally likely.

    Args:
        generator: of the choices.
        grammar: whose strings follow each other.
        nodes: (B,), where each stream stands; 0: before a string.
        steps: S.

    Returns:
        The next symbols (B, S) as indices into REBER, the node before each (B, S), and the nodes after the last (B,).
    """
    choices = generator.integers(0, 2, (steps, len(nodes)))
    symbols, before = np.empty_like(choices), np.empty_like(choices)
    for t, choice in enumerate(choices):
        before[t], symbols[t] = nodes, grammar.symbols[nodes, choice]
        nodes = grammar.nodes[nodes, choice]
    return symbols.T, before.T, nodes
