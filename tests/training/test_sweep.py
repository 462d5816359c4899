"""Several trainings: what fails is recorded and the others go on, nothing is done twice, and every mistake comes before the first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from recognizer.config import TrainConfig
from recognizer.errors import Interrupted, TrainingError
from recognizer.training import trial as trial_module
from recognizer.training.sweep import TABLE, Sweep, render
from recognizer.training.trial import OUTCOME, Outcome, read_outcome


@pytest.fixture
def words(tones, tmp_path: Path) -> list[str]:
    return [f"corpus.root={tones.root}", f"run_dir={tmp_path / 'sweep'}", "features.sample_rate=8000", "debug=fast", "device=cpu"]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of trainings, which are only played: seed 2 fails, 3 runs out of memory, 4 is interrupted the first time."""
    seeds: list[int] = []

    def play(config: TrainConfig, resume: bool = False, quiet: bool = False) -> Path:
        seeds.append(config.seed)
        run_dir = Path(config.run_dir)
        if config.seed == 2:
            raise TrainingError("the loss is not finite\nat step 3")
        if config.seed == 3:
            raise RuntimeError("CUDA out of memory")
        if config.seed == 4 and not resume:
            run_dir.mkdir(parents=True)
            (run_dir / "checkpoint.pt").touch()
            raise Interrupted("stopped by SIGINT")
        (run_dir / "bundle").mkdir(parents=True)
        (run_dir / "log.jsonl").write_text(json.dumps({"best": config.trainer.learning_rate, "seconds": 61.0}) + "\n")
        return run_dir / "bundle"

    monkeypatch.setattr(trial_module, "train", play)
    return seeds


def test_a_failure_is_recorded_and_the_others_go_on(words: list[str], trained: list[int], cli: Callable, tmp_path: Path) -> None:
    told = cli("train", "-m", *words, "seed=1,2,3,5", "trainer.learning_rate=0.5")
    assert told.code == 1 and trained == [1, 2, 3, 5]
    assert told.out == [str(tmp_path / "sweep" / f"seed={seed}" / "bundle") for seed in (1, 5)]
    table = told.err[-6:]
    assert table[0].split() == ["trial", "error", "time", "seed"] and table[1].split() == ["0", "50.00", "%", "*", "1:01", "1"]
    assert table[3].split(maxsplit=4) == ["1", "failed", "0:00", "2", "the loss is not finite at step 3"]
    assert table[4].endswith("RuntimeError: CUDA out of memory") and table[5] == f"best: trial 0, 50.00 %; {told.out[0]}"
    again = cli("train", "-m", *words, "seed=1,2,3,5,6", "trainer.learning_rate=0.5", "-q")
    assert again.code == 1 and trained == [1, 2, 3, 5, 6] and again.err == [] and again.out == [str(tmp_path / "sweep" / "seed=6" / "bundle")]
    records = json.loads((tmp_path / "sweep" / TABLE).read_text())
    assert [(record["settings"]["seed"], record["error"]) for record in records] == [("1", 0.5), ("5", 0.5), ("6", 0.5), ("2", None), ("3", None)]


def test_quiet_or_not_failures_are_told(words: list[str], trained: list[int], cli: Callable, tmp_path: Path) -> None:
    told = cli("train", "-m", *words, "seed=1,2", "-q")
    assert told.code == 1 and told.err == [f"trial 1 ({tmp_path / 'sweep' / 'seed=2'}) failed: the loss is not finite at step 3"]


def test_the_same_command_goes_on_after_an_interruption(words: list[str], trained: list[int], cli: Callable) -> None:
    stopped = cli("train", "-m", *words, "seed=4,5")
    assert stopped.code == 130 and trained == [4] and "the same command goes on" in stopped.err[-2]
    assert cli("train", "-m", *words, "seed=4,5").code == 0 and trained == [4, 4, 5]
    assert cli("train", "-m", *words, "seed=4,5").code == 0 and trained == [4, 4, 5]


def test_a_study_finds_the_best_of_what_it_drew(words: list[str], trained: list[int], cli: Callable, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    study = [*words, "sweep=optuna", "sweep.trials=6", "sweep.random_trials=3", "trainer.learning_rate=tag(log,interval(0.01,0.9))"]
    told = cli("train", "-m", *study)
    assert told.code == 0 and len(trained) == 6
    assert told.out == [str(tmp_path / "sweep" / f"trial-{number:03d}" / "bundle") for number in range(6)]
    errors = [float(line.split()[1]) for line in told.err[-7:-1]]
    assert errors == sorted(errors) and told.err[-1].startswith("best: trial ")
    assert cli("train", "-m", *study).out == [] and len(trained) == 6
    grid = cli("train", "-m", *words, "trainer.learning_rate=0.1,0.2")
    assert grid.code == 2 and grid.err[-1].endswith("holds a study with another sweep.sampler; repeat its command, or name another run_dir")


@pytest.mark.parametrize(("more", "message"), [
    (["seed=1,x"], "seed: expected int, found 'x'"),
    (["corpus.train=train.jsonl,nowhere.jsonl"], "nowhere.jsonl"),
    (["corpus.train=train.jsonl,nowhere.jsonl", "sweep=random"], "nowhere.jsonl"),
    (["decoder.lm=none.ngram", "decoder.kind=beam", "seed=1,2"], "decoder.lm: none.ngram: no such file"),
    (["sweep=optuna", "seed=1"], "a sweep varies something"),
    (["--resume", "runs/x"], "-m: does not go with --resume, which names one training; give its settings as overrides"),
    (["--config", "x.yaml"], "-m: does not go with --config"),
])
def test_a_mistake_is_told_before_anything_is_made(more: list[str], message: str, words: list[str], trained: list[int], cli: Callable,
                                                    tmp_path: Path) -> None:  # fmt: skip
    told = cli("train", "-m", *words, *more)
    assert told.code == 2 and message in told.err[-1] and len(told.err) == 1
    assert trained == [] and not (tmp_path / "sweep").exists()


def test_settings_are_shown_and_nothing_is_trained(words: list[str], cli: Callable, tmp_path: Path) -> None:
    shown = cli("train", "-m", *words, "seed=1,2", "--show")
    assert [line for line in shown.out if line.startswith("seed:")] == ["seed: 1", "seed: 2"] and "sweep:" not in shown.out
    drawn = cli("train", "-m", *words, "seed=1,2", "sweep=optuna", "sweep.seed=4", "--show")
    assert yaml.safe_load("\n".join(drawn.out))["sweep"]["seed"] == 4 and not (tmp_path / "sweep").exists()


def test_one_training_alone_keeps_its_folder(words: list[str], trained: list[int], tmp_path: Path) -> None:
    ((trial, outcome),) = Sweep(words).run(quiet=True)
    assert trial.config.run_dir == str(tmp_path / "sweep") and outcome == read_outcome(tmp_path / "sweep")
    assert not (tmp_path / "sweep" / TABLE).exists()


def test_a_damaged_outcome_is_named(words: list[str], trained: list[int], tmp_path: Path) -> None:
    sweep = Sweep([*words, "seed=1,5"])
    sweep.run(quiet=True)
    (tmp_path / "sweep" / "seed=1" / OUTCOME).write_text("{")
    with pytest.raises(TrainingError, match=r"seed=1.trial\.json: is damaged; remove it"):
        sweep.run(quiet=True)


def test_several_processes_of_torchrun_train_a_grid_only(words: list[str], cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    told = cli("train", "-m", *words, "seed=1,2", "sweep.launcher=local")
    assert told.code == 2 and told.err[-1].startswith("recognizer: sweep: under torchrun a grid alone can be trained")


@pytest.mark.slow
def test_a_sweep_really_trains(words: list[str], tmp_path: Path) -> None:
    """And another process that asks for the same folder waits for nothing that has ended."""
    results = Sweep([*words, "seed=1,2"]).run(quiet=True)
    logs = [json.loads((Path(trial.config.run_dir) / "log.jsonl").read_text()) for trial, _ in results]
    assert sorted(outcome.error for _, outcome in results) == sorted(log["best"] for log in logs)  # type: ignore[type-var]
    assert [outcome for _, outcome in Sweep([*words, "seed=1,2"]).run(quiet=True)] == [outcome for _, outcome in results]
    with pytest.raises(TrainingError, match=r"seed=1: holds a run with another model\.dropout"):
        Sweep([*words, "seed=1,2", "model.dropout=0.5"]).run(quiet=True)


def test_a_table_without_any_success_names_no_best(words: list[str]) -> None:
    (trial, _) = Sweep([*words, "seed=1,2"])._trials
    assert render([(trial, Outcome(None, "why"))]).splitlines()[1:] == ["0      failed  0:00  1  why"]
