"""The shell completes commands, options and names of models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("argcomplete", reason="completion is an extra of the package")


def complete(line: str) -> list[str]:
    """What the shell is told, as its function asks: the line in variables, the answer through file descriptor 8."""
    script = (
        f"_ARGCOMPLETE=1 _ARGCOMPLETE_IFS=$'\\013' _ARGCOMPLETE_SUPPRESS_SPACE=1 COMP_LINE='{line}' COMP_POINT={len(line)} COMP_TYPE=9 "
        f"'{sys.executable}' -m recognizer 8>&1 9>&2 >/dev/null"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    return [word.strip() for word in done.stdout.split("\x0b") if word]


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
def test_what_could_stand_next_is_offered(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert complete("recognizer tr") == ["train", "transcribe"]
    assert complete("recognizer transcribe --for") == ["--format"]
    assert complete("recognizer transcribe -m hand") == ["handwriting-fr", "handwriting-fr-fast"]
    assert complete("recognizer info spe") == ["speech-en", "speech-en-streaming"]
    assert complete("recognizer evaluate a b --precision b") == ["bf16"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_lines(cli, shell: str) -> None:
    outcome = cli("completion", shell)
    text = "\n".join(outcome.out)
    assert outcome.code == 0 and "recognizer" in text and "_ARGCOMPLETE" in text and ("complete" if shell != "zsh" else "compdef") in text


def test_a_missing_package_is_named(cli, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    outcome = cli("completion", "bash")
    assert outcome.code == 2 and outcome.err == ["recognizer: completion: argcomplete is not installed; pip install 'recognizer[completion]'"]
