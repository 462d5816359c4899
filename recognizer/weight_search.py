"""The search for weights of the decoder: a grid, one setting at a time, then the strongest pruning that costs next to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from recognizer.config import DecoderConfig
from recognizer.progress import Progress
from recognizer.tuning_data import TuningData

LM_WEIGHTS = (0.0, 0.3, 0.6, 1.0, 1.5)  # of the grid
INSERTIONS = (-1.0, 0.0, 1.0, 2.0)  # nats
STEPS = {  # of the local search, halved twice
    "lm_weight": 0.2, "char_lm_weight": 0.2, "symbol_insertion": 0.5, "insertion": 0.5, "unknown": 2.0, "second_weight": 0.2,
}  # fmt: skip
SEARCH_WIDTH = 16  # of the beam while weights are looked for: theirs hardly depend on it
WIDTHS = (8, 16, 32, 64)  # tried for the pruning, narrowest first
# Where only the words of a list count, beginnings of many of them have to be kept alive: weights found with a beam of 50 make up for
# what it drops, and cost two recognisers together more than one point of WER on other speakers. So does a beam of 256 that is kept
# because it costs nothing on the speakers who are tuned on: the weights were found with it.
CLOSED_SEARCH_WIDTH = 256
CLOSED_WIDTHS = (512, 800)
LABEL_THRESHOLDS = (5.0, 6.0)  # nats, likewise
TOLERANCE = 0.005  # pruning may cost so much of the error rate, relatively
SETTINGS = (*STEPS, "width", "label_threshold")  # that are searched


@dataclass(frozen=True)
class Trial:
    """Settings tried and the error rate they gave."""

    settings: dict[str, float]
    error: float


@dataclass(frozen=True)
class Found:
    """The best settings, their error rate on the items they were searched on, and all that was tried, in order."""

    config: DecoderConfig
    error: float
    trials: tuple[Trial, ...]


class _Judge:
    """Error rates of settings on some of the items."""

    def __init__(self, data: TuningData, members: Sequence[int]) -> None:
        self.data, self.members = data, members
        self.seen: dict[DecoderConfig, float] = {}
        self.trials: list[Trial] = []

    def error(self, config: DecoderConfig) -> float:
        """Errors per reference token, remembered."""
        if config not in self.seen:
            self.seen[config] = self.data.rate(self.data.errors(config, self.members), self.members)
            self.trials.append(Trial({key: getattr(config, key) for key in SETTINGS}, self.seen[config]))
        return self.seen[config]


def find_weights(data: TuningData, members: Sequence[int] | None = None, progress: Progress | None = None, afresh: bool = False) -> Found:
    """Find LM weights, insertion bonus, unknown-word score and beam width.

    A grid over the weight of the model and the bonus for a symbol, then a search along one setting at a time with steps that
    are halved twice, then the strongest pruning that costs next to nothing.

    Args:
        data: the decoder's own settings are where the search begins.
        members: numbers of the items to look at; None: all.
        progress: told how far it is.
        afresh: begin at the defaults instead, so that what is found owes nothing to other items.
    """
    progress = progress or Progress(quiet=True)
    start, models = data.decoder.config, data.decoder.models
    search_width, widths = (CLOSED_SEARCH_WIDTH, CLOSED_WIDTHS) if data.decoder.closed else (SEARCH_WIDTH, WIDTHS)
    judge = _Judge(data, range(len(data)) if members is None else members)
    by_words = models.tree is not None
    keys = ["insertion"]
    keys += ["lm_weight"] if models.words is not None or models.letters is not None else []
    keys += ["char_lm_weight"] if models.words is not None and models.letters is not None else []
    keys += ["symbol_insertion"] if by_words else []
    keys += ["second_weight"] if start.second is not None else []
    keys += ["unknown"] if by_words and not data.decoder.closed else []
    if afresh:
        defaults = {key: getattr(DecoderConfig(), key) for key in (*keys, "label_threshold")}
        start = replace(start, **defaults, width=widths[-1], calibration=None)
    # a bundle that was tuned before comes with few labels a frame: weights found with them make up for what they drop, as with a narrow beam
    labels = max(start.label_threshold, DecoderConfig().label_threshold)
    best = first = replace(start, width=min(start.width, search_width), label_threshold=labels)
    weights = LM_WEIGHTS if "lm_weight" in keys else (first.lm_weight,)
    bonus = "symbol_insertion" if by_words else "insertion"
    points: list[dict[str, Any]] = [{"lm_weight": weight, bonus: value} for weight in weights for value in INSERTIONS]
    grid = [replace(first, **point) for point in points]
    for number, config in enumerate([first, *grid]):
        progress.update(f"grid {number}/{len(grid)}, best {data.metric} {100 * min(judge.seen.values(), default=1.0):.2f} %")
        best = min(best, config, key=judge.error)
    for shrink in (1.0, 0.5, 0.25):
        best = _climb(best, {key: STEPS[key] * shrink for key in keys}, judge, progress)
    best = _prune(replace(best, width=max(start.width, widths[-1])), widths, judge)
    return Found(best, judge.error(best), tuple(judge.trials))


def spell_settings(config: DecoderConfig) -> str:
    """The settings that are searched, as a command line takes them."""
    searched = [key for key in SETTINGS if config.second is not None or key != "second_weight"]
    return " ".join(f"decoder.{key}={getattr(config, key):g}" for key in searched)


def _climb(best: DecoderConfig, steps: dict[str, float], judge: _Judge, progress: Progress) -> DecoderConfig:
    """Move along one setting at a time for as long as the error falls."""
    moved = True
    while moved:
        moved = False
        for key, step in steps.items():
            for direction in (step, -step):
                value = round(getattr(best, key) + direction, 6)
                if (key.endswith("weight") and value < 0) or (key == "second_weight" and value > 1):
                    continue
                candidate = replace(best, **{key: value})
                progress.update(f"{len(judge.trials)} settings tried, best {judge.data.metric} {100 * judge.error(best):.2f} %")
                if judge.error(candidate) < judge.error(best):
                    best, moved = candidate, True
                    break
    return best


def _prune(widest: DecoderConfig, widths: Sequence[int], judge: _Judge) -> DecoderConfig:
    """The narrowest beam, and then the fewest labels a frame, whose error is as low as that of the best of the beams, nearly.

    That need not be the widest: weights were looked for with a narrow one.
    """
    tried = [replace(widest, width=width) for width in widths]
    limit = min(judge.error(config) for config in [widest, *tried]) * (1 + TOLERANCE)
    narrow = next(config for config in [*tried, widest] if judge.error(config) <= limit)
    fewer = (replace(narrow, label_threshold=threshold) for threshold in LABEL_THRESHOLDS if threshold < narrow.label_threshold)
    return next((config for config in fewer if judge.error(config) <= limit), narrow)
