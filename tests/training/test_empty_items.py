"""Recordings in which nobody speaks: a run learns to write nothing for them, also from batches that hold nothing else."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recognizer.data.manifest import Item, load_manifest, save_manifest
from recognizer.data_prep.no_speech import KINDS
from recognizer.pipeline import Recognizer
from recognizer.training.run import train

RATE = 8000


@pytest.fixture
def unspoken(tmp_path) -> Path:
    """A manifest of four recordings of each kind."""
    items = []
    for number in range(4 * len(KINDS)):
        kind, generator = list(KINDS)[number % len(KINDS)], np.random.default_rng(number)
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, KINDS[kind](int(generator.integers(3000, 6000)), RATE, generator), RATE)
        items.append(Item(f"unspoken{number}", path, text="", units=(), meta={"empty": True, "kind": kind}))
    save_manifest(items, tmp_path / "unspoken.jsonl")
    return tmp_path / "unspoken.jsonl"


def test_nothing_is_written_where_nothing_is_said(tones, unspoken, tmp_path) -> None:
    train(tones.config(tmp_path / "run", {"corpus.extra": [str(unspoken)], "trainer.epochs": 8}), quiet=True)
    audit = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert (audit["train"]["usable"], audit["train"]["empty"], audit["dev"]["empty"]) == (84, 20, 0)
    spoken, recognizer = tones.items(), Recognizer.load(tmp_path / "run" / "bundle", "cpu", threads=1)
    heard = [transcript.text for transcript in recognizer.transcribe(str(item.source) for item in [*spoken, *load_manifest(unspoken)])]
    assert sum(text == item.text for text, item in zip(heard, spoken, strict=False)) > 0.8 * len(spoken)
    assert heard[len(spoken) :].count("") >= 18


def test_a_batch_of_nothing_else_is_a_step_like_others(tones, unspoken, tmp_path) -> None:
    changes = {"corpus.extra": [str(unspoken)], "trainer.batch_items": 1, "trainer.epochs": 1}
    train(tones.config(tmp_path / "run", changes), quiet=True)
    (record,) = (json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines())
    assert record["step"] == 84 and math.isfinite(record["loss"])
