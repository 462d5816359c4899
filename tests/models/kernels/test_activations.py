"""The functions for compiled loops against the library's."""

from __future__ import annotations

import numpy as np
import pytest

from recognizer.models.kernels.activations import compiled, exp, log_sigmoid, sigmoid, sigmoid_sum, tanh, tanh_sum


@compiled
def _run(x: np.ndarray, outs: np.ndarray) -> None:
    for k in range(len(x)):
        outs[0, k] = exp(x[k])
    for k in range(len(x)):
        outs[1, k] = log_sigmoid(x[k])
    tanh_sum(x, np.zeros_like(x), outs[2])
    sigmoid_sum(x, np.zeros_like(x), outs[3])


def run(values: list[float] | np.ndarray, dtype: type) -> np.ndarray:
    x = np.array(values, dtype)
    outs = np.empty((4, len(x)), dtype)
    _run(x, outs)
    return outs


@pytest.mark.parametrize(("dtype", "near"), [(np.float32, 3.5e-7), (np.float64, 1e-14)])
def test_accuracy(dtype: type, near: float) -> None:
    x = np.concatenate([np.linspace(-87, 87, 100_001), np.logspace(-9, 1, 1_001), -np.logspace(-9, 1, 1_001)]).astype(dtype)
    found, exact = run(x, dtype), x.astype(np.float64)
    digits = near + np.abs(exact) * np.finfo(dtype).eps  # what is raised to is known to a digit
    wanted = np.minimum(exact, 0) - np.log1p(np.exp(-np.abs(exact)))
    assert np.all(np.abs(found[0] / np.exp(exact) - 1) < digits)
    assert np.all(np.abs(found[1] / wanted - 1) < digits)
    assert np.all(np.abs(found[2] - np.tanh(exact)) <= near * np.abs(np.tanh(exact)))
    assert np.all(np.abs(found[3] - 1 / (1 + np.exp(-exact))) < near)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ends_and_what_is_not_a_number(dtype: type) -> None:
    found = run([np.nan, np.inf, -np.inf, 800, -800, 0], dtype)
    np.testing.assert_array_equal(found[0], [np.nan, np.inf, 0, np.inf, 0, 1])
    np.testing.assert_allclose(found[1], [np.nan, 0, -np.inf, 0, -800, -np.log(2)], rtol=3e-7)
    np.testing.assert_allclose(found[2], [np.nan, 1, -1, 1, -1, 0], rtol=3e-7)
    np.testing.assert_allclose(found[3], [np.nan, 1, 0, 1, 0, 0.5], atol=3e-7)


def test_outside_compiled_code() -> None:
    assert exp(1.0) == pytest.approx(np.e) and log_sigmoid(-2.0) == pytest.approx(np.log(sigmoid(-2.0))) and tanh(0.5) == pytest.approx(np.tanh(0.5))
