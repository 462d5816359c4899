"""The search for weights, on an error whose lowest place is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from recognizer.config import DecoderConfig
from recognizer.weight_search import CLOSED_SEARCH_WIDTH, CLOSED_WIDTHS, SEARCH_WIDTH, STEPS, WIDTHS, find_weights

LOWEST = {"lm_weight": 1.3, "insertion": -0.6, "symbol_insertion": 1.9, "unknown": -3.5, "second_weight": 0.55}


class Bowl:
    """Stands for tuning data: errors grow with the square of the distance from ``LOWEST``, and where the beam is narrower than ``enough``."""

    metric = "WER"

    def __init__(self, closed: bool, enough: int, width: int) -> None:
        config = DecoderConfig(kind="beam", width=width, second="other" if closed else None, lm_weight=0.2, insertion=5.0)
        models = SimpleNamespace(tree="words", words="a model", letters=None)
        self.decoder = SimpleNamespace(config=config, models=models, closed=closed)
        self.enough, self.asked = enough, list[DecoderConfig]()

    def __len__(self) -> int:
        return 3

    def errors(self, config: DecoderConfig, members: Sequence[int]) -> np.ndarray:
        self.asked.append(config)
        distance = sum(((getattr(config, key) - value) / STEPS[key]) ** 2 for key, value in LOWEST.items())
        return np.full(len(members), 100_000 + 1000 * distance + 10_000 * (config.width < self.enough))

    def rate(self, errors: np.ndarray, members: Sequence[int]) -> float:
        return float(errors.sum() / (1_000_000 * len(members)))


@pytest.mark.parametrize("afresh", [False, True])
@pytest.mark.parametrize("closed", [False, True])
def test_the_lowest_place_is_found_to_the_smallest_step(closed: bool, afresh: bool) -> None:
    bowl = Bowl(closed, 0, 500)
    found = find_weights(bowl, afresh=afresh).config  # type: ignore[arg-type]
    idle = "unknown" if closed else "second_weight"  # closed: no word is unknown; open: there is no second recogniser here
    for key in LOWEST.keys() - {idle}:
        assert abs(getattr(found, key) - LOWEST[key]) <= STEPS[key] / 8 + 1e-6, key


@pytest.mark.parametrize(("closed", "enough", "width"), [(True, 600, 800), (True, 300, 512), (True, 0, 512), (False, 20, 32), (False, 0, 8)])
def test_the_narrowest_beam_that_costs_nothing_is_kept(closed: bool, enough: int, width: int) -> None:
    assert find_weights(Bowl(closed, enough, 5), afresh=True).config.width == width  # type: ignore[arg-type]


def test_weights_are_not_looked_for_with_the_few_labels_that_an_earlier_tuning_has_left() -> None:
    bowl = Bowl(True, 0, 500)
    bowl.decoder.config = replace(bowl.decoder.config, label_threshold=5.0)
    found = find_weights(bowl).config  # type: ignore[arg-type]
    assert {config.label_threshold for config in bowl.asked[:-2]} == {DecoderConfig().label_threshold}
    assert found.label_threshold == 5.0  # where fewer cost nothing, as here, they are kept all the same


@pytest.mark.parametrize(("closed", "search", "widest"), [(True, CLOSED_SEARCH_WIDTH, CLOSED_WIDTHS[-1]), (False, SEARCH_WIDTH, WIDTHS[-1])])
def test_what_is_found_afresh_owes_nothing_to_the_settings_of_the_bundle(closed: bool, search: int, widest: int) -> None:
    one, other = Bowl(closed, 0, 3), Bowl(closed, 0, 700)
    assert find_weights(one, afresh=True) == find_weights(other, afresh=True)  # type: ignore[arg-type]
    widths = [config.width for config in one.asked]
    pruning = widths.index(widest)
    assert set(widths[:pruning]) == {search}
    assert len(one.asked) == len(set(one.asked))  # nothing is decoded twice


def test_a_wide_beam_that_reads_worse_than_a_narrow_one_is_not_what_others_are_held_against() -> None:
    class Crooked(Bowl):
        def errors(self, config: DecoderConfig, members: Sequence[int]) -> np.ndarray:
            return super().errors(config, members) + 5000 * (config.width != SEARCH_WIDTH)

    found = find_weights(Crooked(False, 0, 64))  # type: ignore[arg-type]
    assert found.config.width == SEARCH_WIDTH and found.error == min(trial.error for trial in found.trials)
