"""Bootstrap intervals: coverage on simulated speakers, edge cases, determinism."""

from __future__ import annotations

import time

import numpy as np
import pytest

from recognizer.evaluation.bootstrap import bootstrap


def simulate(generator, groups=40, items=10, tokens=20):
    """Errors of speakers whose own error rates are Beta(2, 8): mean 0.2."""
    skill = generator.beta(2, 8, size=groups)
    errors = generator.binomial(tokens, np.repeat(skill, items))
    return errors, np.full(groups * items, tokens), [f"s{g}" for g in np.repeat(np.arange(groups), items)]


def test_interval_holds_the_point_estimate_of_clustered_data():
    for seed in range(20):
        errors, tokens, groups = simulate(np.random.default_rng(seed))
        interval = bootstrap(errors, tokens, groups, draws=1000)
        assert interval.resampled == "groups"
        assert interval.low < errors.sum() / tokens.sum() < interval.high


def test_group_intervals_cover_the_true_rate_and_item_intervals_do_not():
    generator = np.random.default_rng(11)
    covered = {"groups": 0, "items": 0}
    for _ in range(300):
        errors, tokens, groups = simulate(generator)
        for names in (groups, [None] * len(groups)):
            interval = bootstrap(errors, tokens, names, draws=400)
            covered[interval.resampled] += interval.low <= 0.2 <= interval.high
    assert 0.90 <= covered["groups"] / 300 <= 0.98
    assert covered["items"] / 300 < 0.80


def test_ends_agree_with_the_normal_approximation():
    errors, tokens, groups = simulate(np.random.default_rng(5), groups=200)
    interval = bootstrap(errors, tokens, groups)
    rates = errors.reshape(200, 10).sum(axis=1) / 200  # groups are of equal size, so the rate is their mean
    half = 1.96 * rates.std() / np.sqrt(200)
    assert interval.low == pytest.approx(rates.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(rates.mean() + half, abs=0.1 * half)


def test_two_groups_have_three_possible_corpora():
    # rates 0.1, 0.2, 0.3 with probabilities 1/4, 1/2, 1/4
    interval = bootstrap([1, 3], [10, 10], ["a", "b"])
    assert (interval.low, interval.high, interval.resampled) == (0.1, 0.3, "groups")


@pytest.mark.parametrize("groups", [[None] * 4, ["a"] * 4, ["a", None, "a", None]])
def test_fewer_than_two_groups_fall_back_to_items(groups):
    interval = bootstrap([0, 1, 2, 3], [10] * 4, groups)
    assert interval.resampled == "items"
    assert interval == bootstrap([0, 1, 2, 3], [10] * 4, [None] * 4)
    assert interval.low < 0.15 < interval.high


def test_items_without_a_group_stand_alone_beside_named_groups():
    errors, tokens = [1, 1, 5, 0], [10, 10, 10, 10]
    assert bootstrap(errors, tokens, ["a", "b", None, None]) == bootstrap(errors, tokens, ["a", "b", "c", "d"])


def test_the_seed_decides():
    errors, tokens, groups = simulate(np.random.default_rng(1))
    assert bootstrap(errors, tokens, groups, seed=4) == bootstrap(errors, tokens, groups, seed=4)
    assert bootstrap(errors, tokens, groups, seed=4) != bootstrap(errors, tokens, groups, seed=5)


def test_what_cannot_be_resampled_has_no_ends():
    for errors, tokens, groups in (([], [], []), ([1], [5], ["a"]), ([1, 2], [0, 0], ["a", "b"])):
        interval = bootstrap(errors, tokens, groups)
        assert interval.low is None and interval.high is None


def test_draws_without_tokens_are_left_out():
    interval = bootstrap([2, 1], [0, 10], ["a", "b"])  # rates 0.1, 0.3 and one that is undefined
    assert (interval.low, interval.high) == (0.1, 0.3)


def test_unequal_lengths_are_a_mistake():
    with pytest.raises(ValueError, match="do not pair up"):
        bootstrap([1, 2], [3], ["a", "b"])


def test_a_hundred_groups_take_well_under_a_second():
    errors, tokens, groups = simulate(np.random.default_rng(1), groups=100, items=100)
    start = time.process_time()
    bootstrap(errors, tokens, groups)
    assert time.process_time() - start < 1.0
