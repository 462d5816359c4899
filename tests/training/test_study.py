"""Trials that Optuna draws: the same however often the sweep is interrupted, and never mixed with those of other settings."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recognizer.config.search_space import SearchSpace, Trial
from recognizer.config.sweep import SweepConfig
from recognizer.errors import ConfigError, TrainingError
from recognizer.training.study import JOURNAL, OptunaStudy
from recognizer.training.trial import Outcome, failed, write_outcome

VARIED = ["trainer.learning_rate=tag(log,interval(1e-4,1e-2))", "model.dropout=0.0,0.1,0.3", "model.num_layers=int(interval(1,4))",
    "trainer.weight_decay=range(0.0,0.5,0.1)"]  # fmt: skip


@pytest.fixture
def space(tmp_path: Path) -> SearchSpace:
    pytest.importorskip("optuna")
    return SearchSpace([*VARIED, f"run_dir={tmp_path / 'study'}"])


def open_study(space: SearchSpace, **settings: object) -> OptunaStudy:
    return OptunaStudy(space, SweepConfig(**{"sampler": "tpe", "trials": 7, "random_trials": 3} | settings), Path(space.base.run_dir))


def conclude(study: OptunaStudy, trial: Trial) -> None:
    """What a training would give: least near a rate of 0.001."""
    outcome = failed("no") if trial.number == 1 else Outcome(abs(trial.config.trainer.learning_rate - 1e-3) + trial.config.model.dropout)
    write_outcome(trial, outcome)
    study.tell(trial, outcome)


def drawn(study: OptunaStudy, most: int = 100) -> list[dict[str, str]]:
    found = []
    while len(found) < most and (trial := study.next()) is not None:
        conclude(study, trial)
        found.append(trial.varied)
    return found


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_what_is_drawn_does_not_depend_on_interruptions(sampler: str, space: SearchSpace, tmp_path: Path) -> None:
    whole = drawn(open_study(space, sampler=sampler))
    assert len(whole) == 7 and len({tuple(varied.items()) for varied in whole}) == 7
    again = SearchSpace([*VARIED, f"run_dir={tmp_path / 'again'}"])
    parts: list[dict[str, str]] = []
    while some := drawn(open_study(again, sampler=sampler), most=2):
        parts += some
        broken = open_study(again, sampler=sampler).next()  # killed while this one was trained
        if broken is not None:
            assert open_study(again, sampler=sampler).next() == broken
    assert parts == whole
    ended = open_study(again, sampler=sampler).ended()
    assert [trial.varied for trial, _ in ended] == whole and [outcome.error is None for _, outcome in ended].count(True) == 1
    assert len(drawn(open_study(again, sampler=sampler, trials=9))) == 2  # more are added


def test_every_draw_lies_in_its_range(space: SearchSpace) -> None:
    for varied in drawn(open_study(space, sampler="random", trials=20, seed=3)):
        assert 1e-4 <= float(varied["trainer.learning_rate"]) <= 1e-2 and varied["model.dropout"] in ("0.0", "0.1", "0.3")
        assert varied["model.num_layers"] in ("1", "2", "3", "4") and varied["trainer.weight_decay"] in ("0.0", "0.1", "0.2", "0.3", "0.4")


def test_trials_at_the_same_time_differ(space: SearchSpace) -> None:
    study = open_study(space)
    begun = [study.next() for _ in range(7)]
    assert len({tuple(trial.varied.items()) for trial in begun if trial is not None}) == 7 and study.next() is None


@pytest.mark.parametrize(("words", "settings", "key"), [
    (["trainer.epochs=3"], {}, "trainer.epochs"),
    (["model.dropout=0.0,0.2"], {}, "range of model.dropout"),
    ([], {"seed": 2}, "sweep.seed"),
    ([], {"sampler": "random"}, "sweep.sampler"),
    (["trainer.num_workers=0", "device=cpu", "trainer.threads=1"], {"trials": 9, "launcher": "local", "parallel": 2}, None),
])
def test_another_study_in_the_same_folder_is_refused(words: list[str], settings: dict, key: str | None, space: SearchSpace) -> None:
    drawn(open_study(space), most=1)
    by_key = {word.split("=")[0]: word for word in [*VARIED, *words]}
    changed = SearchSpace([*by_key.values(), f"run_dir={space.base.run_dir}"])
    if key is None:
        assert len(open_study(changed, **settings).ended()) == 1
    else:
        with pytest.raises(TrainingError, match=f"holds a study with another {key}; repeat its command, or name another run_dir$"):
            open_study(changed, **settings)


def test_a_line_that_was_half_written_is_dropped(space: SearchSpace) -> None:
    drawn(open_study(space), most=2)
    journal = Path(space.base.run_dir) / JOURNAL
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"wor')
    assert len(open_study(space).ended()) == 2 and len(drawn(open_study(space))) == 5
    journal.write_bytes(b"nonsense\n" * 3)
    with pytest.raises(TrainingError, match=r"study\.journal: is damaged"):
        open_study(space)


def test_a_combination_that_is_refused_has_failed_and_the_next_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    space = SearchSpace(["features=fbank,mfcc", "augment=none,speech_robust", f"run_dir={tmp_path}"])
    study = open_study(space, sampler="random", trials=12)
    refused = ConfigError("augment.vocal_tract: needs features.kind=fbank")
    compose = space._compose

    def picky(varied: dict[str, str]):
        if varied["features"] == "mfcc" and varied["augment"] != "none":
            raise refused
        return compose(varied)

    space._compose = picky  # type: ignore[method-assign]
    kept = drawn(study)
    messages = [outcome.failure for trial, outcome in study.ended() if trial.varied not in kept]
    assert 0 < len(kept) < 12 and messages and set(messages) == {str(refused)}


def test_the_missing_extra_is_named(space: SearchSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"^sweep\.sampler=tpe needs the extra: pip install 'recognizer\[sweep\]'$"):
        open_study(space)
