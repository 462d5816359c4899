"""Bundles written anew: at half the size, self-contained, with features cleaned otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from recognizer.bundle.io import load_bundle
from recognizer.bundle.registry import shipped_bundles
from recognizer.data.manifest import load_manifest
from recognizer.inference.recognizer import Recognizer


def test_bf16_halves_the_weights_and_reads_the_same(cli, line_run: Path, glyphs, tmp_path: Path) -> None:
    assert cli("convert", line_run / "bundle", tmp_path / "small", "--dtype", "bf16").code == 0
    full, small = load_bundle(line_run / "bundle"), load_bundle(tmp_path / "small")
    assert (small.folder / "model.safetensors").stat().st_size < 0.6 * (full.folder / "model.safetensors").stat().st_size
    assert small.others == full.others and small.card() == full.card() and small.config == full.config
    sources = [item.source for item in load_manifest(glyphs.root / "dev.jsonl")]
    texts = [[t.text for t in Recognizer.load(folder, threads=1).transcribe(sources)] for folder in (full.folder, small.folder)]
    assert sum(a != b for a, b in zip(*texts, strict=True)) <= 1


def test_a_converted_bundle_stands_alone(cli, tmp_path: Path) -> None:
    """Shipped bundles share language models and lexicons; a copy of one takes them along."""
    shipped = shipped_bundles()["handwriting-fr-fast"]
    assert load_bundle(shipped).config.decoder.lm == "handwriting-fr:lm.ngram"
    assert cli("convert", "handwriting-fr-fast", tmp_path / "alone").code == 0
    alone = load_bundle(tmp_path / "alone")
    assert (alone.config.decoder.lm, alone.config.decoder.char_lm) == ("lm.ngram", "char_lm.ngram")
    picture = np.full((64, 300), 230, np.uint8)
    picture[20:40, 30:33] = picture[20:40, 60:63] = 20
    before, after = (Recognizer.load(folder, threads=1).transcribe(picture) for folder in (shipped, alone.folder))
    assert before == after


def test_features_may_be_cleaned_otherwise_and_nothing_else(cli, speech_run: Path, line_run: Path, tmp_path: Path) -> None:
    assert cli("convert", speech_run / "bundle", tmp_path / "dithered", "features.dither=0.01").code == 0
    full, small = load_bundle(speech_run / "bundle"), load_bundle(tmp_path / "dithered")
    assert small.config == replace(full.config, features=replace(full.config.features, dither=0.01))
    refused = {
        "features.dither=2": "must lie in [0, 1]",
        "features.dithr=0.1": "did you mean",
        "features.num_mel_bins=41": "the weights were trained with other features",
        "dither=0.1": "expected features.KEY=VALUE",
    }
    for override, words in refused.items():
        outcome = cli("convert", speech_run / "bundle", tmp_path / "none", override)
        assert outcome.code == 2 and words in outcome.err[0] and len(outcome.err) == 1
    assert not (tmp_path / "none").exists()
    assert cli("convert", line_run / "bundle", tmp_path / "cleaned", "features.contrast=background", "features.deskew=true").code == 0
    features = load_bundle(tmp_path / "cleaned").config.features
    assert (features.contrast, features.deskew) == ("background", True)
