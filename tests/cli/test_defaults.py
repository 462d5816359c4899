"""Defaults of options in the user's file: taken, overruled by the command line, and refused by name where they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from recognizer.cli.defaults import config_file
from recognizer.cli.main import parse


@pytest.fixture
def config(tmp_path: Path, monkeypatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("RECOGNIZER_CONFIG", str(path))
    return path


def test_defaults_are_taken_and_overruled(config: Path) -> None:
    config.write_text("""
        [transcribe]
        format = "srt"
        n-best = 3
        threads = 2
        quiet = true
        hotword = ["one:5", "two:3"]
        output_dir = "texts"
        [evaluate]
        json = true
    """)
    options = parse(["transcribe", "a.wav"])
    assert (options.format, options.n_best, options.threads, options.quiet, options.output_dir) == ("srt", 3, 2, True, "texts")
    assert options.hotword == ["one:5", "two:3"] and options.device == "auto"
    options = parse(["transcribe", "a.wav", "-f", "vtt", "--n-best", "1"])
    assert (options.format, options.n_best, options.threads) == ("vtt", 1, 2)
    assert parse(["evaluate", "a", "b"]).json is True and parse(["compare", "a", "b"]).json is False


def test_what_is_required_may_stand_in_the_file(config: Path) -> None:
    config.write_text('[average]\noutput-dir = "mean"\n')
    assert parse(["average", "a", "b"]).output_dir == "mean"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[transcribe]\nfromat = "srt"', "[transcribe] fromat: is no option of this command; did you mean 'format'?"),
        ('[trancribe]\nformat = "srt"', "[trancribe] is no command; did you mean 'transcribe'?"),
        ('transcribe = "srt"', "transcribe: expected a table of options, [transcribe]"),
        ("[transcribe]\nthreads = 1000000", "[transcribe] threads: 1000000 threads are too many; 1024 at most, or 0 for all cores"),
        ('[transcribe]\nthreads = "two"', "[transcribe] threads: 'two' is not a whole number of 0 or more"),
        ("[transcribe]\nthreads = [1]", "[transcribe] threads: expected one value, found [1]"),
        ('[transcribe]\nhotword = "one:5"', "[transcribe] hotword: expected a list, found 'one:5'"),
        ('[transcribe]\nprecision = "half"', "[transcribe] precision: invalid choice: 'half' (choose from 'float32', 'bf16')"),
        ("[transcribe]\nquiet = 1", "[transcribe] quiet: expected true or false, found 1"),
        ("[transcribe]\nhelp = true", "[transcribe] help: is no option of this command"),
        ("[transcribe\n", "not TOML: "),
    ],
)
def test_mistakes_are_named(cli, config: Path, text: str, message: str) -> None:
    config.write_text(text)
    outcome = cli("transcribe", "a.wav")
    assert outcome.code == 2 and outcome.out == [] and len(outcome.err) == 1
    assert outcome.err[0].startswith(f"recognizer: {config}: {message}")


def test_a_file_that_cannot_be_read_is_named(cli, config: Path) -> None:
    assert cli("transcribe", "a.wav").err == [f"recognizer: {config}: cannot be read: No such file or directory"]
    config.write_bytes(b"[transcribe]\nformat = '\xff'")
    assert cli("transcribe", "a.wav").err == [f"recognizer: {config}: cannot be read: not UTF-8 text"]


def test_where_the_file_lies(tmp_path: Path, monkeypatch) -> None:
    assert config_file() is None  # the variable is empty in all tests
    monkeypatch.delenv("RECOGNIZER_CONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert config_file() is None
    (tmp_path / ".config" / "recognizer").mkdir(parents=True)
    (tmp_path / ".config" / "recognizer" / "config.toml").touch()
    assert config_file() == tmp_path / ".config" / "recognizer" / "config.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "elsewhere"))
    assert config_file() is None
