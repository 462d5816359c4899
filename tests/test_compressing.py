"""`recognizer compress`: a smaller recogniser that still reads, can be trained on, and knows what it was fitted to; what cannot be is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from recognizer.bundle import load_bundle, save_bundle
from recognizer.config import ModelConfig
from recognizer.data.manifest import load_manifest, save_manifest
from recognizer.data.provenance import TRAINED_ON, Provenance
from recognizer.models.network import Network
from recognizer.pipeline import Recognizer
from recognizer.scoring import evaluate
from recognizer.training.run import train


def character_errors(bundle: Path, corpus) -> float:
    return evaluate(Recognizer.load(bundle, "cpu"), corpus.items()).report.rates["CER"].rate


def test_it_still_reads_and_less_is_computed(cli, line_run, glyphs, tmp_path) -> None:
    small = tmp_path / "small"
    words = ["compress", line_run / "bundle", glyphs.root / "train.jsonl", "-o", small, "--ranks", "12", "--frontend-ranks", "0,12", "--items", "20"]
    done = cli(*words)
    assert done.code == 0
    assert [line.split(":")[0] for line in done.out] == ["frontend.layers.1", "encoder.layers.0", str(small)]
    before, after = load_bundle(line_run / "bundle"), load_bundle(small)
    assert after.recipe.model.ranks == (12,) and after.recipe.model.frontend.ranks == (0, 12)
    assert after.recipe == replace(before.recipe, model=after.recipe.model) and after.alphabet == before.alphabet
    assert tuple(after.weights["encoder.layers.0.projection.weight"].shape) == (12, 16)
    assert tuple(after.weights["frontend.layers.1.convolution.weight"].shape) == (12, 8, 3, 3)
    assert character_errors(small, glyphs) <= character_errors(line_run / "bundle", glyphs) + 0.05
    again = cli(*words)
    assert again.out == done.out and all((load_bundle(small).weights[name] == tensor).all() for name, tensor in after.weights.items())


def test_training_goes_on_from_it(line_run, glyphs, tmp_path, cli) -> None:
    small = tmp_path / "small"
    assert cli("compress", line_run / "bundle", glyphs.root / "train.jsonl", "-o", small, "--ranks", "4", "--frontend-ranks", "0,4").code == 0
    changes = {"init": str(small), "model.ranks": [4], "model.frontend.ranks": [0, 4], "trainer.epochs": 4}
    train(glyphs.config(tmp_path / "run", changes), quiet=True)
    assert character_errors(tmp_path / "run" / "bundle", glyphs) < character_errors(small, glyphs)


def test_what_it_was_fitted_to_is_known(cli, line_run, glyphs, tmp_path) -> None:
    strange = [replace(item, id=f"other_{item.id}") for item in load_manifest(glyphs.root / "dev.jsonl")]
    save_manifest(strange, tmp_path / "other.jsonl")
    assert cli("compress", line_run / "bundle", tmp_path / "other.jsonl", "-o", tmp_path / "small", "--ranks", "8", "--items", "5").code == 0
    before, after = (Provenance.parse((folder / TRAINED_ON).read_text()) for folder in (line_run / "bundle", tmp_path / "small"))
    assert len(after.trained_on(strange)) == 5 and after.train > before.train and after.dev == before.dev


def test_speech_likewise(cli, speech_run, tones, tmp_path) -> None:
    done = cli("compress", speech_run / "bundle", tones.root / "train.jsonl", "-o", tmp_path / "small", "--ranks", "30")
    assert done.code == 0 and character_errors(tmp_path / "small", tones) <= character_errors(speech_run / "bundle", tones) + 0.1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to do"),
        (["--ranks", "0"], "nothing to do"),
        (["--ranks", "4,4"], "--ranks: 2 numbers for 1 layers"),
        (["--ranks", "16"], "--ranks: 16 is not less than the 16 numbers in a frame of layer 1"),
        (["--frontend-ranks", "4"], "--frontend-ranks: 1 numbers for 2 layers"),
        (["--frontend-ranks", "8,4"], "--frontend-ranks: 8 is not less than the 8 channels of layer 1"),
    ],
)
def test_ranks_that_do_not_fit(cli, line_run, glyphs, tmp_path, words, message) -> None:
    done = cli("compress", line_run / "bundle", glyphs.root / "train.jsonl", "-o", tmp_path / "small", *words)
    assert done.code == 2 and message in done.err[-1] and not (tmp_path / "small").exists()


@pytest.mark.parametrize("ranks", ["", "4,", "-4", "4.5", "x"])
def test_ranks_that_are_none(cli, line_run, glyphs, tmp_path, ranks) -> None:
    assert cli("compress", line_run / "bundle", glyphs.root / "train.jsonl", "-o", tmp_path / "small", f"--ranks={ranks}").code == 2


def test_networks_that_cannot_be(cli, line_run, speech_run, glyphs, tones, tmp_path) -> None:
    done = cli("compress", speech_run / "bundle", tones.root / "train.jsonl", "-o", tmp_path / "small", "--frontend-ranks", "4")
    assert done.code == 2 and "the front-end (stack) has no convolutions" in done.err[-1]
    assert cli("compress", line_run / "bundle", glyphs.root / "train.jsonl", "-o", tmp_path / "small", "--ranks", "8").code == 0
    done = cli("compress", tmp_path / "small", glyphs.root / "train.jsonl", "-o", tmp_path / "smaller", "--ranks", "4")
    assert done.code == 2 and "compressed already" in done.err[-1]
    bundle = load_bundle(line_run / "bundle")
    recipe = replace(bundle.recipe, model=ModelConfig(bundle.recipe.model.frontend, cell="mlstm", layers=1, hidden=16))
    save_bundle(tmp_path / "matrix", recipe, bundle.alphabet, Network(recipe, len(bundle.alphabet)).state_dict(), "")
    done = cli("compress", tmp_path / "matrix", glyphs.root / "train.jsonl", "-o", tmp_path / "smaller", "--ranks", "8")
    assert done.code == 2 and "no single matrix" in done.err[-1] and not (tmp_path / "smaller").exists()


def test_items_that_cannot_be_used_are_named(cli, line_run, glyphs, tmp_path) -> None:
    Image.new("L", (60, 20), 255).save(tmp_path / "blank.png")
    first, second = load_manifest(glyphs.root / "train.jsonl")[:2]
    items = [replace(first, source=tmp_path / "nowhere.png"), replace(second, source=tmp_path / "blank.png")]
    save_manifest(items, tmp_path / "gone.jsonl")
    done = cli("compress", line_run / "bundle", tmp_path / "gone.jsonl", "-o", tmp_path / "small", "--ranks", "8")
    assert done.code == 2 and sum("left out" in line for line in done.err) == 2 and "no item could be used" in done.err[-1]
    assert not (tmp_path / "small").exists()
