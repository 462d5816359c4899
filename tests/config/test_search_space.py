"""What a sweep varies: every combination of a grid, ranges to draw from, and every mistake before the first training."""

from __future__ import annotations

from pathlib import Path

import pytest

from recognizer.config.compose import compose, conf_dir, split_sweep
from recognizer.config.schema import from_dict
from recognizer.config.search_space import Choice, Numbers, SearchSpace, grid_trials
from recognizer.config.sweep import SweepConfig
from recognizer.errors import ConfigError

RATES = "trainer.learning_rate=tag(log,interval(1e-4,1e-2))"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_grid_has_every_combination_and_a_folder_for_each(in_an_empty_folder: Path) -> None:
    trials = grid_trials(["model=blstm,stacked_blstm", "trainer.max_grad_norm=choice(1,2.5)", "corpus.name=c", "device=cpu"])
    configs = [trial.config for trial in trials]
    assert [(c.model.frontend.kind, c.trainer.max_grad_norm) for c in configs] == [("none", 1.0), ("none", 2.5), ("stack", 1.0), ("stack", 2.5)]
    assert {c.device for c in configs} == {"cpu"} and [trial.number for trial in trials] == [0, 1, 2, 3]
    folders = [c.run_dir for c in configs]
    assert len(set(folders)) == 4 and all(Path(folder).parent == Path("runs/c") for folder in folders)
    assert folders[1] == "runs/c/model=blstm,trainer.max_grad_norm=2.5"
    assert trials[1].varied == {"model": "blstm", "trainer.max_grad_norm": "2.5"}
    assert [trial.config.seed for trial in grid_trials(["seed=range(1,4)"])] == [1, 2, 3]
    (alone,) = grid_trials(["seed=2"])
    assert (alone.config, alone.varied) == (compose(["seed=2"]), {})
    assert list(in_an_empty_folder.iterdir()) == []


@pytest.mark.parametrize("override", ["corpus.root=a/b,a:b", "seed=1,1", "run_dir=a,b"])
def test_folders_of_a_grid_differ_whatever_the_values(override: str) -> None:
    folders = [trial.config.run_dir for trial in grid_trials([override])]
    assert len(folders) == len(set(folders)) > 1


@pytest.mark.parametrize(("overrides", "message"), [
    (["trainer.epoch=1,2"], "did you mean 'trainer.epochs'"), (["seed=1,x"], "^seed: expected int, found 'x'$"),
    (["model=blstm,stackd_blstm"], "did you mean 'stacked_blstm'"), (["seed=1,"], "^seed=1,: "), (["seed=interval(1,2)"], "needs a list of values"),
    (["model=glob(*)"], r"^model=glob\(\*\): glob\(\) is not known here"),
])
def test_one_mistake_refuses_the_whole_grid(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        grid_trials(overrides)


@pytest.mark.parametrize(("override", "dimension"), [
    ("model=gru,blstm", Choice("model", ("gru", "blstm"))),
    ("model.dropout=0.0,0.1", Choice("model.dropout", ("0.0", "0.1"))),
    ("corpus.name='a,b',c d", Choice("corpus.name", ("'a,b'", "c\\ d"))),
    ("model.dropout=shuffle(0.3,0.1,0.2)", Choice("model.dropout", ("0.1", "0.2", "0.3"))),
    ("model.dropout=interval(0,0.5)", Numbers("model.dropout", 0.0, 0.5)),
    (RATES, Numbers("trainer.learning_rate", 1e-4, 1e-2, log=True)),
    ("model.num_layers=int(interval(1,5))", Numbers("model.num_layers", 1, 5, integer=True)),
    ("model.hidden_size=tag(log,int(interval(8,64)))", Numbers("model.hidden_size", 8, 64, log=True, integer=True)),
    ("model.hidden_size=range(8,33,8)", Numbers("model.hidden_size", 8, 32, 8, integer=True)),
    ("trainer.weight_decay=range(0.5,0.0,-0.25)", Numbers("trainer.weight_decay", 0.25, 0.5, 0.25)),
])
def test_hydras_lists_and_ranges_are_read(override: str, dimension: Choice | Numbers) -> None:
    space = SearchSpace([override, "run_dir=x"])
    assert space.dimensions == [dimension] and space.base.run_dir == "x"


def test_a_trial_has_its_values_and_a_numbered_folder() -> None:
    space = SearchSpace(["model=gru,blstm", RATES, "corpus.name=a,b"])
    assert (space.base.run_dir, space.base.model.cell, space.base.trainer.learning_rate) == ("runs/a", "gru", 1e-4)
    trial = space.trial(7, {"model": "blstm", "trainer.learning_rate": "0.003", "corpus.name": "b"})
    assert (trial.config.model.cell, trial.config.trainer.learning_rate, trial.config.corpus.name) == ("lstm", 0.003, "b")
    assert Path(trial.config.run_dir) == Path("runs/a/trial-007")  # whatever run_dir is by other values


def test_numbers_are_written_short_and_within_their_range() -> None:
    numbers = Numbers("k", 0.123412, 0.987654)  # rounded to four digits, the ends would lie outside
    assert [numbers.write(value) for value in (0.123412, 0.55555555, 0.987654)] == ["0.123412", "0.5556", "0.987654"]
    assert Numbers("k", 1, 8, integer=True).write(3.0) == "3"


@pytest.mark.parametrize(("overrides", "message"), [
    (["seed=1"], "^a sweep varies something; "),
    (["run_dir=a,b"], "^run_dir: is the folder of the whole sweep"),
    (["seed=1,2", "seed=3,4"], "^seed: is varied twice$"),
    (["seed=1,1"], "^seed=1,1: names a value twice$"),
    (["seed=range(3,3)"], "holds no number$"),
    (["model.dropout=interval(0.5,0.1)"], "an interval goes from a lower to a higher number$"),
    (["model.dropout=tag(log,interval(0,1))"], "needs numbers above 0$"),
    (["model.dropout=tag(ordered,choice(0.1,0.2))"], r"tag\(\) knows log, of an interval, and nothing else$"),
    (["model.dropout=0.1,1.5", RATES], r"^model\.dropout: "),  # any value, not the first alone
    (["model.dropout=interval(0,3)", RATES], r"^model\.dropout: "),  # and the highest of a range
    (["model.num_layers=interval(1,3)"], r"^model\.num_layers: expected int, found 1\.0$"),
    (["trainer.lerning_rate=interval(1,3)"], r"did you mean 'trainer\.learning_rate'"),
])
def test_a_search_space_is_checked_as_far_as_possible(overrides: list[str], message: str, in_an_empty_folder: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        SearchSpace(overrides)
    assert "\n" not in str(caught.value) and list(in_an_empty_folder.iterdir()) == []


@pytest.mark.parametrize("name", sorted(path.stem for path in (conf_dir() / "sweep").glob("*.yaml")))
def test_every_choice_of_the_sweep_composes(name: str) -> None:
    settings, rest = split_sweep([f"sweep={name}", "seed=1,2", "sweep.seed=3"])
    assert rest == ["seed=1,2"] and settings.seed == 3
    assert (name == "grid") == (settings == SweepConfig(seed=3))


def test_settings_of_a_sweep_can_be_chosen_from_a_folder_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "own" / "sweep").mkdir(parents=True)
    (tmp_path / "own" / "sweep" / "ours.yaml").write_text("launcher: slurm\nslurm: {partition: gpu, options: ['qos=high']}\n")
    settings, _ = split_sweep(["sweep=ours", "sweep.slurm.minutes=5"], tmp_path / "own")
    assert (settings.slurm.partition, settings.slurm.minutes, settings.slurm.options) == ("gpu", 5, ("qos=high",))


@pytest.mark.parametrize(("words", "message"), [
    (["sweep=optna"], "^sweep: 'optna' is not one of grid, optuna, random, slurm; did you mean 'optuna'"),
    (["sweep.trails=3"], r"^sweep\.trails: no such key; did you mean 'sweep\.trials'"),
    (["sweep=optuna,grid"], "^sweep=optuna,grid: a setting of the sweep itself has one value$"),
    (["sweep.trials=3"], r"^sweep\.trials: sampler=grid tries every combination"),
    (["sweep.sampler=tpe"], r"^sweep\.trials: sampler=tpe needs their number$"),
    (["sweep.parallel=2"], r"^sweep\.parallel: launcher=here trains one after another; choose sweep\.launcher=local or slurm$"),
    (["sweep.launcher=pbs"], r"^sweep\.launcher: 'pbs' is not one of here, local, slurm"),
    (["sweep.slurm.options=[qos]"], r"^sweep\.slurm\.options: 'qos' is not written NAME=VALUE$"),
    (["sweep.slurm.minutes=0"], r"^sweep\.slurm\.minutes: must be positive$"),
])
def test_mistakes_in_the_settings_of_a_sweep_are_named(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        split_sweep(words)


def test_a_training_has_no_settings_of_a_sweep() -> None:
    with pytest.raises(ConfigError, match=r"^sweep: no such key"):
        from_dict(type(compose([])), {"sweep": {}, "corpus": {}, "features": {"kind": "fbank"}, "model": {}})
