"""Calibration: fits recover the weights that made the data, never run away, and confidences are counted as the definition says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.config import PlattScaling
from recognizer.decoding.calibration import Bin, Evidence, expected_calibration_error, fit_calibration, fit_logistic, reliability
from recognizer.decoding.confidence import combine, log_odds
from recognizer.errors import InputError


def made(generator: np.random.Generator, truth: PlattScaling, count: int) -> Evidence:
    share, peak = generator.uniform(0.01, 0.99, count), generator.uniform(0.01, 0.99, count)
    return Evidence(share, peak, generator.uniform(size=count) < combine(share, peak, truth))


@pytest.mark.parametrize("truth", [PlattScaling(1.0, 0.5, -0.5), PlattScaling(0.3, 2.0, 1.0)])
def test_the_weights_that_made_the_data_come_back(truth: PlattScaling) -> None:
    fitted = fit_logistic(made(np.random.default_rng(1), truth, 20_000))
    for name in ("posterior", "peak", "bias"):
        assert getattr(fitted, name) == pytest.approx(getattr(truth, name), abs=0.08)


def test_the_fit_is_a_minimum() -> None:
    """Of the regularised loss, looked for by another method."""
    from scipy.optimize import minimize

    evidence = made(np.random.default_rng(2), PlattScaling(0.8, 0.8, 0.2), 300)
    right = evidence.correct.sum()
    targets = np.where(evidence.correct, (right + 1) / (right + 2), 1 / (300 - right + 2))
    design = np.column_stack([log_odds(evidence.posteriors), log_odds(evidence.peaks), np.ones(300)])

    def loss(w: np.ndarray) -> float:
        return (np.logaddexp(0, design @ w) - targets * (design @ w)).sum() + (w[0] ** 2 + w[1] ** 2) / 2

    fitted = fit_logistic(evidence)
    assert [fitted.posterior, fitted.peak, fitted.bias] == pytest.approx(minimize(loss, np.zeros(3)).x.tolist(), abs=1e-3)


def test_calibrated_confidences_come_true() -> None:
    generator = np.random.default_rng(3)
    truth = PlattScaling(0.4, 0.4, 1.0)
    seen, unseen = made(generator, truth, 5000), made(generator, truth, 5000)
    calibration = fit_calibration([seen, made(generator, truth, 5000)], [made(generator, truth, 500)])
    before = expected_calibration_error(combine(unseen.posteriors, unseen.peaks, None), unseen.correct)
    after = expected_calibration_error(combine(unseen.posteriors, unseen.peaks, calibration.tokens), unseen.correct)
    assert after < 0.03 < 0.2 < before
    assert 0 < calibration.token_error < 0.03 and 0 < calibration.word_error < 0.1


@pytest.mark.parametrize("marks", ["separable", "all", "none", "one"])
def test_data_without_errors_do_not_run_away(marks: str) -> None:
    peak = np.linspace(0.05, 0.95, 40)
    correct = {"separable": peak > 0.5, "all": peak > 0, "none": peak > 1, "one": peak > 0.94}[marks]
    fitted = fit_logistic(Evidence(np.ones(40), peak, correct))
    assert all(abs(value) < 30 for value in (fitted.posterior, fitted.peak, fitted.bias))
    confidences = combine(np.ones(40), peak, fitted)
    assert (np.diff(confidences) >= 0).all() and (confidences > 0).all() and (confidences < 1).all()


def test_evidence_never_counts_against_a_symbol() -> None:
    generator = np.random.default_rng(4)
    peak = generator.uniform(0.01, 0.99, 2000)
    correct = generator.uniform(size=2000) < peak
    assert fit_logistic(Evidence(1 - peak, peak, correct)).posterior == 0.0
    against = fit_logistic(Evidence(1 - peak, 1 - peak, correct))
    assert (against.posterior, against.peak) == (0.0, 0.0) and abs(against.bias) < 0.2


@pytest.mark.parametrize(
    ("share", "peak", "words"),
    [([], [], "needs development data"), ([0.5], [np.nan], "finite numbers, as many as the 1 marks"), ([0.5, 0.5], [0.5], "as many as the 2 marks")],
)
def test_evidence_that_cannot_be_used(share, peak, words: str) -> None:
    with pytest.raises(InputError, match=words):
        fit_logistic(Evidence(np.array(share), np.array(peak), np.ones(len(share), bool)))


def test_without_words_theirs_is_that_of_the_tokens() -> None:
    evidence = made(np.random.default_rng(5), PlattScaling(1.0, 1.0, 0.0), 200)
    empty = Evidence(np.empty(0), np.empty(0), np.empty(0))
    for words in ([], [empty], [Evidence.join([])]):
        calibration = fit_calibration([evidence], words)
        assert calibration.words == calibration.tokens and calibration.word_error == 0.0


def test_reliability_by_hand() -> None:
    confidences, correct = [0.05, 0.1, 0.15, 1.0, 0.95], [0, 0, 1, 1, 0]
    assert reliability(confidences, correct) == [
        Bin(0.0, 0.1, 1, 0.05, 0.0), Bin(0.1, 0.2, 2, 0.125, 0.5), Bin(0.9, 1.0, 2, 0.975, 0.5),
    ]  # fmt: skip
    assert expected_calibration_error(confidences, correct) == pytest.approx((0.05 + 2 * 0.375 + 2 * 0.475) / 5)
    assert expected_calibration_error(confidences, correct, bins=1) == pytest.approx(abs(0.45 - 0.4))
    assert reliability([], []) == [] and expected_calibration_error([], []) == 0.0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30), st.integers(1, 12))
@settings(deadline=None)
def test_the_table_counts_everything_once(pairs, bins: int) -> None:
    confidences, correct = zip(*pairs, strict=True)
    table = reliability(confidences, correct, bins)
    assert sum(row.count for row in table) == len(pairs)
    assert sum(row.count * row.accuracy for row in table) == pytest.approx(sum(correct))
    assert 0 <= expected_calibration_error(confidences, correct, bins) <= 1


@pytest.mark.parametrize(("confidences", "correct"), [([0.5], [1, 0]), ([1.1], [1]), ([np.nan], [1])])
def test_what_is_no_confidence(confidences, correct) -> None:
    with pytest.raises(InputError):
        reliability(confidences, correct)


def test_the_error_is_that_of_speakers_not_seen() -> None:
    """Two speakers who contradict each other: either fit is wrong about the other one."""
    generator = np.random.default_rng(6)
    modest, proud = made(generator, PlattScaling(0.0, 1.0, 2.0), 3000), made(generator, PlattScaling(0.0, 1.0, -2.0), 3000)
    assert fit_calibration([modest, proud]).token_error > 0.3
    assert fit_calibration([modest]).token_error < 0.05
