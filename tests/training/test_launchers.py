"""Trainings elsewhere: in two processes that are stopped and go on, in a job that dies, and what a Slurm cluster is asked for."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from recognizer.config.search_space import Trial, grid_trials
from recognizer.config.sweep import SlurmConfig, SweepConfig
from recognizer.errors import ConfigError, Interrupted, TrainingError
from recognizer.training.checkpoint import CHECKPOINT
from recognizer.training.launchers import JOBS, Jobs, LocalJobs, open_launcher, slurm_parameters
from recognizer.training.sweep import Sweep
from recognizer.training.trial import Outcome, read_outcome

SLURM = SlurmConfig(partition="gpu", account="letters", minutes=90, cpus=6, gpus=2, memory_gb=20.5, options=("qos=high", "constraint=a100|h100"))
# stands for a cluster: a job is the batch file, run at once in a session of its own, with what srun was asked to write where
SBATCH = """#!{python}
import os, subprocess, sys
number = os.getpid()
said = {"JOB_ID": number, "NTASKS": 1, "PROCID": 0, "LOCALID": 0, "NODEID": 0, "JOB_NUM_NODES": 1}
environment = {**os.environ, **{f"SLURM_{name}": str(value) for name, value in said.items()}}
ended = os.path.join(os.path.dirname(sys.argv[0]), f"{number}.ended")
subprocess.Popen(["bash", "-c", 'bash "$0"; touch "$1"', sys.argv[1], ended], env=environment, start_new_session=True,
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print("Submitted batch job", number)
"""
SRUN = """#!/bin/bash
while [ "${1#--}" != "$1" ]; do
    case $1 in --output | --error) declare "${1#--}=$2"; shift;; esac
    shift
done
exec "$@" >"${output//%?/$SLURM_JOB_ID}" 2>"${error//%?/$SLURM_JOB_ID}"
"""
SACCT = """#!/bin/bash
echo 'JobID|State|NodeList'
while [ $# -gt 0 ]; do
    if [ "$1" = -j ]; then [ -e "$(dirname "$0")/$2.ended" ] && echo "$2|COMPLETED|here" || echo "$2|RUNNING|here"; fi
    shift
done
"""


@pytest.fixture
def words(tones, tmp_path: Path) -> list[str]:
    """Settings of trainings that take a moment."""
    pytest.importorskip("submitit")
    return [f"corpus.root={tones.root}", f"run_dir={tmp_path / 'sweep'}", "features.sample_rate=8000", "debug=fast", "device=cpu", "seed=1,2"]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands that stand for those of Slurm."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH.replace("{python}", sys.executable)), ("srun", SRUN), ("sacct", SACCT), ("scancel", "#!/bin/bash\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_slurm_is_asked_for_what_the_settings_say(cluster: Path, tmp_path: Path) -> None:
    """The batch file is submitit's own."""
    submitit = pytest.importorskip("submitit")
    executor = submitit.SlurmExecutor(tmp_path)
    executor.update_parameters(**slurm_parameters(SLURM))
    lines = executor._make_submission_file_text("true", "0").splitlines()
    asked = {line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")}
    assert asked >= {"partition=gpu", "account=letters", "time=90", "cpus-per-task=6", "gpus-per-node=2", "mem=20992MB", "qos=high",
        "constraint='a100|h100'", "job-name=recognizer"}  # fmt: skip
    assert slurm_parameters(SlurmConfig(gpus=0)).keys() == {"job_name", "time", "cpus_per_task", "mem"}


@pytest.mark.slow
def test_jobs_of_slurm_train_and_leave_their_outcome(cluster: Path, words: list[str]) -> None:
    results = Sweep([*words, "sweep=slurm", "sweep.slurm.gpus=0"]).run(quiet=True)
    assert sorted(trial.varied["seed"] for trial, _ in results) == ["1", "2"]
    for trial, outcome in results:
        assert outcome.error is not None and (Path(trial.config.run_dir) / "bundle" / "config.yaml").exists()


def test_a_machine_without_slurm_is_told(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match=r"^sweep\.launcher=slurm: there is no srun on this machine"):
        Sweep([*words, "sweep=slurm"]).run(quiet=True)


def test_a_cluster_that_refuses_a_job_is_quoted(cluster: Path, words: list[str]) -> None:
    (cluster / "sbatch").write_text("#!/bin/bash\necho 'sbatch: error: invalid partition specified: gpu' >&2\nexit 1\n")
    with pytest.raises(TrainingError, match=r"seed=1: the job was refused: .*invalid partition specified: gpu"):
        Sweep([*words, "sweep=slurm", "sweep.slurm.partition=gpu"]).run(quiet=True)


def test_the_missing_extra_is_named(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ConfigError, match=r"^sweep\.launcher=local needs the extra: pip install 'recognizer\[sweep\]'$"):
        Sweep([*words, "sweep.launcher=local"]).run(quiet=True)


@pytest.mark.slow
def test_two_processes_train_at_the_same_time_and_one_that_is_killed_has_failed(words: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    sweep = Sweep([*words, "trainer.epochs=2", "sweep.launcher=local", "sweep.parallel=2"])

    def kill_the_second() -> None:
        place = folder / "seed=2" / "lock"
        while not place.exists() or not place.read_text().strip():
            time.sleep(0.01)
        os.kill(int(place.read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill_the_second, daemon=True)
    killer.start()
    (good, well), (bad, dead) = sweep.run(quiet=True)
    killer.join()
    assert (good.varied["seed"], bad.varied["seed"]) == ("1", "2") and well.error is not None
    assert dead.error is None and dead.failure.startswith("job ") and "ended without a result" in dead.failure
    assert read_outcome(folder / "seed=2") == dead and list((folder / JOBS).iterdir())
    assert [outcome for _, outcome in sweep.run(quiet=True)] == [well, dead]  # neither is repeated


@pytest.mark.slow
def test_an_interrupted_sweep_stops_its_processes_and_goes_on(words: list[str], tmp_path: Path) -> None:
    folders = [tmp_path / "sweep" / f"seed={seed}" for seed in (1, 2)]
    own = [*words, "trainer.epochs=50", "sweep.launcher=local", "sweep.parallel=2"]

    def count_epochs() -> list[int]:
        return [len((folder / "log.jsonl").read_text().splitlines()) for folder in folders]

    def interrupt() -> None:
        while not all((folder / CHECKPOINT).exists() for folder in folders):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(Interrupted, match="the same command goes on"):
        Sweep(own).run(quiet=True)
    assert [read_outcome(folder) for folder in folders] == [None, None] and not any((folder / "lock").exists() for folder in folders)
    assert min(count_epochs()) > 0 and max(count_epochs()) < 50
    with pytest.raises(TrainingError, match=r"seed=1: holds a run with another trainer\.weight_decay; repeat its command"):
        Sweep([*own, "trainer.weight_decay=0.5"]).run(quiet=True)
    assert all(outcome.error is not None for _, outcome in Sweep([*own, "trainer.num_workers=0"]).run(quiet=True))
    assert count_epochs() == [50, 50]  # none of them twice


def test_processes_share_gpus_and_cores(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recognizer.training.launchers.visible_gpus", lambda: ["3", "5"])
    monkeypatch.setattr("recognizer.training.launchers.os.cpu_count", lambda: 8)
    submitted = []

    class Executor:
        def submit(self, work):
            submitted.append(work)

    jobs = LocalJobs(Executor(), 4)
    trials = [trial for device in ("auto", "cuda:1") for trial in grid_trials(["seed=1,2,3,4", f"device={device}"])]
    for number, trial in enumerate(trials):
        jobs.start(Trial(number, trial.varied, trial.config))
    assert [work.devices for work in submitted] == ["3", "5", "3", "5", *["3,5"] * 4]
    assert {work.trial.config.trainer.threads for work in submitted} == {2}


def test_a_job_without_an_outcome_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Job:
        job_id, state = "17", "OUT_OF_MEMORY"
        paths = type("Paths", (), {"stderr": "17.err"})

        def done(self) -> bool:
            return True

        def stderr(self) -> str:
            return "first\nslurmstepd: error: Detected 1 oom_kill event\n"

    (trial, other) = grid_trials(["seed=1,2", f"run_dir={tmp_path}"])
    monkeypatch.setattr(Jobs, "patience", 0.0)
    jobs = Jobs(type("Executor", (), {"submit": lambda self, work: Job()})())
    jobs.start(trial)
    message = "job 17 ended without a result (OUT_OF_MEMORY): slurmstepd: error: Detected 1 oom_kill event; 17.err"
    assert jobs.finished() == [(trial, Outcome(None, message))] and jobs.finished() == []
    assert read_outcome(Path(trial.config.run_dir)) == Outcome(None, message) and read_outcome(Path(other.config.run_dir)) is None


def test_the_launcher_of_this_process_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert open_launcher(SweepConfig(), tmp_path, quiet=True).finished() == []
