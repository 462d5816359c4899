"""What a decoder is checked against: sums over every path, in plain Python; and log-probs made at random."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np


def normalized(logits: np.ndarray) -> np.ndarray:
    """Log-probs of logits (T, V)."""
    top = logits.max(axis=1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))


def random_log_probs(seed: int, frames: int, size: int = 4, sharpness: float = 2.0) -> np.ndarray:
    """Log-probs (T, V) of normal logits."""
    return normalized(np.random.default_rng(seed).normal(size=(frames, size)) * sharpness)


def peaked(labels: list[int], size: int, height: float = 12.0) -> np.ndarray:
    """Log-probs (T, V) that are nearly certain of one label a frame."""
    return normalized(np.where(np.arange(size) == np.array(labels)[:, None], height, 0.0))


def collapse_path(path: tuple[int, ...]) -> tuple[int, ...]:
    """Merge repeats, then drop blanks."""
    return tuple(label for label, _ in itertools.groupby(path) if label != 0)


def labeling_scores(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """Log probability of every labeling that some path of T frames gives."""
    frames, size = log_probs.shape
    sums: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(size), repeat=frames):
        sums[collapse_path(path)] += math.exp(sum(log_probs[t, label] for t, label in enumerate(path)))
    return {labels: math.log(value) if value > 0 else -math.inf for labels, value in sums.items()}
