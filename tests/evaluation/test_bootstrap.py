"""Bootstrap intervals: coverage on simulated speakers, examples by hand, and p against a permutation test."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from recognizer.evaluation.bootstrap import bootstrap
from recognizer.evaluation.compare import matched_pairs


def simulate(generator, groups=40, items=10, tokens=20):
    """Errors of speakers whose own error rates are Beta(2, 8): mean 0.2."""
    skill = generator.beta(2, 8, size=groups)
    errors = generator.binomial(tokens, np.repeat(skill, items))
    return errors, np.full(groups * items, tokens), [f"s{g}" for g in np.repeat(np.arange(groups), items)]


def simulate_differences(generator, groups=40, items=12):
    """Differences in errors of equally good recognizers, each of which suits some speakers better."""
    favor = np.repeat(generator.normal(0, 0.3, groups), items)
    errors = [generator.poisson(np.exp(sign * favor)) for sign in (1, -1)]
    return errors[1] - errors[0], np.full(groups * items, 10), [f"s{g}" for g in np.repeat(np.arange(groups), items)]


def test_group_intervals_cover_the_true_rate_and_item_intervals_do_not():
    generator = np.random.default_rng(11)
    covered = {"groups": 0, "items": 0}
    for _ in range(300):
        errors, tokens, groups = simulate(generator)
        for names in (groups, [None] * len(groups)):
            interval = bootstrap(errors, tokens, names, draws=400)
            covered[interval.resampled] += interval.low <= 0.2 <= interval.high
            assert interval.low < errors.sum() / tokens.sum() < interval.high
    assert 0.90 <= covered["groups"] / 300 <= 0.98
    assert covered["items"] / 300 < 0.80


def test_ends_agree_with_the_normal_approximation():
    errors, tokens, groups = simulate(np.random.default_rng(5), groups=200)
    interval = bootstrap(errors, tokens, groups)
    rates = errors.reshape(200, 10).sum(axis=1) / 200  # groups are of equal size, so the rate is their mean
    half = 1.96 * rates.std() / np.sqrt(200)
    assert interval.low == pytest.approx(rates.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(rates.mean() + half, abs=0.1 * half)


def test_by_hand():
    # rates 0.1, 0.2, 0.3 with probabilities 1/4, 1/2, 1/4
    interval = bootstrap([1, 3], [10, 10], ["a", "b"])
    assert (interval.low, interval.high, interval.resampled, interval.clusters) == (0.1, 0.3, "groups", 2)
    # differences of groups a: -2 of 10, b: +4 of 10; corpora aa, ab, ba, bb: -0.2, 0.1, 0.1, 0.4
    interval = bootstrap([-1, -1, 4], [5, 5, 10], ["a", "a", "b"], draws=4000)
    assert (interval.low, interval.high) == (-0.2, 0.4)
    assert interval.p == pytest.approx(0.5, abs=0.03)  # a quarter at or below zero, twice
    assert bootstrap([1] * 5, [9] * 5, [None] * 5, draws=999).p == 2 / 1000
    interval = bootstrap([2, 1], [0, 10], ["a", "b"])  # rates 0.1, 0.3 and one that is undefined, which is left out
    assert (interval.low, interval.high) == (0.1, 0.3)


@pytest.mark.parametrize("groups", [[None] * 4, ["a"] * 4, ["a", None, "a", None]])
def test_fewer_than_two_groups_fall_back_to_items(groups):
    interval = bootstrap([0, 1, 2, 3], [10] * 4, groups)
    assert interval == bootstrap([0, 1, 2, 3], [10] * 4, [None] * 4)
    assert interval.resampled == "items" and interval.low < 0.15 < interval.high


def test_items_without_a_group_stand_alone_beside_named_groups():
    errors, tokens = [1, 1, 5, 0], [10, 10, 10, 10]
    assert bootstrap(errors, tokens, ["a", "b", None, None]) == bootstrap(errors, tokens, ["a", "b", "c", "d"])


def test_the_seed_decides_and_a_hundred_groups_take_well_under_a_second():
    errors, tokens, groups = simulate(np.random.default_rng(1), groups=100, items=100)
    start = time.process_time()
    interval = bootstrap(errors, tokens, groups, seed=4)
    assert time.process_time() - start < 1.0
    assert bootstrap(errors, tokens, groups, seed=4) == interval != bootstrap(errors, tokens, groups, seed=5)


def test_what_cannot_be_resampled_has_no_ends():
    for errors, tokens, groups in (([], [], []), ([1], [5], ["a"]), ([1, 2], [0, 0], ["a", "b"])):
        interval = bootstrap(errors, tokens, groups)
        assert interval.low is None and interval.high is None and interval.p is None
    with pytest.raises(ValueError, match="do not pair up"):
        bootstrap([1, 2], [3], ["a", "b"])


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.25, 0.5])
def test_p_agrees_with_a_permutation_test(shift):
    generator = np.random.default_rng(3)
    differences = generator.normal(shift, 1, 60).round(1)
    signs = generator.choice([-1, 1], (20_000, 60))
    exchanged = np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9  # the two results of each group exchanged at random
    found = bootstrap(differences, np.ones(60), [f"g{n}" for n in range(60)])
    assert found.p == pytest.approx(exchanged.mean(), abs=0.03)


def test_few_groups_make_p_too_small():
    differences = np.random.default_rng(3).normal(0.9, 1, 16).round(1)
    signs = np.array(list(itertools.product((1, -1), repeat=16)))
    exact = float((np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9).mean())
    found = bootstrap(differences, np.ones(16), [f"g{n}" for n in range(16)])
    assert found.p < 0.05 < exact < found.p + 0.05  # which is why a comparison warns of it


def test_about_five_in_a_hundred_equal_pairs_seem_different_but_more_by_matched_pairs():
    generator = np.random.default_rng(8)
    pairs = [simulate_differences(generator) for _ in range(500)]
    assert 0.03 < np.mean([bootstrap(*pair, draws=300).p < 0.05 for pair in pairs]) < 0.08
    assert np.mean([matched_pairs(pair[0]).p < 0.05 for pair in pairs]) > 0.1  # which takes items of one speaker for independent
