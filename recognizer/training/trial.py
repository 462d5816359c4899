"""One training of a sweep, and what came of it: kept in its folder, so that whoever asks later, in whatever process, finds it."""

from __future__ import annotations

import json
import sys
import time
import traceback
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from recognizer.config import TrainConfig
from recognizer.config.schema import to_dict
from recognizer.config.search_space import Trial
from recognizer.errors import Interrupted, RecognizerError, RecognizerWarning, TrainingError
from recognizer.training.checkpoint import CHECKPOINT, LOCK
from recognizer.training.run import BUNDLE, CONFIG, LOG, locate_files, resumed_config, train
from recognizer.utils.files import write_text
from recognizer.utils.lock import find_holder

OUTCOME = "trial.json"
FREE = frozenset([  # settings on which the weights do not depend, so that a trial may go on with others
    "trainer.num_workers", "trainer.threads", "trainer.cache", "trainer.checkpoint_minutes", "trainer.tracker", "device", "run_dir",
])  # fmt: skip
MAX_FAILURE = 300  # characters of a message


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        error: best validation error, a share; None if the trial failed.
        failure: why it failed, in one line.
        seconds: of training.
    """

    error: float | None
    failure: str = ""
    seconds: float = 0.0


def run_trial(trial: Trial, quiet: bool = False) -> Outcome:
    """Train with the settings of a trial, or go on with what its folder holds; a failure is an outcome too.

    Where another process trains there, it is waited for. May be called again for the same trial: one that has its outcome is not repeated.

    Raises:
        Interrupted: a signal stopped the training after a checkpoint was written.
    """
    run_dir = Path(trial.config.run_dir)
    holder = find_holder(run_dir / LOCK)
    if holder is not None:  # left by a sweep that was killed, whose trainings live on
        warnings.warn(f"{run_dir}: process {holder} is training there; waiting until it ends", RecognizerWarning, stacklevel=2)
    while find_holder(run_dir / LOCK) is not None:
        time.sleep(1.0)
    found = read_outcome(run_dir)
    if found is not None:
        return found
    try:
        train(trial.config, resume=(run_dir / CHECKPOINT).exists(), quiet=quiet)
        outcome = _outcome_of_run(run_dir)
    except Interrupted:
        raise
    except RecognizerError as error:
        outcome = failed(str(error))
    except Exception as error:  # out of memory above all; the other trials may have other sizes
        traceback.print_exc(file=sys.stderr)
        outcome = failed(f"{type(error).__name__}: {error}")
    write_outcome(trial, outcome)
    return outcome


def failed(message: str) -> Outcome:
    """The outcome of a trial that failed, its message in one line."""
    return Outcome(None, " ".join(message.split())[:MAX_FAILURE])


def read_outcome(run_dir: Path) -> Outcome | None:
    """What came of the trial in this folder; None where none has ended.

    Raises:
        TrainingError: the record cannot be read.
    """
    path = run_dir / OUTCOME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        error = values["error"]
        return Outcome(None if error is None else float(error), str(values["failure"]), float(values["seconds"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise TrainingError(f"{path}: is damaged; remove it, and the trial goes on from its checkpoint") from None


def write_outcome(trial: Trial, outcome: Outcome) -> None:
    """Write down what came of a trial in its folder."""
    folder = Path(trial.config.run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / OUTCOME, json.dumps({"trial": trial.number, "settings": trial.varied, **asdict(outcome)}, ensure_ascii=False) + "\n")


def check_folder(trial: Trial) -> None:
    """Refuse a folder that holds a run with other settings than the trial's.

    Raises:
        TrainingError: it does; the message names the first setting that differs.
    """
    run_dir = Path(trial.config.run_dir)
    if (run_dir / CONFIG).is_file():
        key = first_difference(fixed_settings(resumed_config(run_dir)), fixed_settings(trial.config))
        if key is not None:
            raise TrainingError(f"{run_dir}: holds a run with another {key}; repeat its command, or name another run_dir")


def fixed_settings(config: TrainConfig) -> dict[str, Any]:
    """The settings that the weights depend on, by their dotted keys."""
    flat: dict[str, Any] = {}

    def add(values: dict[str, Any], prefix: str) -> None:
        for key, value in values.items():
            if isinstance(value, dict):
                add(value, f"{prefix}{key}.")
            elif f"{prefix}{key}" not in FREE:
                flat[f"{prefix}{key}"] = value

    add(to_dict(locate_files(config)), "")
    return flat


def first_difference(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    """The first key that two mappings differ in; None if they are equal."""
    absent = object()
    return next((key for key in {**before, **now} if before.get(key, absent) != now.get(key, absent)), None)


def limit_threads(trial: Trial, threads: int) -> Trial:
    """The trial with so many threads, unless its settings name a number themselves."""
    trainer = trial.config.trainer
    return trial if trainer.threads else replace(trial, config=replace(trial.config, trainer=replace(trainer, threads=threads)))


def _outcome_of_run(run_dir: Path) -> Outcome:
    last = json.loads((run_dir / LOG).read_text(encoding="utf-8").splitlines()[-1])
    if not (run_dir / BUNDLE).is_dir() or not last["best"] <= 1e300:
        return failed("no epoch had a finite validation error")
    return Outcome(last["best"], seconds=last["seconds"])
