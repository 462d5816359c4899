"""Small capitals: which letters are written how, and which texts can be told from capitals."""

from __future__ import annotations

import random

import numpy as np
import pytest

from recognizer.data_prep.small_capitals import HEIGHT, SmallCapitals, check_shares, shows_capitals
from recognizer.errors import ConfigError


def test_small_letters_become_capitals_but_those_kept_and_those_without() -> None:
    small = SmallCapitals(0.7, frozenset("ei"))
    assert small.rewrite("Né à Iéna, le 3 mai: œuf, groß") == "Né À IéNA, Le 3 MAi: ŒUF, GROß"
    assert SmallCapitals(0.7).rewrite("Été 1914") == "ÉTÉ 1914"


def test_people_differ_and_come_from_the_numbers_alone() -> None:
    people = [SmallCapitals.draw(random.Random(seed).random) for seed in range(60)]
    assert people == [SmallCapitals.draw(random.Random(seed).random) for seed in range(60)]
    assert all(HEIGHT[0] <= person.height <= HEIGHT[1] for person in people) and np.ptp([person.height for person in people]) > 0.2
    assert 25 < sum(not person.kept for person in people) < 55
    assert SmallCapitals.draw(np.random.default_rng(3).random) == SmallCapitals.draw(np.random.default_rng(3).random)


def test_only_a_capital_beside_a_small_letter_tells() -> None:
    assert shows_capitals("né à Paris") and shows_capitals("Il")
    assert not any(map(shows_capitals, ("le 3 mai 1909", "PARIS", "J. P.", "a BC", "")))


@pytest.mark.parametrize(("capitals", "small", "named"), [
    (1.5, 0.0, "--capitals 1.5"), (0.0, -1.0, "--small-capitals -1"), (1.0, 0.5, "give --capitals 0")])
def test_shares_that_cannot_be_had(capitals: float, small: float, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        check_shares(capitals, small)
    check_shares(1.0, 0.0)
    check_shares(0.5, 1.0)
