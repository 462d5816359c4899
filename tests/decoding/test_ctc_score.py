"""The quick sum over paths against the exact one, which test_beam.py holds against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recognizer.decoding.ctc_score import label_log_prob, quick_label_log_prob
from tests.decoding.brute import normalized, random_log_probs


@pytest.mark.parametrize("frames", [1, 2, 5, 40, 400])
def test_the_quick_sum_is_the_exact_one(frames: int) -> None:
    generator = np.random.default_rng(frames)
    for seed in range(40):
        table = random_log_probs(seed, frames, 5, 3.0)
        labels = generator.integers(1, 5, generator.integers(0, min(frames, 30) + 2)).astype(np.int64)
        exact, quick = label_log_prob(table, labels), quick_label_log_prob(np.exp(table), labels)
        assert quick == pytest.approx(exact, abs=1e-8) if math.isfinite(exact) else quick == -math.inf


def test_impossible_labelings_have_no_probability() -> None:
    certain = np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert quick_label_log_prob(certain, np.array([1], np.int64)) == 0.0
    for labels in ([], [2], [1, 1], [1, 2], [1, 2, 1, 2]):
        assert quick_label_log_prob(certain, np.array(labels, np.int64)) == -math.inf
    nothing = np.zeros((0, 3))
    assert quick_label_log_prob(nothing, np.array([], np.int64)) == 0.0
    assert quick_label_log_prob(nothing, np.array([1], np.int64)) == -math.inf


def test_far_tails_are_either_exact_or_nothing() -> None:
    """Four hundred frames that are sure of the blank, and a labeling against all of them."""
    table = normalized(np.tile([0.0, -30.0, -30.0], (400, 1)))
    for length in (1, 10, 100, 300):
        labels = np.tile([1, 2], length)[:length].astype(np.int64)
        quick = quick_label_log_prob(np.exp(table), labels)
        assert quick == -math.inf or quick == pytest.approx(label_log_prob(table, labels), abs=1e-6)
