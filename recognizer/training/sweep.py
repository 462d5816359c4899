"""Several trainings with different settings: ``recognizer train -m``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from recognizer.config import TrainConfig
from recognizer.config.compose import split_sweep
from recognizer.config.search_space import SearchSpace, Trial, grid_trials
from recognizer.config.sweep import SweepConfig
from recognizer.errors import Interrupted, TrainingError
from recognizer.training.datamodule import load_items
from recognizer.training.launchers import Launcher, open_launcher
from recognizer.training.run import BUNDLE, collect_signals, locate_files
from recognizer.training.study import JOURNAL, Grid, OptunaStudy, Study
from recognizer.training.transfer import pretrained_settings
from recognizer.training.trial import Outcome, check_folder
from recognizer.utils.files import open_folder, write_text
from recognizer.utils.lock import locked
from recognizer.utils.progress import Progress, duration

TABLE = "trials.json"
LOCK = "sweep.lock"

Result = tuple[Trial, Outcome]


class Sweep:
    """What ``recognizer train -m`` is asked for, with all settings checked that are known before the first training.

    Args:
        overrides: as after ``recognizer train -m``: those of the sweep, ``sweep.KEY=VALUE``, and of its trainings, with lists and ranges.
        config_dir: a folder with further choices of settings.

    Attributes:
        settings: of the sweep itself.
        configs: of the trainings; of settings that are drawn, those with the first value of each list and the lowest of each range.
        folder: where the sweep keeps what it knows; of one training alone its ``run_dir``.

    Raises:
        ConfigError: a setting is refused.
    """

    def __init__(self, overrides: Sequence[str], config_dir: str | Path | None = None) -> None:
        self.settings, own = split_sweep(overrides, config_dir)
        self._space: SearchSpace | None = None
        self._trials: list[Trial] = []
        if self.settings.sampled:
            self._space = SearchSpace(own, config_dir, pretrained_settings)
            self.configs, self.folder = [self._space.base], Path(self._space.base.run_dir)
        else:
            self._trials = grid_trials(own, config_dir, pretrained_settings)
            self.configs = [trial.config for trial in self._trials]
            places = [Path(config.run_dir).parent if self._trials[0].varied else Path(config.run_dir) for config in self.configs]
            common = os.path.commonpath([place.absolute() for place in places])
            self.folder = Path(common) if places[0].is_absolute() else Path(os.path.relpath(common))

    def run(self, quiet: bool = False, on_bundle: Callable[[Path], None] = lambda bundle: None) -> list[Result]:
        """Carry out the trainings that have no outcome yet, and write all outcomes to ``trials.json``.

        Args:
            quiet: print errors only.
            on_bundle: called with the bundle of each training that ends well.

        Raises:
            RecognizerError: nothing could be started. A training that fails is an outcome, and the others go on.
            Interrupted: a signal stopped the sweep; the same call goes on.
        """
        _check_corpora(self.configs if self._space is None else self._space.checked)
        launcher = open_launcher(self.settings, self.folder, quiet)
        with _lock_folder(self.folder):
            study = self._open_study()
            results = study.ended()
            progress = Progress(quiet)
            if results:
                progress.line(f"{self.folder}: {len(results)} trials have ended before")
            try:
                for result in _carry_out(study, launcher, self.settings, progress):
                    results.append(result)
                    trial, outcome = result
                    if outcome.error is not None:
                        on_bundle(Path(trial.config.run_dir) / BUNDLE)
            except (Interrupted, KeyboardInterrupt):
                progress.line(f"{self.folder}: {len(results)} trials have ended; the same command goes on with the others")
                raise
            results.sort(key=_order)
            if len(results) > 1:
                write_text(self.folder / TABLE, json.dumps([_record(*result) for result in results], indent=1, ensure_ascii=False) + "\n")
                progress.line(render(results))
        return results

    def _open_study(self) -> Study:
        if self._space is not None:
            return OptunaStudy(self._space, self.settings, self.folder)
        if (self.folder / JOURNAL).exists():
            raise TrainingError(f"{self.folder}: holds a study with another sweep.sampler; repeat its command, or name another run_dir")
        for trial in self._trials:
            check_folder(trial)
        return Grid(self._trials)


def render(results: Sequence[Result]) -> str:
    """A table of trials with error, time of training and settings, the best first; failed ones last, with their message."""
    keys = list(results[0][0].varied)
    rows = [["trial", "error", "time", *keys]]
    for number, (trial, outcome) in enumerate(results):
        error = "failed" if outcome.error is None else f"{100 * outcome.error:.2f} %{' *' if number == 0 else ''}"
        rows.append([str(trial.number), error, duration(outcome.seconds), *trial.varied.values()])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for place, (_, outcome) in enumerate(results, start=1):
        if outcome.error is None:
            lines[place] += f"  {outcome.failure}"
    trial, outcome = results[0]
    if outcome.error is not None:
        lines.append(f"best: trial {trial.number}, {100 * outcome.error:.2f} %; {Path(trial.config.run_dir) / BUNDLE}")
    return "\n".join(lines)


def _carry_out(study: Study, launcher: Launcher, settings: SweepConfig, progress: Progress) -> Iterator[Result]:
    """Keep as many trials running as may run at the same time, and yield each when it has ended."""
    running, left = 0, True
    with _stopped(launcher, settings) as pending:
        while True:
            while left and running < settings.parallel:
                trial = study.next()
                left = trial is not None
                if trial is not None:
                    progress.line(f"trial {trial.number}: {_words(trial)}")
                    launcher.start(trial)
                    running += 1
            if running == 0:
                return
            for trial, outcome in launcher.finished():
                running -= 1
                study.tell(trial, outcome)
                if outcome.error is None:
                    progress.close()
                    Progress().line(f"trial {trial.number} ({trial.config.run_dir}) failed: {outcome.failure}")  # quiet or not
                else:
                    progress.line(f"trial {trial.number}: validation error {100 * outcome.error:.2f} %")
                yield trial, outcome
            if pending:
                raise Interrupted("stopped, each training after a checkpoint; the same command goes on")


@contextmanager
def _stopped(launcher: Launcher, settings: SweepConfig) -> Iterator[list[int]]:
    """Stop what runs elsewhere when the block is left early; signals are collected there, and a training in this process takes its own."""
    if settings.launcher == "here":
        yield []
        return
    with collect_signals() as pending:
        try:
            yield pending
        finally:
            launcher.stop()


def _lock_folder(folder: Path) -> AbstractContextManager[None]:
    return locked(open_folder(folder) / LOCK, f"{folder}: process %s runs a sweep there; wait until it ends, or stop it", TrainingError)


def _check_corpora(configs: Sequence[TrainConfig]) -> None:
    """Look for the files that the trainings read, once for each corpus, before the first begins."""
    seen = []
    for config in configs:
        locate_files(config)
        if (config.corpus, config.trainer.limit_items) not in seen:
            seen.append((config.corpus, config.trainer.limit_items))
            load_items(config)


def _order(result: Result) -> tuple[bool, float, int]:
    trial, outcome = result
    return outcome.error is None, outcome.error or 0.0, trial.number


def _words(trial: Trial) -> str:
    return " ".join(f"{key}={value}" for key, value in trial.varied.items()) or trial.config.run_dir


def _record(trial: Trial, outcome: Outcome) -> dict[str, object]:
    return {"trial": trial.number, "run_dir": trial.config.run_dir, "error": outcome.error, "failure": outcome.failure,
        "seconds": outcome.seconds, "settings": trial.varied}  # fmt: skip
