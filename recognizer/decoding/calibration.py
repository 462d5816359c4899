"""Calibration: confidences that come true as often as they say, fitted on development data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recognizer.config import Calibration, PlattScaling
from recognizer.decoding.confidence import combine, log_odds
from recognizer.errors import InputError

PRIOR = 1.0  # strength of the pull of weights towards zero, in observations of log-odds 1
MAX_STEPS = 100


@dataclass(frozen=True)
class Evidence:
    """What spoke for some symbols or words, and whether they were right; all (N,).

    Attributes:
        posteriors: as :func:`~recognizer.decoding.confidence.posteriors` gives them, 0..1.
        peaks: as :func:`~recognizer.decoding.confidence.peaks` or ``word_peaks`` gives them, 0..1.
        correct: whether an alignment with the reference matches them.
    """

    posteriors: np.ndarray
    peaks: np.ndarray
    correct: np.ndarray

    @classmethod
    def join(cls, parts: Sequence[Evidence]) -> Evidence:
        """The evidence of many utterances or lines as one."""
        names = ("posteriors", "peaks", "correct")
        return cls(*(np.concatenate([getattr(part, name) for part in parts] or [np.empty(0)]) for name in names))


@dataclass(frozen=True)
class Bin:
    """A row of a reliability table: confidences from ``low`` up to ``high``, their number, their mean, and how many came true."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def fit_calibration(tokens: Sequence[Evidence], words: Sequence[Evidence] = ()) -> Calibration:
    """Fit both regressions; where there are no words (units without a lexicon) theirs is that of the tokens.

    Args:
        tokens, words: the evidence of each speaker or writer. The calibration errors reported are those of speakers or writers
            that a fit has not seen: one half is scored with the fit of the other. Of a single one they are those of its own fit.

    Raises:
        InputError: as :func:`fit_logistic`.
    """
    with_words = [part for part in words if len(part.correct)]
    by_token = fit_logistic(Evidence.join(tokens))
    by_word = fit_logistic(Evidence.join(with_words)) if with_words else by_token
    return Calibration(by_token, by_word, _held_out_error(tokens), _held_out_error(with_words))


def _held_out_error(parts: Sequence[Evidence]) -> float:
    halves = [Evidence.join(half) for half in (parts[::2], parts[1::2])]
    if any(len(half.correct) == 0 for half in halves):
        halves = [Evidence.join(parts)] * 2
    if len(halves[0].correct) == 0:
        return 0.0
    confidences = [combine(half.posteriors, half.peaks, fit_logistic(other)) for half, other in zip(halves, halves[::-1], strict=True)]
    return expected_calibration_error(np.concatenate(confidences), np.concatenate([half.correct for half in halves]))


def fit_logistic(evidence: Evidence) -> PlattScaling:
    """Logistic regression by Newton's method (iteratively reweighted least squares).

    Weights are drawn towards zero by a Gaussian prior, and targets lie a little inside 0 and 1 as in Platt 1999, so that
    data which can be told apart without error, or are all correct, do not run away. More evidence never counts against a symbol: a
    weight that would come out below zero is left out.

    Raises:
        InputError: no data, arrays of unequal length, or values that are not finite.
    """
    columns = [np.asarray(values, np.float64) for values in (evidence.posteriors, evidence.peaks)]
    correct = np.asarray(evidence.correct, bool)
    if correct.size == 0:
        raise InputError("a calibration needs development data; none was given")
    if any(column.shape != correct.shape or not np.isfinite(column).all() for column in columns):
        raise InputError(f"evidence must be finite numbers, as many as the {correct.size} marks of what is correct")
    right = int(correct.sum())
    targets = np.where(correct, (right + 1) / (right + 2), 1 / (correct.size - right + 2))
    design = np.column_stack([*(log_odds(column) for column in columns), np.ones(correct.size)])  # (N, 3)
    used = [0, 1, 2]
    while True:
        weights = np.zeros(3)
        weights[used] = _newton(design[:, used], targets)
        if (weights[:2] >= 0).all():
            return PlattScaling(*weights.tolist())
        used.remove(int(weights[:2].argmin()))


def _newton(design: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Weights (K,) of the most likely regression of targets (N,) on a design (N, K) whose last column is constant."""
    prior = np.full(design.shape[1], PRIOR)
    prior[-1] = 1e-6  # the bias is free

    def loss_of(weights: np.ndarray) -> float:
        odds = design @ weights
        return float((np.logaddexp(0, odds) - targets * odds).sum() + (prior * weights**2).sum() / 2)

    weights = np.zeros(design.shape[1])
    loss = loss_of(weights)
    for _ in range(MAX_STEPS):
        predicted = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (predicted - targets) + prior * weights
        curvature = (design * (predicted * (1 - predicted))[:, None]).T @ design + np.diag(prior)
        step = np.linalg.solve(curvature, gradient)
        while (reached := loss_of(weights - step)) > loss and np.abs(step).max() > 1e-12:
            step /= 2
        if reached > loss or np.abs(step).max() < 1e-10:
            break
        weights, loss = weights - step, reached
    return weights


def reliability(confidences: np.ndarray, correct: np.ndarray, bins: int = 10) -> list[Bin]:
    """Confidences in ``bins`` equal ranges of 0..1, and how often they came true; ranges without any are left out.

    Raises:
        InputError: arrays of unequal length, or a confidence outside 0..1.
    """
    values, marks = np.asarray(confidences, np.float64), np.asarray(correct, np.float64)
    if values.shape != marks.shape or values.ndim != 1:
        raise InputError(f"{values.size} confidences for {marks.size} marks of what is correct")
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError("confidences lie within 0..1")
    places = np.minimum((values * bins).astype(np.int64), bins - 1)
    rows = ((n, places == n) for n in np.unique(places).tolist())
    return [Bin(n / bins, (n + 1) / bins, int(inside.sum()), float(values[inside].mean()), float(marks[inside].mean())) for n, inside in rows]


def expected_calibration_error(confidences: np.ndarray, correct: np.ndarray, bins: int = 10) -> float:
    """Mean distance between confidence and accuracy over the rows of :func:`reliability`, weighted by their size (Naeini et al. 2015)."""
    table = reliability(confidences, correct, bins)
    return sum(row.count * abs(row.confidence - row.accuracy) for row in table) / max(1, sum(row.count for row in table))
