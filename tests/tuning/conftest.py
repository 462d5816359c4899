"""A bundle of the glyphs to tune, a model for its decoder, and pictures that are hard to read."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recognizer.data.manifest import load_manifest, save_manifest
from recognizer.lm.binary import save_ngram
from recognizer.lm.kneser_ney import estimate_ngram


@pytest.fixture(scope="module")
def model(glyphs, tmp_path_factory) -> Path:
    """A character model of the training transcripts."""
    path = tmp_path_factory.mktemp("lm") / "letters.ngram"
    save_ngram(estimate_ngram([item.text for item in load_manifest(glyphs.root / "train.jsonl")], order=3, level="characters"), path)
    return path


@pytest.fixture
def bundle(line_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(line_run / "bundle", tmp_path / "bundle")


@pytest.fixture
def noisy(glyphs, tmp_path: Path) -> Path:
    """A manifest of development pictures that are hard to read."""
    generator = np.random.default_rng(5)
    items = []
    for item in glyphs.items():
        gray = np.asarray(Image.open(item.source).convert("L")).astype(float)
        worn = np.clip(255 - (255 - gray) * (generator.random(gray.shape) < 0.7) - 70 * generator.random(gray.shape), 0, 255)
        path = tmp_path / f"{item.id}.png"
        Image.fromarray(worn.astype(np.uint8)).save(path)
        items.append(replace(item, source=path))
    save_manifest(items, tmp_path / "noisy.jsonl")
    return tmp_path / "noisy.jsonl"
