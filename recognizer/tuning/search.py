"""The search for weights of the decoder: a grid, one setting at a time, then the strongest pruning that costs next to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from recognizer.config import DecoderConfig
from recognizer.tuning.data import TuningData
from recognizer.utils.progress import Progress

LM_WEIGHTS = (0.0, 0.3, 0.6, 1.0, 1.5)  # of the grid
BONUSES = (-1.0, 0.0, 1.0, 2.0)  # of the grid, nats for each symbol
STEPS = {  # of the local search, halved twice
    "lm_weight": 0.2, "char_lm_weight": 0.2, "token_score": 0.5, "word_score": 0.5, "unk_score": 2.0, "combine_weight": 0.2,
}  # fmt: skip
SEARCH_BEAM_SIZE = 16  # while weights are looked for: they hardly depend on it
BEAM_SIZES = (8, 16, 32, 64)  # tried for the pruning, the smallest first
# Where only the words of a list count, beginnings of many of them have to be kept alive: weights found with a beam of 50 make up for
# what it drops, and cost two recognizers together more than one point of WER on other speakers. So does a beam of 256 that is kept
# because it costs nothing on the speakers who are tuned on: the weights were found with it.
CLOSED_SEARCH_BEAM_SIZE = 256
CLOSED_BEAM_SIZES = (512, 800)
TOKEN_THRESHOLDS = (5.0, 6.0)  # nats, likewise
TOLERANCE = 0.005  # pruning may cost so much of the error rate, relatively
SETTINGS = (*STEPS, "beam_size", "token_threshold")  # that are searched


@dataclass(frozen=True)
class Trial:
    """Settings tried and the error rate they gave."""

    settings: dict[str, float]
    error: float


@dataclass(frozen=True)
class SearchResult:
    """The best settings, their error rate on the items they were searched on, and all that was tried, in order."""

    config: DecoderConfig
    error: float
    trials: tuple[Trial, ...]


class _ErrorRates:
    """Error rates of settings on some of the items, remembered."""

    def __init__(self, data: TuningData, members: Sequence[int]) -> None:
        self.data, self.members = data, members
        self.known: dict[DecoderConfig, float] = {}
        self.trials: list[Trial] = []

    def of(self, config: DecoderConfig) -> float:
        if config not in self.known:
            self.known[config] = self.data.rate(self.data.errors(config, self.members), self.members)
            self.trials.append(Trial({key: getattr(config, key) for key in SETTINGS}, self.known[config]))
        return self.known[config]


def find_weights(
    data: TuningData, members: Sequence[int] | None = None, progress: Progress | None = None, from_defaults: bool = False
) -> SearchResult:
    """Find the weights of the models, the bonuses and the beam size.

    A grid over the weight of the model and the bonus for a symbol, then a search along one setting at a time with steps that
    are halved twice, then the strongest pruning that costs next to nothing.

    Args:
        data: the decoder's own settings are where the search begins.
        members: numbers of the items to look at; None: all.
        progress: told how far it is.
        from_defaults: begin at the defaults instead, so that what is found owes nothing to other items.
    """
    progress = progress or Progress(quiet=True)
    start, models = data.decoder.config, data.decoder.models
    search_size, sizes = (CLOSED_SEARCH_BEAM_SIZE, CLOSED_BEAM_SIZES) if data.decoder.closed else (SEARCH_BEAM_SIZE, BEAM_SIZES)
    rates = _ErrorRates(data, range(len(data)) if members is None else members)
    by_words = models.trie is not None
    keys = ["word_score"]
    keys += ["lm_weight"] if models.words is not None or models.tokens is not None else []
    keys += ["char_lm_weight"] if models.words is not None and models.tokens is not None else []
    keys += ["token_score"] if by_words else []
    keys += ["combine_weight"] if start.combine_with is not None else []
    keys += ["unk_score"] if by_words and not data.decoder.closed else []
    if from_defaults:
        defaults = {key: getattr(DecoderConfig(), key) for key in (*keys, "token_threshold")}
        start = replace(start, **defaults, beam_size=sizes[-1], calibration=None)
    # a bundle that was tuned before comes with few labels a frame: weights found with them make up for what they drop, as with a small beam
    threshold = max(start.token_threshold, DecoderConfig().token_threshold)
    best = first = replace(start, beam_size=min(start.beam_size, search_size), token_threshold=threshold)
    weights = LM_WEIGHTS if "lm_weight" in keys else (first.lm_weight,)
    bonus = "token_score" if by_words else "word_score"
    points: list[dict[str, Any]] = [{"lm_weight": weight, bonus: value} for weight in weights for value in BONUSES]
    grid = [replace(first, **point) for point in points]
    for number, config in enumerate([first, *grid]):
        progress.update(f"grid {number}/{len(grid)}, best {data.metric} {100 * min(rates.known.values(), default=1.0):.2f} %")
        best = min(best, config, key=rates.of)
    for shrink in (1.0, 0.5, 0.25):
        best = _climb(best, {key: STEPS[key] * shrink for key in keys}, rates, progress)
    best = _prune(replace(best, beam_size=max(start.beam_size, sizes[-1])), sizes, rates)
    return SearchResult(best, rates.of(best), tuple(rates.trials))


def spell_settings(config: DecoderConfig) -> str:
    """The settings that are searched, as a command line takes them."""
    searched = [key for key in SETTINGS if config.combine_with is not None or key != "combine_weight"]
    return " ".join(f"decoder.{key}={getattr(config, key):g}" for key in searched)


def _climb(best: DecoderConfig, steps: dict[str, float], rates: _ErrorRates, progress: Progress) -> DecoderConfig:
    """Move along one setting at a time for as long as the error falls."""
    moved = True
    while moved:
        moved = False
        for key, step in steps.items():
            for direction in (step, -step):
                value = round(getattr(best, key) + direction, 6)
                if (key.endswith("weight") and value < 0) or (key == "combine_weight" and value > 1):
                    continue
                progress.update(f"{len(rates.trials)} settings tried, best {rates.data.metric} {100 * rates.of(best):.2f} %")
                candidate = replace(best, **{key: value})
                if rates.of(candidate) < rates.of(best):
                    best, moved = candidate, True
                    break
    return best


def _prune(largest: DecoderConfig, sizes: Sequence[int], rates: _ErrorRates) -> DecoderConfig:
    """The smallest beam, and then the fewest labels a frame, whose error is as low as that of the best of the beams, nearly.

    That need not be the largest: weights were looked for with a small one.
    """
    tried = [replace(largest, beam_size=size) for size in sizes]
    limit = min(rates.of(config) for config in [largest, *tried]) * (1 + TOLERANCE)
    small = next(config for config in [*tried, largest] if rates.of(config) <= limit)
    fewer = (replace(small, token_threshold=threshold) for threshold in TOKEN_THRESHOLDS if threshold < small.token_threshold)
    return next((config for config in fewer if rates.of(config) <= limit), small)
