"""`recognizer models`, `recognizer info` and names of models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path


def test_models_are_listed_and_used_by_name(cli, line_run: Path, glyphs, tmp_path: Path, monkeypatch) -> None:
    shutil.copytree(line_run / "bundle", tmp_path / "models" / "mine")
    shutil.copytree(line_run / "bundle", tmp_path / "models" / "speech-en")
    monkeypatch.setenv("RECOGNIZER_MODELS", str(tmp_path / "models"))
    outcome = cli("models")
    assert outcome.code == 0 and [line.split()[0] for line in outcome.out] == [
        "NAME", "handwriting-fr", "handwriting-fr-fast", "phones-en", "speech-en", "speech-en-streaming", "mine",
    ]  # fmt: skip
    assert "WER 33.0 % [27.6, 38.7]" in outcome.out[4] and outcome.out[6].endswith(str(tmp_path / "models" / "mine"))
    hidden = tmp_path / "models" / "speech-en"
    assert outcome.err == [f"recognizer: note: {hidden}: another model is called speech-en; use this one by its folder"]
    assert json.loads("\n".join(cli("models", "--json").out))[-1]["folder"] == str(tmp_path / "models" / "mine")
    item = glyphs.items()[0]
    assert cli("transcribe", "-m", "mine", item.source, "-q").out == [item.text]
    outcome = cli("transcribe", "-m", "mime", item.source, "-q")
    assert outcome.code == 2 and outcome.err[-1].endswith("mime: no such bundle; did you mean 'mine'?")


def test_a_model_is_described(cli, line_run: Path, tmp_path: Path) -> None:
    bundle = line_run / "bundle"
    outcome = cli("info", bundle)
    lines = {tuple(line.split()[:2]): line.split(maxsplit=2)[2] for line in outcome.out}
    assert outcome.code == 0 and lines["bundle", "folder"] == str(bundle) and lines["text", "alphabet"] == "a b c d"
    assert lines["network", "bidirectional"] == "yes" and lines["training", "items"] == "64"
    assert lines["files", "bundle.json"] == f"{(bundle / 'bundle.json').stat().st_size:,} bytes"
    assert json.loads("\n".join(cli("info", bundle, "--json").out))["text"]["labels"] == 5
    assert cli("info", bundle, "--card").out == (bundle / "card.md").read_text().splitlines()
    copy = shutil.copytree(bundle, tmp_path / "copy")
    (copy / "card.md").unlink()
    assert cli("info", copy, "--card").err == [f"recognizer: {copy}: has no model card"]
    (copy / "alphabet.txt").write_text("altered")
    outcome = cli("info", copy)
    assert outcome.code == 2 and "was altered since the bundle was made" in outcome.err[0]


def test_a_model_that_decides_with_another_is_described(cli) -> None:
    assert any("combine_with" in line and "speech-en (" in line for line in cli("info", "phones-en").out)
    lines = cli("info", "speech-en").out
    assert any("combine_with" in line and "units" in line for line in lines)
    assert any(line.split()[:2] == ["text", "alphabet"] and " ␣ " in line for line in lines)
