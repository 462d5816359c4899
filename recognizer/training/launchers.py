"""Where the trainings of a sweep run: in this process, in several on this machine, or as jobs of a Slurm cluster."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from recognizer.config.search_space import Trial
from recognizer.config.sweep import SlurmConfig, SweepConfig
from recognizer.errors import ConfigError, TrainingError
from recognizer.training.trial import Outcome, failed, limit_threads, read_outcome, run_trial, write_outcome

if TYPE_CHECKING:
    from submitit import Job
    from submitit.helpers import DelayedSubmission

JOBS = "jobs"  # folder of what the jobs print
POLL = 0.5  # seconds between looks at the jobs
STOP_EVERY = 2.0  # seconds between signals to jobs that have not ended: before training itself begins one is lost
NO_LIMIT = 60 * 24 * 365  # minutes; submitit's local jobs have to have a limit


class Launcher(Protocol):
    """What carries out trials."""

    def start(self, trial: Trial) -> None:
        """Begin a trial, or go on with it."""

    def finished(self) -> list[tuple[Trial, Outcome]]:
        """The trials that have ended since the last call; returns after a moment if there are none."""

    def stop(self) -> None:
        """End all trials that run, each after a checkpoint."""


def open_launcher(settings: SweepConfig, folder: Path, quiet: bool) -> Launcher:
    """The launcher that ``sweep.launcher`` names.

    Args:
        settings: of the sweep.
        folder: of the sweep; what jobs print goes beneath.
        quiet: whether trainings in this process print errors only.

    Raises:
        ConfigError: it needs something that is not installed, or the machine is no part of a Slurm cluster.
    """
    if settings.launcher == "here":
        return Here(quiet)
    try:
        import submitit
    except ImportError:
        raise ConfigError(f"sweep.launcher={settings.launcher} needs the extra: pip install 'recognizer[sweep]'") from None
    logs = folder.absolute() / JOBS
    if settings.launcher == "local":
        local = submitit.LocalExecutor(logs)
        local.update_parameters(timeout_min=NO_LIMIT)
        return LocalJobs(local, settings.parallel)
    try:
        slurm = submitit.SlurmExecutor(logs)
        slurm.update_parameters(**slurm_parameters(settings.slurm))
    except RuntimeError:
        raise ConfigError("sweep.launcher=slurm: there is no srun on this machine; start the sweep where jobs are submitted with sbatch") from None
    return Jobs(slurm)


def slurm_parameters(settings: SlurmConfig) -> dict[str, Any]:
    """The settings as submitit's Slurm executor takes them."""
    parameters: dict[str, Any] = {
        "job_name": "recognizer",
        "partition": settings.partition,
        "account": settings.account,
        "time": settings.minutes,
        "cpus_per_task": settings.cpus,
        "gpus_per_node": settings.gpus or None,
        "mem": f"{round(1024 * settings.memory_gb)}MB",
        "additional_parameters": dict(option.split("=", 1) for option in settings.options),
    }
    return {key: value for key, value in parameters.items() if value}


class Here:
    """Trials one after another in this process."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._done: list[tuple[Trial, Outcome]] = []

    def start(self, trial: Trial) -> None:
        """Carry out the trial."""
        self._done.append((trial, run_trial(trial, self._quiet)))

    def finished(self) -> list[tuple[Trial, Outcome]]:
        """The trials since the last call."""
        done, self._done = self._done, []
        return done

    def stop(self) -> None:
        """Nothing runs between calls."""


@dataclass(frozen=True)
class Work:
    """What a job does; submitit pickles it.

    Attributes:
        trial: to carry out.
        devices: value of ``CUDA_VISIBLE_DEVICES``; None leaves what is set.
    """

    trial: Trial
    devices: str | None = None

    def __call__(self) -> None:
        """Carry out the trial; what came of it is in its folder."""
        if self.devices is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.devices
        run_trial(self.trial)

    def checkpoint(self) -> DelayedSubmission:
        """What submitit queues in the place of a job that has used up its time: the same, which goes on from the checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class Jobs:
    """Trials as jobs of a submitit executor."""

    patience = 15.0  # seconds until a file that another machine has written is seen here

    def __init__(self, executor: Any) -> None:
        self._executor = executor
        self._running: dict[int, tuple[Trial, Job[None]]] = {}  # by the number of the trial

    def start(self, trial: Trial) -> None:
        """Submit the trial.

        Raises:
            TrainingError: the cluster refuses it.
        """
        self._submit(trial, Work(trial))

    def _submit(self, trial: Trial, work: Work) -> None:
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        try:
            self._running[trial.number] = (trial, self._executor.submit(work))
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            raise TrainingError(f"{trial.config.run_dir}: the job was refused: {' '.join(str(error).split())[-300:]}") from None

    def finished(self) -> list[tuple[Trial, Outcome]]:
        """The trials whose jobs have ended."""
        time.sleep(POLL)
        ended = [(trial, job) for trial, job in self._running.values() if job.done()]
        for trial, _ in ended:
            del self._running[trial.number]
        return [(trial, self._outcome(trial, job)) for trial, job in ended]

    def _outcome(self, trial: Trial, job: Job[None]) -> Outcome:
        run_dir, ends = Path(trial.config.run_dir), time.monotonic() + self.patience
        while (outcome := read_outcome(run_dir)) is None and time.monotonic() < ends:
            time.sleep(POLL)
        if outcome is None:  # the job was killed
            said = (job.stderr() or "").strip().splitlines()
            outcome = failed(f"job {job.job_id} ended without a result ({job.state}){f': {said[-1]}' if said else ''}; {job.paths.stderr}")
            write_outcome(trial, outcome)
        return outcome

    def stop(self) -> None:
        """Cancel the jobs; the cluster sends them SIGTERM first."""
        for _, job in self._running.values():
            job.cancel(check=False)
        self._running.clear()


class LocalJobs(Jobs):
    """Trials in processes on this machine, which share its cores and GPUs."""

    patience = 0.0

    def __init__(self, executor: Any, parallel: int) -> None:
        super().__init__(executor)
        self._threads = max(1, (os.cpu_count() or 1) // parallel)
        self._visible = visible_gpus()
        self._assigned: dict[int, str] = {}  # GPUs by the numbers of trials

    def start(self, trial: Trial) -> None:
        """Start a process for the trial, which takes the GPU that has the fewest."""
        trial = limit_threads(trial, self._threads)
        self._assigned = {number: gpu for number, gpu in self._assigned.items() if number in self._running}
        devices = ",".join(self._visible)
        if self._visible and trial.config.device in ("auto", "cuda"):
            taken = list(self._assigned.values())
            devices = min(self._visible, key=taken.count)
            self._assigned[trial.number] = devices
        with _ignored_interrupts():
            self._submit(trial, Work(trial, devices))

    def stop(self) -> None:
        """Have every process write a checkpoint and end, and wait for it."""
        while running := [job for _, job in self._running.values() if not job.done()]:
            for job in running:
                with suppress(ProcessLookupError):
                    os.kill(int(job.job_id), signal.SIGTERM)  # the id of the process that starts the training and passes signals on
            ends = time.monotonic() + STOP_EVERY
            while time.monotonic() < ends and not all(job.done() for job in running):
                time.sleep(POLL / 5)
        self._running.clear()


def visible_gpus() -> list[str]:
    """The GPUs that processes may share, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return [str(number) for number in range(torch.cuda.device_count())] if named is None else [name for name in named.split(",") if name]


@contextmanager
def _ignored_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C on the terminal does not end: this one tells them, and the training in them knows how to stop."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
