"""Harmless changes are harmless: the samples that are read back are those that were written, up to gain and coding; and the table."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recognizer.audio.io import load_audio
from recognizer.errors import BundleError, InputError

SCRIPT = Path(__file__).parents[2] / "scripts" / "harmless_changes.py"
RATE = 16_000


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("harmless_changes", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["harmless_changes"] = module
    spec.loader.exec_module(module)
    return module

MOVED = {"10 ms cut off at the start": -0.01, "30 ms cut off at the start": -0.03, "0.99 s of silence before": 0.99,
         "a second of silence before": 1.0}  # seconds


def test_every_change_keeps_the_sound(script, tmp_path) -> None:
    assert len(script.CHANGES) >= 15
    samples = (0.4 * np.sin(np.arange(RATE) * 0.2) * np.hanning(RATE)).astype(np.float32)
    for number, change in enumerate(script.CHANGES):
        path = tmp_path / f"{number}.{change.format.lower()}"
        script.write_change(path, samples, RATE, change)
        found = load_audio(path, RATE).astype(np.float64)
        found -= found.mean()
        begin = MOVED.get(change.name, 0.0)  # of the sound, in what was written
        first, cut = round(max(begin, 0.0) * RATE), round(max(-begin, 0.0) * RATE)
        found = found[first : first + RATE - cut]
        likeness = abs(np.corrcoef(found, samples[cut : cut + len(found)])[0, 1])
        assert likeness > 0.99, (change.name, likeness)


def test_the_table_counts_texts_and_words(script, tones, speech_run, tmp_path, capsys) -> None:
    card = tmp_path / "card.md"
    card.write_text("# Mine\n")
    arguments = [str(speech_run / "bundle"), str(tones.root), "--count", "3", "--card", str(card)]
    assert script.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "| FLAC | 3 of 3 | 0 of " in printed and "| polarity turned | 3 of 3 |" in printed
    first = card.read_text()
    assert first.startswith("# Mine\n\n<!-- measured by scripts/harmless_changes.py") and printed.strip() in first
    assert script.main(arguments) == 0 and card.read_text() == first


def test_what_cannot_be_measured_is_named(script, line_run, tmp_path, capsys) -> None:
    with pytest.raises(BundleError, match="must stand there once each"):
        script.insert_table(f"{script.END}\n{script.BEGIN}", "x", "card.md")
    with pytest.raises(InputError, match="holds no recordings"):
        script.find_sources([tmp_path], 3)
    assert script.main([str(line_run / "bundle"), str(tmp_path)]) == 2 and "reads no recordings" in capsys.readouterr().err
