from __future__ import annotations

import numpy as np
import pytest

from recognizer.data_prep.trajectory import find_trajectory


def differences(values):
    """Streams (frames, 3, D) of values (frames, D), frame by frame as CMU Sphinx describes them."""
    at = lambda frame: values[min(max(frame, 0), len(values) - 1)]  # noqa: E731
    streams = []
    for t in range(len(values)):
        streams.append([at(t), at(t + 2) - at(t - 2), (at(t + 3) - at(t - 1)) - (at(t + 1) - at(t - 3))])
    return np.array(streams)


@pytest.mark.parametrize("frames", [1, 2, 5, 40])
def test_the_likeliest_by_least_squares(frames):
    chance = np.random.default_rng(frames)
    means, variances = chance.normal(size=(frames, 3, 2)), chance.uniform(0.1, 3, size=(frames, 3, 2))
    found = find_trajectory(means, variances)
    for dimension in range(2):  # the differences are linear in the values: one column for each of these
        columns = np.stack([differences(unit[:, None])[:, :, 0].ravel() for unit in np.eye(frames)], axis=1)
        scale = 1 / np.sqrt(variances[:, :, dimension].ravel())
        expected = np.linalg.lstsq(columns * scale[:, None], means[:, :, dimension].ravel() * scale, rcond=None)[0]
        assert np.allclose(found[:, dimension], expected)


def test_values_whose_differences_agree_are_kept():
    values = np.random.default_rng(1).normal(size=(30, 3)).cumsum(axis=0)
    streams = differences(values)
    assert np.allclose(find_trajectory(streams, np.full_like(streams, 0.3)), values)


def test_certain_differences_smooth_uncertain_values():
    means = np.zeros((20, 3, 1))
    means[10:, 0] = 1.0  # a step, of which the differences know nothing
    loose, tight = np.ones_like(means), np.ones_like(means)
    tight[:, 1:] = 0.01
    step = lambda variances: np.abs(np.diff(find_trajectory(means, variances)[:, 0])).max()  # noqa: E731
    assert step(tight) < 0.5 * step(loose)


def test_drawn_courses_have_the_mean_and_covariance_of_all_that_is_known():
    frames, chance = 6, np.random.default_rng(4)
    means, variances = chance.normal(size=(frames, 3, 1)), chance.uniform(0.5, 2, size=(frames, 3, 1))
    drawn = np.stack([find_trajectory(means, variances, chance)[:, 0] for _ in range(4000)])
    columns = np.stack([differences(unit[:, None])[:, :, 0].ravel() for unit in np.eye(frames)], axis=1)
    covariance = np.linalg.inv(columns.T @ (columns / variances.ravel()[:, None]))
    assert np.abs(drawn.mean(axis=0) - find_trajectory(means, variances)[:, 0]).max() < 0.05
    assert np.abs(np.cov(drawn.T) - covariance).max() < 0.06 * covariance.max()
    halved = np.stack([find_trajectory(means, variances, chance, spread=0.5)[:, 0] for _ in range(1000)])
    assert np.allclose(halved.std(axis=0), 0.5 * np.sqrt(np.diag(covariance)), rtol=0.15)
