"""Where a run's epochs are recorded beside ``log.jsonl``, for programs that show many runs: TensorBoard or MLflow."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from recognizer.config import TrainConfig
from recognizer.config.schema import to_dict
from recognizer.errors import RecognizerWarning, TrainingError
from recognizer.utils.files import write_text

MLFLOW_RUN = "mlflow_run.txt"  # in the run's folder: the id of its run in MLflow, so that a resumed run goes on with it
MLFLOW_STORE = "mlflow.db"  # beside the run's folder, so that runs that lie together are shown together
MAX_VALUE = 500  # characters of a parameter; lists of manifests may be long
BATCH = 100  # most parameters that MLflow takes at once


class Tracker(Protocol):
    """What records the epochs of one run; only the process that writes has one."""

    def log_epoch(self, record: Mapping[str, Any]) -> None:
        """Record one line of ``log.jsonl``; its ``step`` is the place on the axis."""

    def close(self, ended: bool) -> None:
        """Write what has not been written yet; ``ended`` says whether training came to its end."""


def open_tracker(config: TrainConfig, run_dir: Path, bundle: Path) -> Tracker | None:
    """The tracker that ``trainer.tracker`` names; None without one.

    Args:
        config: the settings of the run, recorded where the tracker has a place for them.
        run_dir: the run's folder.
        bundle: where the bundle of its best epoch is written.

    Raises:
        TrainingError: the extra of the package is missing, or the store cannot be opened.
    """
    if config.trainer.tracker is None:
        return None
    return TensorBoard(run_dir) if config.trainer.tracker == "tensorboard" else MLflow(config, run_dir, bundle)


class TensorBoard:
    """Curves in ``run_dir/tensorboard``, a file for each session of the run."""

    def __init__(self, run_dir: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise _missing("tensorboard") from None
        self._writer = SummaryWriter(str(run_dir / "tensorboard"))

    def log_epoch(self, record: Mapping[str, Any]) -> None:
        """Add a point to each curve."""
        for key, value in _metrics(record):
            self._writer.add_scalar(key, value, record["step"])

    def close(self, ended: bool) -> None:
        """Write what has not been written yet."""
        self._writer.close()


class MLflow:
    """A run of the experiment ``corpus.name``: settings as parameters, epochs as metrics, the folders of run and bundle as tags.

    The store is the SQLite file ``mlflow.db`` beside the run's folder, or what MLflow's own variable ``MLFLOW_TRACKING_URI`` names.
    A resumed run goes on with the same run in MLflow; settings changed by then become tags, since MLflow keeps the parameters of the start.
    """

    def __init__(self, config: TrainConfig, run_dir: Path, bundle: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read at the import: nothing is sent anywhere
        try:
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise _missing("mlflow") from None
        logging.getLogger("alembic").setLevel(logging.WARNING)  # a new store is no news
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self._failure = MlflowException
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(run_dir.absolute().parent / MLFLOW_STORE).as_posix()}"
        try:
            self._client = MlflowClient(uri)
            self._run = self._resume(run_dir) or self._start(config.corpus.name, run_dir)
            self._log_settings(config)
            for key, path in (("run_dir", run_dir), ("bundle", bundle)):
                self._client.set_tag(self._run, key, str(path.absolute()))
        except MlflowException as error:
            raise TrainingError(f"trainer.tracker=mlflow: {uri}: {' '.join(str(error).split())[:200]}; see MLFLOW_TRACKING_URI") from None

    def log_epoch(self, record: Mapping[str, Any]) -> None:
        """Add a point to each metric."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._try(lambda: self._client.log_batch(self._run, metrics=[Metric(k, float(v), now, record["step"]) for k, v in _metrics(record)]))

    def close(self, ended: bool) -> None:
        """Say how the session ended; a run that is stopped may be resumed."""
        self._try(lambda: self._client.set_terminated(self._run, "FINISHED" if ended else "KILLED"))

    def _try(self, call: Any) -> None:
        """Training goes on where MLflow fails in between: ``log.jsonl`` has every epoch."""
        try:
            call()
        except self._failure as error:
            reason = " ".join(str(error).split())[:200]
            warnings.warn(f"MLflow did not take a record ({reason}); log.jsonl in the run's folder has it", RecognizerWarning, stacklevel=3)

    def _resume(self, run_dir: Path) -> str | None:
        """The id of the run that an earlier session began; None where there is none in this store."""
        try:
            run = (run_dir / MLFLOW_RUN).read_text(encoding="ascii").strip()
            self._client.update_run(run, "RUNNING")
        except (OSError, UnicodeDecodeError, self._failure):
            return None
        return run

    def _start(self, name: str, run_dir: Path) -> str:
        known = self._client.get_experiment_by_name(name)
        if known is None:
            try:
                experiment = self._client.create_experiment(name, artifact_location=(run_dir.absolute().parent / "mlflow").as_uri())
            except self._failure:  # another run has made it meanwhile
                known = self._client.get_experiment_by_name(name)
                if known is None:
                    raise
        run: str = self._client.create_run(known.experiment_id if known is not None else experiment, run_name=run_dir.name).info.run_id
        write_text(run_dir / MLFLOW_RUN, f"{run}\n")
        return run

    def _log_settings(self, config: TrainConfig) -> None:
        from mlflow.entities import Param, RunTag

        there = self._client.get_run(self._run).data.params
        settings = {key: str(value)[:MAX_VALUE] for key, value in _flatten(to_dict(config))}
        new = [Param(key, value) for key, value in settings.items() if key not in there]
        for start in range(0, len(new), BATCH):
            self._client.log_batch(self._run, params=new[start : start + BATCH])
        changed = [RunTag(f"resumed.{key}", value) for key, value in settings.items() if there.get(key, value) != value]
        self._client.log_batch(self._run, tags=changed)


def _missing(extra: str) -> TrainingError:
    return TrainingError(f"trainer.tracker={extra} needs the extra: pip install 'recognizer[{extra}]'")


def _metrics(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in record.items() if key not in ("epoch", "step"))


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
