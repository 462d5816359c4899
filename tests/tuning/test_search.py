"""The search for weights, on an error whose lowest place is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from recognizer.config import DecoderConfig
from recognizer.tuning.search import BEAM_SIZES, CLOSED_BEAM_SIZES, CLOSED_SEARCH_BEAM_SIZE, SEARCH_BEAM_SIZE, STEPS, find_weights

LOWEST = {"lm_weight": 1.3, "word_score": -0.6, "token_score": 1.9, "unk_score": -3.5, "combine_weight": 0.55}


class Bowl:
    """Stands for tuning data: errors grow with the square of the distance from ``LOWEST``, and where the beam is smaller than ``enough``."""

    metric = "WER"

    def __init__(self, closed: bool, enough: int, size: int) -> None:
        config = DecoderConfig(kind="beam", beam_size=size, combine_with="other" if closed else None, lm_weight=0.2, word_score=5.0)
        models = SimpleNamespace(trie="words", words="a model", tokens=None)
        self.decoder = SimpleNamespace(config=config, models=models, closed=closed)
        self.enough, self.asked = enough, list[DecoderConfig]()

    def __len__(self) -> int:
        return 3

    def errors(self, config: DecoderConfig, members: Sequence[int]) -> np.ndarray:
        self.asked.append(config)
        distance = sum(((getattr(config, key) - value) / STEPS[key]) ** 2 for key, value in LOWEST.items())
        return np.full(len(members), 100_000 + 1000 * distance + 10_000 * (config.beam_size < self.enough))

    def rate(self, errors: np.ndarray, members: Sequence[int]) -> float:
        return float(errors.sum() / (1_000_000 * len(members)))


@pytest.mark.parametrize("from_defaults", [False, True])
@pytest.mark.parametrize("closed", [False, True])
def test_the_lowest_place_is_found_to_the_smallest_step(closed: bool, from_defaults: bool) -> None:
    found = find_weights(Bowl(closed, 0, 500), from_defaults=from_defaults).config  # type: ignore[arg-type]
    idle = "unk_score" if closed else "combine_weight"  # closed: no word is unknown; open: there is no second recognizer here
    for key in LOWEST.keys() - {idle}:
        assert abs(getattr(found, key) - LOWEST[key]) <= STEPS[key] / 8 + 1e-6, key


@pytest.mark.parametrize(("closed", "enough", "size"), [(True, 600, 800), (True, 300, 512), (True, 0, 512), (False, 20, 32), (False, 0, 8)])
def test_the_smallest_beam_that_costs_nothing_is_kept(closed: bool, enough: int, size: int) -> None:
    assert find_weights(Bowl(closed, enough, 5), from_defaults=True).config.beam_size == size  # type: ignore[arg-type]


def test_weights_are_not_looked_for_with_the_few_labels_that_an_earlier_tuning_has_left() -> None:
    bowl = Bowl(True, 0, 500)
    bowl.decoder.config = replace(bowl.decoder.config, token_threshold=5.0)
    found = find_weights(bowl).config  # type: ignore[arg-type]
    assert {config.token_threshold for config in bowl.asked[:-2]} == {DecoderConfig().token_threshold}
    assert found.token_threshold == 5.0  # where fewer cost nothing, as here, they are kept all the same


@pytest.mark.parametrize("closed", [True, False])
def test_from_defaults_nothing_depends_on_the_settings_of_the_bundle(closed: bool) -> None:
    search, largest = (CLOSED_SEARCH_BEAM_SIZE, CLOSED_BEAM_SIZES[-1]) if closed else (SEARCH_BEAM_SIZE, BEAM_SIZES[-1])
    one, other = Bowl(closed, 0, 3), Bowl(closed, 0, 700)
    assert find_weights(one, from_defaults=True) == find_weights(other, from_defaults=True)  # type: ignore[arg-type]
    sizes = [config.beam_size for config in one.asked]
    assert set(sizes[: sizes.index(largest)]) == {search}
    assert len(one.asked) == len(set(one.asked))  # nothing is decoded twice


def test_a_large_beam_with_more_errors_than_a_small_one_is_no_measure() -> None:
    class Crooked(Bowl):
        def errors(self, config: DecoderConfig, members: Sequence[int]) -> np.ndarray:
            return super().errors(config, members) + 5000 * (config.beam_size != SEARCH_BEAM_SIZE)

    found = find_weights(Crooked(False, 0, 64))  # type: ignore[arg-type]
    assert found.config.beam_size == SEARCH_BEAM_SIZE and found.error == min(trial.error for trial in found.trials)
