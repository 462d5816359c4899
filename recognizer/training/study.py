"""Which trial a sweep takes next: those of a grid in order, or those that Optuna draws, which it keeps in a file."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from recognizer.config.search_space import Choice, Dimension, SearchSpace, Trial
from recognizer.config.sweep import SweepConfig
from recognizer.errors import ConfigError, TrainingError
from recognizer.training.trial import Outcome, failed, first_difference, fixed_settings, read_outcome, write_outcome

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

JOURNAL = "study.journal"  # Optuna's file in the folder of the sweep
NAME = "recognizer"  # of the study within it
SPACE = "space"  # attribute of the study: what it varies, and the settings that it does not


class Study(Protocol):
    """Where trials come from."""

    def next(self) -> Trial | None:
        """The next trial; None if there are no more. Trials that were begun and have no outcome come first."""

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """What came of a trial."""

    def ended(self) -> list[tuple[Trial, Outcome]]:
        """The trials that had ended before this call of the sweep."""


class Grid:
    """Trials that are known from the start; their folders say which have ended."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        outcomes = [(trial, read_outcome(Path(trial.config.run_dir))) for trial in trials]
        self._ended = [(trial, outcome) for trial, outcome in outcomes if outcome is not None]
        self._left = iter([trial for trial, outcome in outcomes if outcome is None])

    def next(self) -> Trial | None:
        """The next trial in order."""
        return next(self._left, None)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Nothing depends on it."""

    def ended(self) -> list[tuple[Trial, Outcome]]:
        """The trials that have an outcome in their folders."""
        return self._ended


class OptunaStudy:
    """Trials that Optuna draws, from a study kept in ``study.journal``.

    What is drawn depends on the seed, the number of the trial and the outcomes so far, and not on how often the sweep was interrupted.

    Raises:
        ConfigError: Optuna is not installed, or the settings of the sweep are refused.
        TrainingError: the file cannot be read, or holds a study of other settings.
    """

    def __init__(self, space: SearchSpace, settings: SweepConfig, folder: Path) -> None:
        try:
            import optuna
        except ImportError:
            raise ConfigError(f"sweep.sampler={settings.sampler} needs the extra: pip install 'recognizer[sweep]'") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._settings = space, settings
        self._distributions = {dimension.key: _distribution(dimension) for dimension in space.dimensions}
        path = folder / JOURNAL
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._study = optuna.create_study(storage=_open_journal(path), study_name=NAME, load_if_exists=True)
        except (ValueError, KeyError) as error:
            raise TrainingError(f"{path}: is damaged ({' '.join(str(error).split())[:100]}); restore it, or name another run_dir") from None
        self._check(folder)
        self._begun = iter([trial for trial in self._trials() if not trial.state.is_finished()])

    def next(self) -> Trial | None:
        """A trial that was begun, or one that is drawn now, until there are as many as asked for.

        A combination that the settings refuse has failed at once, and the next is drawn.
        """
        while (known := next(self._begun, None) or self._draw()) is not None:
            try:
                return self._space.trial(known.number, self._varied(known))
            except ConfigError as error:
                trial, outcome = self._beside(known), failed(str(error))
                write_outcome(trial, outcome)
                self.tell(trial, outcome)
        return None

    def _draw(self) -> FrozenTrial | None:
        number = len(self._trials())
        if number >= self._settings.trials:
            return None
        self._study.sampler = _sampler(self._settings, number)
        drawn = self._study.ask(self._distributions).number
        return self._study.trials[drawn]

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Let Optuna know the error of a trial, or that it failed."""
        from optuna.trial import TrialState

        if outcome.error is None:
            self._study.tell(trial.number, state=TrialState.FAIL)
        else:
            self._study.tell(trial.number, outcome.error)

    def ended(self) -> list[tuple[Trial, Outcome]]:
        """The trials that Optuna knows the outcome of."""
        ended = [known for known in self._trials() if known.state.is_finished()]
        outcomes = [read_outcome(self._space.run_dir(known.number)) or Outcome(known.value, "its folder is gone") for known in ended]
        return [(self._beside(known), outcome) for known, outcome in zip(ended, outcomes, strict=True)]

    def _beside(self, known: FrozenTrial) -> Trial:
        """The trial with settings that are complete in all but what varies, which may not be composed."""
        return Trial(known.number, self._varied(known), replace(self._space.base, run_dir=str(self._space.run_dir(known.number))))

    def _trials(self) -> list[FrozenTrial]:
        """Those whose settings are drawn completely; a process that was killed may have left one that is not."""
        return [trial for trial in self._study.trials if len(trial.params) == len(self._distributions)]

    def _varied(self, known: FrozenTrial) -> dict[str, str]:
        values = known.params
        return {d.key: values[d.key] if isinstance(d, Choice) else d.write(values[d.key]) for d in self._space.dimensions}

    def _check(self, folder: Path) -> None:
        """Keep what the study varies with it, or compare it with what is kept."""
        settings = self._settings
        now: dict[str, Any] = {"sweep.sampler": settings.sampler, "sweep.seed": settings.seed}
        if settings.sampler == "tpe":
            now["sweep.random_trials"] = settings.random_trials
        now |= {f"range of {dimension.key}": repr(dimension) for dimension in self._space.dimensions}
        now |= fixed_settings(self._space.base)
        now = json.loads(json.dumps(now))  # as the file gives it back
        before = self._study.user_attrs.get(SPACE)
        if before is None:
            self._study.set_user_attr(SPACE, now)
            return
        key = first_difference(before, now)
        if key is not None:
            raise TrainingError(f"{folder}: holds a study with another {key}; repeat its command, or name another run_dir")


def _distribution(dimension: Dimension) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    if dimension.integer:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log, step=int(dimension.step or 1))
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)


def _sampler(settings: SweepConfig, number: int) -> BaseSampler:
    """A sampler for one trial, with a seed of its own: one that went on from the same seed after an interruption would draw the same again."""
    from optuna.exceptions import ExperimentalWarning
    from optuna.samplers import RandomSampler, TPESampler

    seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
    if settings.sampler == "random":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of Optuna 4
        # trials that still run count as bad ones, so that those at the same time differ
        return TPESampler(seed=seed, n_startup_trials=settings.random_trials, constant_liar=True)


class _NoLock:
    """One process at a time has the folder of the sweep; a lock of Optuna's own would outlive a process that was killed."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _open_journal(path: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if path.exists():  # the last line may be half written, and what is written next would go on with it
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            path.write_bytes(data[: data.rfind(b"\n") + 1])
    return JournalStorage(JournalFileBackend(str(path), cast(Any, _NoLock())))
