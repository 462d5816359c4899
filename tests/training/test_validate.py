"""The validation error: of whole items, whatever their batches, and lenient to what the model cannot write."""

from __future__ import annotations

import json
from dataclasses import replace

import editdistance
import pytest
import torch

from recognizer.bundle.io import Bundle, load_bundle
from recognizer.data.manifest import Item, save_manifest
from recognizer.inference.recognizer import Recognizer
from recognizer.models.network import Network
from recognizer.training.datamodule import audit_splits, load_items
from recognizer.training.validate import validate
from recognizer.utils.progress import Progress


def validate_bundle(bundle: Bundle, config, run_dir) -> tuple[float, list[tuple[str, str]]]:
    network = Network(bundle.config, len(bundle.alphabet))
    network.load_state_dict(dict(bundle.weights))
    alphabet = replace(bundle.alphabet, level=config.corpus.text.level)
    _, dev = audit_splits(config, load_items(config), alphabet, network, run_dir, Progress(quiet=True))
    return validate(config, network, dev)[:2]


@pytest.fixture
def poor_bundle(line_run) -> Bundle:
    """A bundle whose output is bent, so that there are errors to count."""
    bundle = load_bundle(line_run / "bundle")
    weights = dict(bundle.weights) | {"output.bias": bundle.weights["output.bias"] + torch.tensor([0.0, 0, 0, 4.0, 0])}
    return replace(bundle, weights=weights)


@pytest.mark.parametrize("changes", [{}, {"trainer.max_batch_size": 1}, {"trainer.batch_frames": 200}, {"corpus.text": {"level": "units"}}])
def test_it_is_the_error_of_the_items_taken_one_by_one(glyphs, poor_bundle, tmp_path, changes) -> None:
    error, pairs = validate_bundle(poor_bundle, glyphs.config(tmp_path, changes), tmp_path)
    recognizer, items = Recognizer(poor_bundle, "cpu"), glyphs.items()
    alone = [recognizer.transcribe(str(item.source)).text for item in items]
    expected = sum(editdistance.eval(item.text, text) for item, text in zip(items, alone, strict=True))
    assert expected > 0 and error == pytest.approx(expected / sum(len(item.text) for item in items))
    joiner = " " if "corpus.text" in changes else ""
    assert [reference for reference, _ in pairs] == [joiner.join(item.text) for item in items]
    if not joiner:
        assert [hypothesis for _, hypothesis in pairs] == alone


def test_symbols_the_model_cannot_write_count_as_errors(glyphs, line_run, tmp_path) -> None:
    first, second = glyphs.items()[:2]
    foreign = replace(first, text=first.text + "\u00e9\u00e9")
    crowded = replace(second, text="a" * 400)  # more than its frames could emit
    save_manifest([foreign, crowded, Item("gone", tmp_path / "gone.png", text="a")], tmp_path / "dev.jsonl")
    save_manifest(glyphs.items("train")[:4], tmp_path / "train.jsonl")
    error, pairs = validate_bundle(load_bundle(line_run / "bundle"), glyphs.config(tmp_path, {"corpus.root": str(tmp_path)}), tmp_path)
    assert [reference for reference, _ in pairs] == [foreign.text, crowded.text]
    distance = sum(editdistance.eval(*pair) for pair in pairs)
    assert error == pytest.approx(distance / (len(foreign.text) + 400)) and distance >= 2 + 390
    report = json.loads((tmp_path / "audit.json").read_text())
    assert [entry[:2] for entry in report["dev"]["excluded"]] == [["gone", "unreadable"]]
