"""The command line: help without weight, exit codes, settings by word, and the presets for trying things out."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from recognizer import __version__
from recognizer.cli.main import build_parser, find_commands, parse

COMMANDS = tuple(find_commands())
HEAVY = ("torch", "torchaudio", "hydra", "omegaconf", "numpy", "scipy", "librosa", "soundfile", "PIL", "numba")


def test_help_imports_nothing_heavy() -> None:
    script = f"""
import sys
from recognizer.cli.main import main
for words in (["--help"], *([command, "--help"] for command in {COMMANDS!r} if command != "prepare"), ["--version"]):
    try:
        main(words)
    except SystemExit as stop:
        assert stop.code == 0, words
print("HEAVY", [name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.splitlines()[-1] == "HEAVY []"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli, command: str) -> None:
    outcome = cli(command, "--help")
    assert outcome.code == 0 and outcome.err == [] and outcome.out[0].startswith(f"usage: recognizer {command}")
    assert any(command in line for line in cli("--help").out)
    *_, above, last = outcome.out
    assert above == "" and last.startswith("example: ") and f"recognizer {command} " in f"{last} "
    words = shlex.split(last.removeprefix("example: ").partition(" >> ")[0])
    assert parse(words[words.index("recognizer") + 1 :]).command == command  # so that the example is one


@pytest.mark.parametrize("words", [["transcribe", "a.wav"], ["align", "a", "b"], ["evaluate", "a", "b"], ["tune", "a", "b"], ["inspect", "a"]])
def test_threads_are_bounded(cli, words: list[str]) -> None:
    outcome = cli(*words, "--threads", "1000000")
    assert outcome.code == 2 and outcome.err[-1].endswith("argument --threads: 1000000 threads are too many; 1024 at most, or 0 for all cores")


def test_all_commands_are_there() -> None:
    assert COMMANDS == ("adapt", "align", "audit", "average", "compare", "completion", "convert", "evaluate", "export", "export-manifest", "info",
        "inspect", "listen", "lm", "models", "prepare", "serve", "train", "transcribe", "tune")  # fmt: skip
    assert all(summary and not summary.startswith("`") for summary in find_commands().values())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_quiet_or_verbose(command: str) -> None:
    _, parser = build_parser(command)
    options = {name for action in parser._actions for name in action.option_strings}
    assert {"-q", "--quiet", "-v", "--verbose"} <= options
    assert parser.get_default("quiet") is parser.get_default("verbose") is False


def test_subcommands_can_be_quiet_on_either_side_of_their_name() -> None:
    for words in (["prepare", "-q", "folder", "a", "b"], ["prepare", "folder", "a", "b", "-q"], ["prepare", "folder", "-q", "a", "b"]):
        assert parse(words).quiet is True
    assert parse(["prepare", "folder", "a", "b"]).quiet is False


def test_verbose_says_where_an_error_comes_from(cli, tmp_path: Path) -> None:
    quiet, verbose = cli("info", tmp_path / "none"), cli("info", tmp_path / "none", "-v")
    assert quiet.code == verbose.code == 2 and quiet.err == [f"recognizer: {tmp_path / 'none'}: no such bundle"] == verbose.err[-1:]
    assert verbose.err[0].startswith("Traceback") and any("load_bundle" in line for line in verbose.err)


def test_the_main_help_names_exit_codes_and_ends_with_an_example(cli) -> None:
    out = cli("--help").out
    assert out[-1].startswith("example: recognizer transcribe ") and "130 interrupted" in " ".join(out)
    assert parse(shlex.split(out[-1])[2:]).command == "transcribe"


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "recognizer", "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"recognizer {__version__}\n", "")


def test_no_command_shows_help(cli) -> None:
    outcome = cli()
    assert outcome.code == 0 and outcome.out == cli("--help").out
    assert cli("--version").out == [f"recognizer {__version__}"]


@pytest.mark.parametrize(
    "words",
    [["transcribe"], ["transcribe", "a.wav", "-m", "x", "--quite"], ["evaluate", "a"],
        ["evaluate", "a", "b", "--precision", "half"], ["evaluate", "a", "b", "--threads", "-1"],
        ["inspect", "a", "--threads", "1025"], ["train", "--config"]],
)  # fmt: skip
def test_misused_commands_exit_with_2_and_usage(cli, words: list[str]) -> None:
    outcome = cli(*words)
    assert outcome.code == 2 and outcome.out == [] and outcome.err[0].startswith("usage: recognizer")


def test_settings_are_shown_and_nothing_else_is_done(cli, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cli("train", "features=mfcc", "trainer.epochs=3", "corpus.root=elsewhere", "--show")
    shown = yaml.safe_load("\n".join(outcome.out))
    assert (shown["features"]["kind"], shown["trainer"]["epochs"], shown["corpus"]["root"]) == ("mfcc", 3, "elsewhere")
    sweep = cli("train", "seed=1,2", "trainer.epochs=3,4", "-m", "--show")
    assert sweep.code == 0 and [line for line in sweep.out if line.startswith("seed: ")] == ["seed: 1", "seed: 1", "seed: 2", "seed: 2"]
    assert len({line for line in sweep.out if line.startswith("run_dir: ")}) == 4
    assert list(tmp_path.iterdir()) == []


def test_settings_of_a_file_and_changes_to_them(cli, tones, tmp_path) -> None:
    path = tones.save_config(tmp_path / "c.yaml", tmp_path / "run")
    outcome = cli("train", "--config", path, "--show", "trainer.epochs=77", "augment.kind=audio", "augment.speed=[0.9, 1.1]")
    shown = yaml.safe_load("\n".join(outcome.out))
    assert (shown["trainer"]["epochs"], shown["augment"]["speed"], shown["model"]["hidden_size"]) == (77, [0.9, 1.1], 16)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "override", "word"),
    [
        ("", "seed=2", "c.yaml"), ("- 1", "seed=2", "c.yaml"), ("a: [", "", "c.yaml"), (None, "", "c.yaml"), ("\xff", "", "c.yaml"),
        ("seed: 1", "seed.x=2", "seed"), ("{}", "seed=[1", "seed=[1"), ("{}", "seed", "key=value"), ("{}", "", "corpus"),
    ],
)  # fmt: skip
def test_settings_files_that_cannot_be_used(cli, tmp_path, content: str | None, override: str, word: str) -> None:
    if content is not None:
        (tmp_path / "c.yaml").write_bytes(content.encode("latin-1"))
    outcome = cli("train", "--config", tmp_path / "c.yaml", *([override] if override else []))
    assert outcome.code == 2 and outcome.out == [] and len(outcome.err) == 1
    assert outcome.err[0].startswith("recognizer: ") and word in outcome.err[0]


def test_only_the_trainer_changes_when_a_run_goes_on(cli, speech_run) -> None:
    outcome = cli("train", "--resume", speech_run, "model.hidden_size=20")
    assert outcome.code == 2 and "model.hidden_size: with --resume only trainer.* can be changed" in outcome.err[0]
    outcome = cli("train", "--resume", speech_run, "trainer.epoch=9")
    assert outcome.code == 2 and "trainer.epoch: no such key; did you mean 'trainer.epochs'?" in outcome.err[0]
    shown = yaml.safe_load("\n".join(cli("train", "--resume", speech_run, "trainer.epochs=9", "--show").out))
    assert shown["trainer"]["epochs"] == 9 and shown["run_dir"] == str(speech_run)


def test_the_preset_fast_goes_the_whole_way(cli, tones, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [f"corpus.root={tones.root}", "features.sample_rate=8000", "features.num_mel_bins=20", "trainer.threads=1", "device=cpu"]
    outcome = cli("train", "debug=fast", *words)
    assert (outcome.code, outcome.out) == (0, ["runs/fast/bundle"])
    assert any(line.startswith("epoch 1: loss") for line in outcome.err)
    assert cli("evaluate", "runs/fast/bundle", tones.root / "dev.jsonl", "--json", "--threads", "1").code == 0
    again = cli("train", "debug=fast", *words)
    assert again.code == 2 and again.err == ["recognizer: runs/fast: holds a run already; go on with --resume runs/fast, or name another run_dir"]


def test_the_preset_overfit_learns_by_heart(cli, glyphs, tmp_path, monkeypatch) -> None:
    """A smaller network at a higher rate than the preset's own, for the sake of seconds."""
    monkeypatch.chdir(tmp_path)
    changes = ["model.frontend.channels=[8,16]", "model.frontend.time_strides=[2,2]", "model.frontend.height_strides=[2,2]", "model.num_layers=1",
        "model.frontend.dropout=0", "model.hidden_size=16", "trainer.learning_rate=0.02", "trainer.warmup_steps=5", "trainer.epochs=100"]  # fmt: skip
    words = [f"corpus.root={glyphs.root}", "features=pixels", "features.height=16", "model=line_cnn_blstm"]
    outcome = cli("train", "debug=overfit", *words, *changes, "trainer.threads=1", "device=cpu")
    assert (outcome.code, outcome.out) == (0, ["runs/overfit/bundle"])
    log = [json.loads(line) for line in Path("runs/overfit/log.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in log] == list(range(10, 101, 10)) and log[-1]["best"] < 0.05
    shown = yaml.safe_load("\n".join(cli("train", "experiment=copiste", "debug=overfit", "--show").out))
    assert shown["augment"] == {"kind": "none"} and shown["trainer"]["limit_items"] == 16 and shown["features"]["kind"] == "pixels"


def test_former_names_of_settings_say_their_new_ones(cli, tones) -> None:
    for word, message in (
        ("trainer.batch_items=4", "trainer.batch_items: is called trainer.max_batch_size now"),
        ("model.hidden=4", "model.hidden: is called model.hidden_size now"),
        ("features.bins=4", "features.bins: is called features.num_mel_bins now"),
        ("model.ranks=[1]", "model.ranks: no such setting any more"),
    ):
        assert cli("train", f"corpus.root={tones.root}", word, "--show").err == [f"recognizer: {message}"]
    outcome = cli("transcribe", "a.wav", "-m", "speech-en", "decoder.width=4")
    assert (outcome.code, outcome.err) == (2, ["recognizer: decoder.width: is called decoder.beam_size now"])


def test_a_reader_that_has_gone_is_no_error(speech_run, tones) -> None:
    """As under `head`: the output is closed before the first result."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "recognizer", "transcribe", str(tones.root), "-m", str(speech_run / "bundle"), "-q", "--threads", "1"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(writing)
    assert done.returncode == 0 and done.stderr == ""


def test_a_misspelt_command_names_the_nearest(cli) -> None:
    outcome = cli("transcrib", "a.wav")
    assert outcome.code == 2 and outcome.out == [] and len(outcome.err) == 1
    assert outcome.err[0].startswith("recognizer: there is no command 'transcrib'; did you mean 'transcribe'? (adapt, ")
