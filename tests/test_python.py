"""The package as it is imported: its public names, what they cost, and the notebook that shows them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import recognizer
from recognizer import Recognizer, align, evaluate, load, train
from recognizer.data.manifest import save_manifest
from recognizer.errors import BundleError, ConfigError, InputError, ManifestError

NOTEBOOK = Path(__file__).parents[1] / "scripts" / "example.ipynb"


def test_every_public_name_is_there() -> None:
    assert set(recognizer.__all__) <= set(dir(recognizer))
    assert all(getattr(recognizer, name) is not None for name in recognizer.__all__)
    assert load == Recognizer.load and recognizer.Transcript.__module__ == "recognizer.types"
    with pytest.raises(AttributeError, match="has no attribute 'transcribe'"):
        _ = recognizer.transcribe
    assert (files("recognizer") / "py.typed").is_file()


def test_importing_the_package_costs_nothing() -> None:
    script = "import sys, recognizer; recognizer.Transcript; print([name for name in ('torch', 'numpy', 'PIL') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60).stdout == "[]\n"


def test_bundles_and_manifests_go_by_name(speech_run: Path, tones, tmp_path: Path) -> None:
    bundle, manifest = speech_run / "bundle", tones.root / "dev.jsonl"
    evaluation = evaluate(bundle, manifest)
    assert evaluation.scores.rates["CER"].rate < 0.1 and len(evaluation.items) == len(tones.items())
    with pytest.raises(ManifestError, match="64 items are among those the recognizer was trained on"):
        evaluate(str(bundle), str(tones.root / "train.jsonl"))
    assert len(evaluate(bundle, tones.root / "train.jsonl", allow_seen=True).items) == 64
    with pytest.raises(ConfigError, match="protocol"):
        evaluate(bundle, manifest, protocol="strickt")
    aligned = list(align(bundle, manifest))
    assert [each.id for each in aligned] == [item.id for item in tones.items()] and all(each.transcript.tokens for each in aligned)
    with pytest.raises(BundleError, match=r"none: "):
        load(tmp_path / "none")


def test_training_takes_what_the_command_line_takes(tones, tmp_path: Path) -> None:
    save_manifest(tones.items("train")[:4], tmp_path / "train.jsonl")
    save_manifest(tones.items()[:2], tmp_path / "dev.jsonl")
    settings = [f"corpus.root={tmp_path}", f"run_dir={tmp_path / 'run'}", "features.sample_rate=8000", "model.num_layers=1", "model.hidden_size=8",
        "trainer.epochs=1", "trainer.threads=1", "trainer.num_workers=0", "device=cpu"]  # fmt: skip
    bundle = train(settings, quiet=True)
    assert bundle == tmp_path / "run" / "bundle" and load(bundle, "cpu").transcribe(tones.items()[0].source).error is None
    assert train(str(tmp_path / "run"), resume=True, quiet=True) == bundle  # which is done
    with pytest.raises(ConfigError, match=r"trainer\.epoch: .*did you mean 'trainer\.epochs'"):
        train([*settings, "trainer.epoch=1"], quiet=True)


def run_cell(source: str, names: dict[str, object]) -> object:
    """Run a cell of a notebook; its last expression is what it shows."""
    tree = ast.parse(source)
    shown = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return None if shown is None else eval(compile(shown, "cell", "eval"), names)


def test_the_notebook_runs(capsys) -> None:
    """Its cells, one after the other, show what they are there for."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert not any(cell.get("outputs") for cell in notebook["cells"]), "the notebook is kept without outputs"
    names: dict[str, object] = {}
    results = [run_cell("".join(cell["source"]), names) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    shown = [result._repr_html_() for result in results if result is not None]
    assert ["<audio" in html for html in shown] == [True, False] and ["<image" in html for html in shown] == [False, True]
    printed = capsys.readouterr().out
    assert "but he would not let me go" in printed and "WEBVTT" in printed and "None" in printed and "('go', " in printed


def test_the_readme_shows_what_works() -> None:
    """Every name that its Python lines import from the package is public."""
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    names = [name.strip() for line in text.splitlines() if line.startswith("from recognizer import ") for name in line.split("import ")[1].split(",")]
    assert names and set(names) <= set(recognizer.__all__)


def test_what_one_input_lacks_is_raised() -> None:
    with pytest.raises(InputError, match=r"none\.wav: no such file"):
        load("phones-en").transcribe("none.wav")
