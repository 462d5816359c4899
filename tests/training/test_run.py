"""A run from settings to bundle: it learns, says what it did, and refuses what would lose something."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import editdistance
import pytest
import torch
import yaml

from recognizer.bundle import load_bundle
from recognizer.config import TrainConfig
from recognizer.data.manifest import Item, save_manifest
from recognizer.errors import RecognizerError, TrainingError
from recognizer.pipeline import Recognizer
from recognizer.strict import build
from recognizer.training.run import resumed_config, train

BRIEF = {"trainer.overfit": 8, "trainer.epochs": 1, "trainer.batch_items": 4}


def log_of(run_dir: Path) -> list[dict]:
    return [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]


def fingerprint(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(("corpus", "run"), [("tones", "speech_run"), ("glyphs", "line_run")])
def test_the_whole_way_learns(corpus: str, run: str, request) -> None:
    items, run_dir = request.getfixturevalue(corpus).items(), request.getfixturevalue(run)
    transcripts = list(Recognizer.load(run_dir / "bundle", "cpu", threads=1).transcribe(str(item.source) for item in items))
    errors = sum(editdistance.eval(item.text, transcript.text) for item, transcript in zip(items, transcripts, strict=True))
    assert errors / sum(len(item.text) for item in items) < 0.1
    assert errors / sum(len(item.text) for item in items) == pytest.approx(log_of(run_dir)[-1]["best"], abs=1e-5)


@pytest.mark.parametrize(("corpus", "run"), [("tones", "speech_run"), ("glyphs", "line_run")])
def test_what_a_run_leaves(corpus: str, run: str, request) -> None:
    run_dir, config = request.getfixturevalue(run), request.getfixturevalue(corpus).config(request.getfixturevalue(run))
    assert sorted(path.name for path in run_dir.iterdir()) == ["audit.json", "bundle", "checkpoint.pt", "config.yaml", "log.jsonl", "trained_on.txt"]
    assert build(TrainConfig, yaml.safe_load((run_dir / "config.yaml").read_text())) == config
    log = log_of(run_dir)
    assert [record["epoch"] for record in log] == list(range(1, config.trainer.epochs + 1))
    assert [record["best"] for record in log] == [min(r["error"] for r in log[: i + 1]) for i in range(len(log))]
    assert log[-1]["loss"] < 0.5 * log[0]["loss"] and log[-1]["step"] == 8 * len(log)
    bundle = load_bundle(run_dir / "bundle")
    assert bundle.recipe == config.recipe and bundle.alphabet.symbols == ("a", "b", "c", "d")
    card = (run_dir / "bundle" / "card.md").read_text()
    assert f"{100 * log[-1]['best']:.2f} %" in card and "licence of the data: not stated" in card and "seed 1" in card
    audit = json.loads((run_dir / "audit.json").read_text())
    assert (audit["train"]["usable"], audit["dev"]["usable"]) == (64, 24)


def test_the_seed_alone_decides(tones, tmp_path) -> None:
    weights = {}
    for name, seed in (("one", 5), ("two", 5), ("other", 6)):
        train(tones.config(tmp_path / name, BRIEF | {"seed": seed}), quiet=True)
        weights[name] = load_bundle(tmp_path / name / "bundle").weights
        torch.rand(7)
    assert all(torch.equal(weights["one"][name], weights["two"][name]) for name in weights["one"])
    assert not any(torch.equal(w, weights["other"][name]) for name, w in weights["one"].items() if name.startswith("encoder"))


def test_a_folder_that_holds_a_run_is_left_alone(tones, speech_run) -> None:
    before = fingerprint(speech_run)
    with pytest.raises(TrainingError, match=f"{speech_run}: holds a run already; go on with --resume"):
        train(tones.config(speech_run), quiet=True)
    assert fingerprint(speech_run) == before


def test_nothing_to_resume(tones, tmp_path) -> None:
    with pytest.raises(TrainingError, match=r"holds no run \(config.yaml is missing\)"):
        resumed_config(tmp_path / "none")
    with pytest.raises(TrainingError, match="nothing to resume"):
        train(tones.config(tmp_path / "run", BRIEF), resume=True, quiet=True)


@pytest.mark.parametrize("content", ["", "trainer: [", "- 1", "trainer: 3", "\xff"])
def test_damaged_settings_of_a_run_are_named(tmp_path, content: str) -> None:
    (tmp_path / "config.yaml").write_bytes(content.encode("latin-1"))
    with pytest.raises(RecognizerError) as caught:
        resumed_config(tmp_path, {"epochs": 2})
    assert str(tmp_path / "config.yaml") in str(caught.value) and "\n" not in str(caught.value)


def test_more_epochs_of_a_finished_run(tones, tmp_path) -> None:
    train(tones.config(tmp_path / "run", BRIEF), quiet=True)
    train(resumed_config(tmp_path / "run", {"epochs": 2}), resume=True, quiet=True)
    train(tones.config(tmp_path / "whole", BRIEF | {"trainer.epochs": 2}), quiet=True)
    assert [record["epoch"] for record in log_of(tmp_path / "run")] == [1, 2]
    one, other = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["network"] for name in ("run", "whole"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_patience_ends_training(glyphs, tmp_path) -> None:
    changes = BRIEF | {"trainer.epochs": 50, "trainer.patience": 2, "trainer.learning_rate": 1e-9, "trainer.warmup_steps": 0}
    train(glyphs.config(tmp_path / "run", changes), quiet=True)
    assert [record["epoch"] for record in log_of(tmp_path / "run")] == [1, 2, 3]


def test_a_time_limit_ends_training_with_an_evaluation(tones, tmp_path, capsys) -> None:
    changes = {"trainer.epochs": 1000, "trainer.minutes": 1e-6, "trainer.evaluate_every": 100}
    train(tones.config(tmp_path / "run", changes))
    log = log_of(tmp_path / "run")
    assert len(log) == 1 and log[0]["step"] == 1
    assert load_bundle(tmp_path / "run" / "bundle").alphabet.symbols == ("a", "b", "c", "d")
    assert "best development error" in capsys.readouterr().err


def test_evaluations_are_as_rare_as_asked(tones, tmp_path) -> None:
    train(tones.config(tmp_path / "run", BRIEF | {"trainer.epochs": 5, "trainer.evaluate_every": 2}), quiet=True)
    assert [record["epoch"] for record in log_of(tmp_path / "run")] == [2, 4, 5]


def test_a_manifest_with_other_symbols_cannot_be_resumed(tones, tmp_path) -> None:
    items = tones.items("train")[:8]
    save_manifest(items, tmp_path / "train.jsonl")
    save_manifest(items, tmp_path / "dev.jsonl")
    config = tones.config(tmp_path / "run", BRIEF | {"corpus.root": str(tmp_path)})
    train(config, quiet=True)
    save_manifest([*items[1:], Item("new", items[0].source, text="e")], tmp_path / "train.jsonl")
    before = fingerprint(tmp_path / "run" / "bundle"), (tmp_path / "run" / "checkpoint.pt").read_bytes()
    with pytest.raises(TrainingError, match="other symbols than when the run began; start a new run with init="):
        train(config, resume=True, quiet=True)
    assert (fingerprint(tmp_path / "run" / "bundle"), (tmp_path / "run" / "checkpoint.pt").read_bytes()) == before


def test_a_checkpoint_of_another_optimiser_does_not_fit(tones, tmp_path) -> None:
    train(tones.config(tmp_path / "run", BRIEF), quiet=True)
    with pytest.raises(TrainingError, match=r"the checkpoint does not fit the settings \(it was made with another trainer.optimiser\)"):
        train(resumed_config(tmp_path / "run", {"optimiser": "sgd", "epochs": 2}), resume=True, quiet=True)


def test_changed_settings_of_a_resumed_run_count(tones, tmp_path) -> None:
    """Decay by 1 - 1e3 x 1e-3 leaves nothing of the matrices; an average that begins late begins at the weights."""
    train(tones.config(tmp_path / "run", BRIEF | {"trainer.optimiser": "adamw", "trainer.weight_decay": 0.0}), quiet=True)
    trained = load_bundle(tmp_path / "run" / "bundle").weights
    frozen = {"epochs": 2, "learning_rate": 1e-12, "weight_decay": 1e12, "warmup_steps": 0, "average": 0.999}
    train(resumed_config(tmp_path / "run", frozen), resume=True, quiet=True)
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert float(state["network"]["output.weight"].abs().max()) < 1e-9
    torch.testing.assert_close(state["network"]["output.bias"], trained["output.bias"])
    torch.testing.assert_close(state["average"]["output.bias"], trained["output.bias"])


def test_a_bundle_with_other_symbols_is_a_start(glyphs, line_run, tmp_path, capsys) -> None:
    items = [Item(item.id, item.source, text=item.text.replace("d", "z")) for item in glyphs.items("train")]
    save_manifest(items, tmp_path / "train.jsonl")
    save_manifest(items[:16], tmp_path / "dev.jsonl")
    changes = {"corpus.root": str(tmp_path), "init": str(line_run / "bundle"), "trainer.epochs": 2}
    train(glyphs.config(tmp_path / "run", changes))
    assert "3 of 4 symbols keep their output rows" in capsys.readouterr().err
    assert log_of(tmp_path / "run")[0]["error"] < 0.7 < log_of(line_run)[0]["error"]
