"""What a sweep varies: lists of values and ranges of numbers on the command line, and the trainings that come of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recognizer.config.compose import Pretrained, compose_values, hydra_errors, parse_overrides
from recognizer.config.schema import from_dict
from recognizer.config.settings import TrainConfig
from recognizer.errors import ConfigError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

DIGITS = 4  # of a number that is drawn: enough for every setting, and short to read


@dataclass(frozen=True)
class Trial:
    """One training of a sweep.

    Attributes:
        number: from 0, in the order of the sweep.
        varied: keys that the sweep varies, with the values here in Hydra's grammar.
        config: all settings; ``run_dir`` is the trial's own.
    """

    number: int
    varied: dict[str, str]
    config: TrainConfig


@dataclass(frozen=True)
class Choice:
    """A list of values in Hydra's grammar: ``model.dropout=0.0,0.1,0.3``, ``model=choice(gru,blstm)``."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Numbers:
    """Numbers from ``low`` to ``high``, both included: ``interval(0,1)``, ``int(interval(1,8))``, ``tag(log,interval(1e-4,1e-2))``, ``range(1,9,2)``.

    Attributes:
        step: between them; None: any number.
        log: whether they are drawn by their logarithm.
        integer: whether they are whole numbers.
    """

    key: str
    low: float
    high: float
    step: float | None = None
    log: bool = False
    integer: bool = False

    def write(self, value: float) -> str:
        """A number of these as an override has it."""
        if self.integer:
            return str(int(value))
        return repr(min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high))


Dimension = Choice | Numbers


def grid_trials(overrides: Sequence[str], config_dir: str | Path | None = None, pretrained: Pretrained | None = None) -> list[Trial]:
    """One training for every combination of values, each in a run_dir of its own, named after those that vary.

    Raises:
        ConfigError: as :func:`~recognizer.config.compose.compose`, for any of them; or an interval, which has no list of values.
    """
    alternatives: list[list[tuple[str, str]]] = []  # key and value; a word that is no list has no key
    for override in parse_overrides(overrides):
        if override.is_sweep_override():
            if not override.is_discrete_sweep():
                raise ConfigError(f"{override.input_line}: a grid needs a list of values, not an interval; or sweep=optuna (conf/README.md)")
            alternatives.append([(override.get_key_element(), value) for value in _values(override)])
        else:
            alternatives.append([("", str(override.input_line))])
    trials: list[Trial] = []
    for combination in product(*alternatives):
        settings = compose_values([f"{key}={value}" if key else value for key, value in combination], config_dir, pretrained)
        varied = {key: value for (key, value), others in zip(combination, alternatives, strict=True) if len(others) > 1}
        if varied:
            name = re.sub(r"[^\w.=,+-]", "_", ",".join(f"{key}={value}" for key, value in varied.items()))
            run_dir, used = str(Path(settings["run_dir"]) / name), {other.config.run_dir for other in trials}
            numbered = (f"{run_dir}-{number}" for number in count(2))  # values may differ in special characters only, or not at all
            settings["run_dir"] = next(folder for folder in chain([run_dir], numbered) if folder not in used)
        trials.append(Trial(len(trials), varied, from_dict(TrainConfig, settings)))
    return trials


class SearchSpace:
    """Settings to draw from.

    Args:
        overrides, config_dir, pretrained: as of :func:`~recognizer.config.compose.compose`, where values may be lists and ranges.

    Attributes:
        dimensions: what varies, in the order of the command line.
        base: the settings with the first value of each list and the lowest of each range; its ``run_dir`` is that of the study.
        checked: ``base`` and, beside its other values, each further value of a list and the highest of each range.

    Raises:
        ConfigError: nothing varies, a range is empty, or any single value is refused beside the first ones of the others. Not all combinations
            can be tried before.
    """

    def __init__(self, overrides: Sequence[str], config_dir: str | Path | None = None, pretrained: Pretrained | None = None) -> None:
        self._config_dir, self._pretrained = config_dir, pretrained
        self._words: list[str | Dimension] = [
            _dimension(override) if override.is_sweep_override() else str(override.input_line) for override in parse_overrides(overrides)
        ]
        self.dimensions = [word for word in self._words if not isinstance(word, str)]
        keys = [dimension.key for dimension in self.dimensions]
        if not keys:
            raise ConfigError("a sweep varies something; write several values, such as seed=1,2,3 or 'trainer.learning_rate=interval(1e-4,1e-2)'")
        for key in keys:
            if keys.count(key) > 1 or key == "run_dir":
                raise ConfigError(f"{key}: {'is varied twice' if key != 'run_dir' else 'is the folder of the whole sweep and cannot vary'}")
        first = {dimension.key: _ends(dimension)[0] for dimension in self.dimensions}
        self.base = self._compose(first)
        others = [first | {dimension.key: value} for dimension in self.dimensions for value in _ends(dimension)[1:]]
        self.checked = [self.base, *map(self._compose, others)]

    def trial(self, number: int, varied: Mapping[str, str]) -> Trial:
        """The training with these values of all dimensions, in a numbered folder beneath that of the study.

        Raises:
            ConfigError: the settings refuse this combination.
        """
        return Trial(number, dict(varied), replace(self._compose(varied), run_dir=str(self.run_dir(number))))

    def run_dir(self, number: int) -> Path:
        """The folder of a trial."""
        return Path(self.base.run_dir) / f"trial-{number:03d}"

    def _compose(self, varied: Mapping[str, str]) -> TrainConfig:
        words = [word if isinstance(word, str) else f"{word.key}={varied[word.key]}" for word in self._words]
        return from_dict(TrainConfig, compose_values(words, self._config_dir, self._pretrained))


def _dimension(override: Override) -> Dimension:
    from hydra.core.override_parser.types import IntervalSweep, RangeSweep

    word, key, value = override.input_line, override.get_key_element(), override.value()
    tags: set[str] = getattr(value, "tags", set())
    if tags - {"log"} or (tags and not isinstance(value, IntervalSweep)):
        raise ConfigError(f"{word}: tag() knows log, of an interval, and nothing else")
    if isinstance(value, RangeSweep):
        numbers: list[Any] = sorted(value.range())
        if not numbers:
            raise ConfigError(f"{word}: holds no number")
        step = abs(value.step)
        return Numbers(key, numbers[0], numbers[-1], step, integer=all(isinstance(number, int) for number in (numbers[0], step)))
    if isinstance(value, IntervalSweep):
        low, high = value.start, value.end
        if low is None or high is None or not low < high:
            raise ConfigError(f"{word}: an interval goes from a lower to a higher number")
        if tags and low <= 0:
            raise ConfigError(f"{word}: tag(log, ...) needs numbers above 0")
        return Numbers(key, low, high, log=bool(tags), integer=isinstance(low, int) and isinstance(high, int))
    values = _values(override)
    if len(set(values)) < len(values):
        raise ConfigError(f"{word}: names a value twice")
    return Choice(key, tuple(sorted(values) if getattr(value, "shuffle", False) else values))  # the same at each call


def _values(override: Override) -> list[str]:
    """The values of a list in Hydra's grammar."""
    from hydra.core.override_parser.types import Glob

    if isinstance(override.value(), Glob):
        raise ConfigError(f"{override.input_line}: glob() is not known here; name the choices")
    with hydra_errors([str(override.input_line)]):
        return list(override.sweep_string_iterator())


def _ends(dimension: Dimension) -> tuple[str, ...]:
    """All values of a list, or the lowest and the highest of a range."""
    if isinstance(dimension, Choice):
        return dimension.values
    return dimension.write(dimension.low), dimension.write(dimension.high)
