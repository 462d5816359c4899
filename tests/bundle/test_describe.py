"""Facts about a bundle, which a test can count for itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from recognizer.bundle.describe import describe_bundle, find_parent
from recognizer.bundle.io import load_bundle
from recognizer.bundle.provenance import ADAPTED, Origin, Provenance
from recognizer.bundle.registry import shipped_bundles


def test_facts_of_a_small_bundle(line_run: Path) -> None:
    bundle = load_bundle(line_run / "bundle")
    facts = describe_bundle(bundle)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["bundle"]["folder"] == str(bundle.folder) and facts["bundle"]["reads"] == "handwriting to characters"
    assert facts["input"] == {"kind": "line images", "features": "pixels", "height": 16}
    assert facts["text"]["alphabet"] == ["a", "b", "c", "d"] and facts["text"]["labels"] == 5
    assert facts["network"]["weights"] == sum(tensor.numel() for tensor in bundle.weights.values())
    assert (facts["network"]["num_layers"], facts["network"]["hidden_size"], facts["network"]["cell"]) == (1, 16, "lstm")
    assert facts["decoder"] == {"kind": "greedy", "calibrated": False}
    assert facts["training"] == {"items": 64, "dev_items": 24, "parent": None}
    assert facts["files"]["model.safetensors"] == (bundle.folder / "model.safetensors").stat().st_size


def test_facts_of_a_bundle_that_needs_others() -> None:
    folder = shipped_bundles()["speech-en"]
    facts = describe_bundle(load_bundle(folder))
    decoder = facts["decoder"]
    assert decoder["combine_with"] == "units" and decoder["calibrated"]
    assert decoder["lm"] == {"name": "lm.ngram", "bytes": (folder / "lm.ngram").stat().st_size}
    assert decoder["combine_lexicon"]["bytes"] == (folder.parent / "phones-en" / "lexicon.txt.gz").stat().st_size
    assert facts["network"]["stored"]["BF16"] > 10**6 and facts["bundle"]["language"] == "en"
    phones = describe_bundle(load_bundle(folder.parent / "phones-en"))
    assert phones["decoder"]["combine_with"] == {"name": "speech-en", "folder": str(folder)}


def test_the_bundle_that_one_started_from_is_found(tmp_path: Path, line_run: Path, monkeypatch) -> None:
    """By what they were trained on: all of the parent's items are among the child's."""
    parent, child = tmp_path / "models" / "parent", tmp_path / "child"
    for folder in (parent, tmp_path / "models" / "stranger", child):
        shutil.copytree(line_run / "bundle", folder)
    Provenance(frozenset({"0" * 12})).save(parent / "trained_on.txt.gz")
    Provenance(frozenset({"1" * 12})).save(tmp_path / "models" / "stranger" / "trained_on.txt.gz")
    both = Provenance(frozenset({"0" * 12, "2" * 12}))
    monkeypatch.setenv("RECOGNIZER_MODELS", str(tmp_path / "models"))
    assert find_parent(child, both) == "parent" and find_parent(parent, Provenance(frozenset({"0" * 12}))) is None
    bundle = load_bundle(child)
    assert describe_bundle(bundle)["training"]["parent"] is None
    Origin("named", "../named", "0" * 64, {"items": 7}).save(child / ADAPTED)  # what adapting writes
    assert describe_bundle(bundle)["training"] == {"items": 64, "dev_items": 24, "parent": "named", "adapted_items": 7}
    (tmp_path / "models" / "stranger" / "trained_on.txt.gz").write_bytes(b"damaged")
    assert find_parent(child, both) == "parent"
