"""What a decoder is checked against: sums over every path, in plain Python."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np


def normalised(logits: np.ndarray) -> np.ndarray:
    """Log-probs of logits (T, V)."""
    top = logits.max(axis=1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))


def collapse_path(path: tuple[int, ...]) -> tuple[int, ...]:
    """Merge repeats, then drop blanks."""
    return tuple(label for label, _ in itertools.groupby(path) if label != 0)


def labelling_scores(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """Log probability of every labelling that some path of T frames gives."""
    frames, size = log_probs.shape
    sums: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(size), repeat=frames):
        sums[collapse_path(path)] += math.exp(sum(log_probs[t, label] for t, label in enumerate(path)))
    return {labels: math.log(value) if value > 0 else -math.inf for labels, value in sums.items()}
