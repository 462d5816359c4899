"""Runs recorded for TensorBoard and MLflow: each epoch once, settings beside them, a resumed run in its place, and nothing sent anywhere."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest
import yaml

from recognizer.config.renamed import carry_over
from recognizer.errors import TrainingError
from recognizer.training import trackers
from recognizer.training.run import resumed_config, train

BRIEF = {"trainer.limit_items": 8, "trainer.epochs": 3, "trainer.max_batch_size": 4}


def test_tensorboard_has_one_file_a_session(tones, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(tones.config(tmp_path / "run", BRIEF | {"trainer.tracker": "tensorboard"}), quiet=True)
    (file,) = (tmp_path / "run" / "tensorboard").iterdir()
    curves = accumulator.EventAccumulator(str(file)).Reload()
    assert [event.step for event in curves.Scalars("loss")] == [2, 4, 6]


@pytest.mark.slow
def test_mlflow_has_settings_and_epochs_and_goes_on_with_a_resumed_run(tones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    run_dir = tmp_path / "run"
    config = tones.config(run_dir, BRIEF | {"trainer.tracker": "mlflow"})
    train(config, quiet=True)
    (run_id,) = (run_dir / trackers.MLFLOW_RUN).read_text().split()
    train(resumed_config(run_dir, {"epochs": 5}), resume=True, quiet=True)

    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / trackers.MLFLOW_STORE}")
    experiment = client.get_experiment_by_name(config.corpus.name)
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_id == run_id and run.info.status == "FINISHED" and run.info.run_name == "run"
    assert (run.data.params["trainer.epochs"], run.data.params["model.hidden_size"]) == ("3", "16")
    assert run.data.tags["resumed.trainer.epochs"] == "5" and run.data.tags["bundle"] == str(run_dir / "bundle")
    log = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    for key in ("error", "loss", "learning_rate"):
        assert [(m.step, m.value) for m in client.get_metric_history(run_id, key)] == [(record["step"], record[key]) for record in log]


@pytest.mark.slow
def test_a_store_of_mlflow_that_cannot_be_opened_is_named(tones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nosuch://place")
    with pytest.raises(TrainingError, match=r"^trainer\.tracker=mlflow: nosuch://place: .*MLFLOW_TRACKING_URI$"):
        train(tones.config(tmp_path / "run", BRIEF | {"trainer.tracker": "mlflow"}), quiet=True)


def test_a_missing_extra_is_named(tones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", None)
    with pytest.raises(TrainingError, match=r"^trainer\.tracker=mlflow needs the extra: pip install 'recognizer\[mlflow\]'$"):
        train(tones.config(tmp_path / "run", BRIEF | {"trainer.tracker": "mlflow"}), quiet=True)


@pytest.mark.parametrize(("old", "new"), [(True, "tensorboard"), (False, None)])
def test_files_of_earlier_runs_still_load(old: bool, new: str | None, tones, tmp_path: Path) -> None:
    """They hold the switch that the tracker was."""
    values = tones.values(tmp_path)
    values["trainer"]["tensorboard"] = old
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    assert resumed_config(tmp_path).trainer.tracker == new
    assert carry_over({"trainer": 3}) == {"trainer": 3} and carry_over([]) == []


def test_the_command_line_refuses_the_former_key(cli, tones, tmp_path: Path) -> None:
    told = cli("train", "trainer.tensorboard=true", "--show")
    assert told.code == 2 and told.err == ["recognizer: trainer.tensorboard: is called trainer.tracker now"]
    config = tones.save_config(tmp_path / "c.yaml", tmp_path / "run", {"trainer.tensorboard": True})
    assert "  tracker: tensorboard" in cli("train", "--config", config, "--show").out
