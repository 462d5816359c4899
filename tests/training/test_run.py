"""A run from settings to bundle: it learns, says what it did, and refuses what would lose something."""

from __future__ import annotations

import hashlib
import json
import math
import signal
from pathlib import Path

import editdistance
import numpy as np
import pytest
import soundfile
import torch
import yaml

from recognizer.bundle.io import load_bundle
from recognizer.config import TrainConfig
from recognizer.config.schema import from_dict
from recognizer.data.manifest import Item, load_manifest, save_manifest
from recognizer.errors import ConfigError, Interrupted, RecognizerError, TrainingError
from recognizer.inference.recognizer import Recognizer
from recognizer.lm.binary import save_ngram
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.training import datamodule, run
from recognizer.training.run import resumed_config, train
from tests.training.test_checkpoint import training_elsewhere

BRIEF = {"trainer.limit_items": 8, "trainer.epochs": 1, "trainer.max_batch_size": 4}
FILES = ["audit.json", "bundle", "checkpoint.pt", "checkpoint.sha256", "config.yaml", "log.jsonl", "trained_on.txt.gz"]


def log_of(run_dir: Path) -> list[dict]:
    return [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]


def fingerprint(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(("corpus", "run"), [("tones", "speech_run"), ("glyphs", "line_run")])
def test_a_run_learns_and_leaves_its_records(corpus: str, run: str, request) -> None:
    corpus, run_dir = request.getfixturevalue(corpus), request.getfixturevalue(run)
    items, config, log = corpus.items(), corpus.config(run_dir), log_of(run_dir)
    transcripts = list(Recognizer.load(run_dir / "bundle", "cpu", threads=1).transcribe(str(item.source) for item in items))
    errors = sum(editdistance.eval(item.text, transcript.text) for item, transcript in zip(items, transcripts, strict=True))
    assert errors / sum(len(item.text) for item in items) == pytest.approx(log[-1]["best"], abs=1e-5) and log[-1]["best"] < 0.1
    assert sorted(path.name for path in run_dir.iterdir()) == FILES
    assert from_dict(TrainConfig, yaml.safe_load((run_dir / "config.yaml").read_text())) == config
    assert [record["epoch"] for record in log] == list(range(1, config.trainer.epochs + 1))
    assert [record["best"] for record in log] == [min(r["error"] for r in log[: i + 1]) for i in range(len(log))]
    assert log[-1]["loss"] < 0.5 * log[0]["loss"] and log[-1]["step"] == 8 * len(log)
    bundle = load_bundle(run_dir / "bundle")
    assert bundle.config == config.recognizer and bundle.alphabet.symbols == ("a", "b", "c", "d")
    card = (run_dir / "bundle" / "card.md").read_text()
    assert f"{100 * log[-1]['best']:.2f} %" in card and "license of the data: not stated" in card and "seed 1" in card
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


def test_a_manifest_cannot_be_trained_on_and_validated_on(tones, tmp_path) -> None:
    roundabout = f"../{tones.root.name}/train.jsonl"
    for changes in ({"corpus.dev": "train.jsonl"}, {"corpus.extra": ["dev.jsonl"]}, {"corpus.dev": roundabout}):
        with pytest.raises(TrainingError, match=r"^corpus\.dev: .*\.jsonl is also trained on.*--dev 0\.1"):
            datamodule.load_items(tones.config(tmp_path / "run", changes))


def test_pictures_or_sounds_in_both_splits_are_said(tones, tmp_path, capsys) -> None:
    items = tones.items("train")[:8]
    copy = tmp_path / "copy.wav"
    copy.write_bytes(items[3].source.read_bytes())
    save_manifest(items, tmp_path / "train.jsonl")
    save_manifest([Item("copied", copy, text=items[3].text, units=items[3].units), *tones.items("dev")[:2]], tmp_path / "dev.jsonl")
    train(tones.config(tmp_path / "run", BRIEF | {"corpus.root": str(tmp_path), "trainer.limit_items": 0}))
    assert json.loads((tmp_path / "run" / "audit.json").read_text())["dev"]["copies"] == [["copied", items[3].id]]
    assert "dev: 1 files are also trained on, by their content (copied is " in capsys.readouterr().err


def test_every_manifest_is_read_once(tones, tmp_path, monkeypatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(datamodule, "load_manifest", lambda path: read.append(path.name) or load_manifest(path))
    save_manifest(tones.items("train")[:8], tmp_path / "train.jsonl")
    save_manifest(tones.items("dev")[:8], tmp_path / "dev.jsonl")
    save_manifest(tones.items("dev")[8:12], tmp_path / "more.jsonl")
    train(tones.config(tmp_path / "run", {"corpus.root": str(tmp_path), "corpus.extra": ["more.jsonl"], "trainer.epochs": 1}), quiet=True)
    assert read == ["train.jsonl", "more.jsonl", "dev.jsonl"]
    save_manifest(tones.items("train")[7:9], tmp_path / "more.jsonl")
    with pytest.raises(TrainingError, match=r"^more\.jsonl: the id 'train07' is also in train\.jsonl"):
        train(tones.config(tmp_path / "run2", {"corpus.root": str(tmp_path), "corpus.extra": ["more.jsonl"]}), quiet=True)


def test_a_folder_that_holds_a_run_is_left_alone(tones, speech_run) -> None:
    before = fingerprint(speech_run)
    with pytest.raises(TrainingError, match=f"{speech_run}: holds a run already; go on with --resume"):
        train(tones.config(speech_run), quiet=True)
    assert fingerprint(speech_run) == before


def test_two_processes_cannot_resume_the_same_run(tones, tmp_path) -> None:
    run_dir = tmp_path / "run"
    train(tones.config(run_dir, BRIEF), quiet=True)
    before = fingerprint(run_dir)
    with training_elsewhere(run_dir) as process:
        with pytest.raises(TrainingError, match=f"{run_dir}: process {process.pid} is training there"):
            train(resumed_config(run_dir, {"epochs": 2}), resume=True, quiet=True)
        assert before.items() <= fingerprint(run_dir).items()
    train(resumed_config(run_dir, {"epochs": 2}), resume=True, quiet=True)  # the other one was killed, and its lock file is still there
    assert len(log_of(run_dir)) == 2 and sorted(path.name for path in run_dir.iterdir()) == FILES


def test_a_run_that_cannot_be_resumed_is_named(tones, tmp_path) -> None:
    with pytest.raises(TrainingError, match=r"holds no run \(config.yaml is missing\)"):
        resumed_config(tmp_path / "none")
    with pytest.raises(TrainingError, match="nothing to resume"):
        train(tones.config(tmp_path / "run", BRIEF), resume=True, quiet=True)
    for content in ("", "trainer: [", "- 1", "trainer: 3", "\xff"):
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


def test_a_signal_ends_training_after_the_step_and_a_checkpoint(tones, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(run.Progress, "update", lambda self, text: signal.raise_signal(signal.SIGTERM) if text.startswith("epoch") else None)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted, match=rf"^stopped by SIGTERM at step 2; resume with: recognizer train --resume {tmp_path / 'run'}$") as caught:
        train(tones.config(tmp_path / "run"), quiet=True)
    assert caught.value.exit_code == 130 and TrainingError.exit_code == 2
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["position"]["step"] == 2
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


@pytest.mark.parametrize(
    ("changes", "validated"),
    [
        ({"trainer.epochs": 50, "trainer.patience": 2, "trainer.learning_rate": 1e-9, "trainer.warmup_steps": 0}, [1, 2, 3]),
        ({"trainer.epochs": 5, "trainer.val_every_n_epochs": 2}, [2, 4, 5]),
    ],
)
def test_patience_ends_training_and_validations_are_as_rare_as_asked(glyphs, tmp_path, changes, validated: list[int]) -> None:
    train(glyphs.config(tmp_path / "run", BRIEF | changes), quiet=True)
    assert [record["epoch"] for record in log_of(tmp_path / "run")] == validated


def test_a_time_limit_ends_training_with_a_validation(tones, tmp_path, capsys) -> None:
    changes = {"trainer.epochs": 1000, "trainer.minutes": 1e-6, "trainer.val_every_n_epochs": 100}
    train(tones.config(tmp_path / "run", changes))
    log = log_of(tmp_path / "run")
    assert len(log) == 1 and (log[0]["epoch"], log[0]["step"]) == (1, 1)
    assert load_bundle(tmp_path / "run" / "bundle").alphabet.symbols == ("a", "b", "c", "d")
    assert "best validation error" in capsys.readouterr().err


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


def test_changed_settings_of_a_resumed_run_count(tones, tmp_path) -> None:
    """Decay by 1 - 1e12 x 1e-12 leaves nothing of the matrices; an average that begins late begins at the weights."""
    train(tones.config(tmp_path / "run", BRIEF | {"trainer.optimizer": "adamw", "trainer.weight_decay": 0.0}), quiet=True)
    with pytest.raises(TrainingError, match=r"the checkpoint does not fit the settings \(it was made with another trainer.optimizer\)"):
        train(resumed_config(tmp_path / "run", {"optimizer": "sgd", "epochs": 2}), resume=True, quiet=True)
    trained = load_bundle(tmp_path / "run" / "bundle").weights
    frozen = {"optimizer": "adamw", "epochs": 2, "learning_rate": 1e-12, "weight_decay": 1e12, "warmup_steps": 0, "ema_decay": 0.999}
    train(resumed_config(tmp_path / "run", frozen), resume=True, quiet=True)
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert float(state["network"]["output.weight"].abs().max()) < 1e-9
    torch.testing.assert_close(state["network"]["output.bias"], trained["output.bias"])
    torch.testing.assert_close(state["ema"]["output.bias"], trained["output.bias"])


def test_a_bundle_with_other_symbols_is_a_start(glyphs, line_run, tmp_path, capsys) -> None:
    items = [Item(item.id, item.source, text=item.text.replace("d", "z")) for item in glyphs.items("train")]
    save_manifest(items, tmp_path / "train.jsonl")
    save_manifest(items[:16], tmp_path / "dev.jsonl")
    changes = {"corpus.root": str(tmp_path), "init": str(line_run / "bundle"), "trainer.epochs": 2}
    train(glyphs.config(tmp_path / "run", changes))
    assert "4 of 5 symbols keep their output rows" in capsys.readouterr().err
    assert log_of(tmp_path / "run")[0]["error"] < 0.7 < log_of(line_run)[0]["error"]


@pytest.fixture
def no_speech(tmp_path) -> Path:
    """A manifest of twenty recordings of noise, a hum and silence, marked as empty."""
    items = []
    for number in range(20):
        generator = np.random.default_rng(number)
        seconds = np.arange(int(generator.integers(3000, 6000))) / 8000
        noise = generator.standard_normal(len(seconds))
        samples = (0.1 * noise, 0.2 * np.sin(2 * np.pi * 120 * seconds) + 0.001 * noise, 0.0 * noise)[number % 3]
        soundfile.write(tmp_path / f"{number}.wav", samples, 8000)
        items.append(Item(f"empty{number}", tmp_path / f"{number}.wav", text="", units=(), meta={"empty": True}))
    save_manifest(items, tmp_path / "empty.jsonl")
    return tmp_path / "empty.jsonl"


def test_the_bundle_carries_the_model_that_training_was_given(tones, tmp_path, monkeypatch) -> None:
    """Wherever it lies, whatever it is called: a path would be refused."""
    texts = [item.text for item in tones.items("train")]
    monkeypatch.chdir(tmp_path)
    save_ngram(estimate_ngram(texts, order=2, level="characters"), "config.arpa")
    changes = {**BRIEF, "decoder.kind": "beam", "decoder.lm": "config.arpa"}
    with pytest.raises(ConfigError, match=r"decoder\.lm: none\.arpa: no such file"):
        train(tones.config(tmp_path / "none", {**changes, "decoder.lm": "none.arpa"}), quiet=True)
    assert not (tmp_path / "none").exists()
    train(tones.config(tmp_path / "run", changes), quiet=True)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    train(resumed_config(tmp_path / "run", {"epochs": 2}), resume=True, quiet=True)
    bundle = load_bundle(tmp_path / "run" / "bundle")
    assert bundle.config.decoder.lm == "lm.arpa" and (bundle.folder / "lm.arpa").read_bytes() == (tmp_path / "config.arpa").read_bytes()
    (tmp_path / "config.arpa").unlink()
    transcript = Recognizer.load(bundle.folder, "cpu", threads=1).transcribe(str(tones.items()[0].source))
    assert transcript.error is None and transcript.language != 0


def test_a_run_learns_to_write_nothing_where_nobody_speaks(tones, no_speech, tmp_path) -> None:
    train(tones.config(tmp_path / "run", {"corpus.extra": [str(no_speech)], "trainer.epochs": 8}), quiet=True)
    audit = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert (audit["train"]["usable"], audit["train"]["empty"], audit["dev"]["empty"]) == (84, 20, 0)
    spoken, recognizer = tones.items(), Recognizer.load(tmp_path / "run" / "bundle", "cpu", threads=1)
    texts = [transcript.text for transcript in recognizer.transcribe(str(item.source) for item in [*spoken, *load_manifest(no_speech)])]
    assert sum(text == item.text for text, item in zip(texts, spoken, strict=False)) > 0.8 * len(spoken)
    assert texts[len(spoken) :].count("") >= 18


def test_a_batch_of_empty_items_is_a_step_like_others(tones, no_speech, tmp_path) -> None:
    changes = {"corpus.extra": [str(no_speech)], "trainer.max_batch_size": 1, "trainer.epochs": 1}
    train(tones.config(tmp_path / "run", changes), quiet=True)
    (record,) = log_of(tmp_path / "run")
    assert record["step"] == 84 and math.isfinite(record["loss"])


def test_the_time_left_is_never_negative(tones, tmp_path, monkeypatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(run.Progress, "update", lambda progress, text: said.append(text))
    train(tones.config(tmp_path / "run", BRIEF | {"trainer.minutes": 1e-9, "trainer.epochs": 50}), quiet=True)
    told = [text for text in said if text.endswith(" left")]
    assert told and all(text.endswith("  0:00 left") for text in told)
