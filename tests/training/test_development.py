"""The development error: of whole items, whatever their batches, and lenient to what the model cannot write."""

from __future__ import annotations

import json
from dataclasses import replace

import editdistance
import pytest
import torch

from recognizer.bundle import load_bundle
from recognizer.data.manifest import Item, save_manifest
from recognizer.models.network import Network
from recognizer.pipeline import Recognizer
from recognizer.progress import Progress
from recognizer.training.corpus import audit_parts
from recognizer.training.development import development_error


def network_of(bundle) -> Network:
    network = Network(bundle.recipe, len(bundle.alphabet))
    network.load_state_dict(dict(bundle.weights))
    return network


@pytest.fixture
def half_trained(line_run):
    """A bundle whose output is bent, so that there are errors to count."""
    bundle = load_bundle(line_run / "bundle")
    weights = dict(bundle.weights) | {"output.bias": bundle.weights["output.bias"] + torch.tensor([0.0, 0, 0, 4.0, 0])}
    return replace(bundle, weights=weights)


@pytest.mark.parametrize("changes", [{}, {"trainer.batch_items": 1}, {"trainer.batch_frames": 200}, {"corpus.text": {"level": "units"}}])
def test_it_is_the_error_of_the_items_taken_one_by_one(glyphs, half_trained, tmp_path, changes) -> None:
    config = glyphs.config(tmp_path, changes)
    network = network_of(half_trained)
    alphabet = replace(half_trained.alphabet, level=config.corpus.text.level)
    _, dev = audit_parts(config, alphabet, network, tmp_path, Progress(quiet=True))
    error, pairs = development_error(config, network, dev)
    recognizer = Recognizer(half_trained, "cpu")
    items = glyphs.items()
    alone = [next(iter(recognizer.transcribe(str(item.source)))).text for item in items]
    expected = sum(editdistance.eval(item.text, text) for item, text in zip(items, alone, strict=True))
    assert expected > 0 and error == pytest.approx(expected / sum(len(item.text) for item in items))
    joiner = " " if "corpus.text" in changes else ""
    assert [reference for reference, _ in pairs] == [joiner.join(item.text) for item in items]
    if not joiner:
        assert [hypothesis for _, hypothesis in pairs] == alone


def test_symbols_the_model_cannot_write_count_as_errors(glyphs, line_run, tmp_path) -> None:
    bundle = load_bundle(line_run / "bundle")
    first, second = glyphs.items()[:2]
    strange = replace(first, text=first.text + "\u00e9\u00e9")
    crowded = replace(second, text="a" * 400)  # more than its frames could emit
    dev = [strange, crowded, Item("gone", tmp_path / "gone.png", text="a")]
    save_manifest(dev, tmp_path / "dev.jsonl")
    save_manifest(glyphs.items("train")[:4], tmp_path / "train.jsonl")
    config = glyphs.config(tmp_path / "run", {"corpus.root": str(tmp_path)})
    (tmp_path / "run").mkdir()
    network = network_of(bundle)
    _, part = audit_parts(config, bundle.alphabet, network, tmp_path / "run", Progress(quiet=True))
    error, pairs = development_error(config, network, part)
    assert [reference for reference, _ in pairs] == [strange.text, crowded.text]
    distance = sum(editdistance.eval(*pair) for pair in pairs)
    assert error == pytest.approx(distance / (len(strange.text) + 400)) and distance >= 2 + 390
    report = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert [entry[:2] for entry in report["dev"]["excluded"]] == [["gone", "unreadable"]]
