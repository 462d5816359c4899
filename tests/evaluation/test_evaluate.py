"""Evaluation: the scores are those of the transcripts, and what could not be scored is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import editdistance
import pytest

from recognizer.data.manifest import Item
from recognizer.errors import ManifestError
from recognizer.evaluation.evaluate import evaluate
from recognizer.inference.recognizer import Recognizer


@pytest.fixture(scope="module")
def recognizer(line_run: Path) -> Recognizer:
    return Recognizer.load(line_run / "bundle", "cpu", threads=1)


@pytest.fixture
def items(glyphs) -> list[Item]:
    """Every third transcript says something else, so that there are errors to count."""
    return [replace(item, text=item.text[::-1] + "q") if n % 3 == 0 else item for n, item in enumerate(glyphs.items())]


def test_the_rate_is_that_of_the_transcripts(recognizer, items) -> None:
    outcome = evaluate(recognizer, items)
    scores, scored, failures = outcome.scores, outcome.items, outcome.failures
    assert failures == [] and [s.id for s in scored] == [item.id for item in items]
    texts = [t.text for t in recognizer.transcribe(item.source for item in items)]
    assert [s.hypothesis for s in scored] == texts and [s.reference for s in scored] == [item.text for item in items]
    errors = sum(editdistance.eval(item.text, text) for item, text in zip(items, texts, strict=True))
    assert scores.rates["CER"].counts.errors == errors > 8
    assert scores.rates["CER"].rate == pytest.approx(errors / sum(len(item.text) for item in items))
    assert {group.group for group in scores.groups} == {"g0", "g1", "g2", "g3"}


def test_references_are_cleaned_as_in_training(recognizer, items) -> None:
    (scored,) = evaluate(recognizer, [replace(items[1], text="  ab\n c ")]).items
    assert scored.reference == "ab c"


def test_what_cannot_be_scored_is_named(recognizer, items, tmp_path) -> None:
    gone, mute = Item("gone", tmp_path / "gone.png", text="a"), replace(items[3], id="mute", text=None)
    outcome = evaluate(recognizer, [gone, *items[:3], mute])
    assert outcome.scores.items == len(outcome.items) == 3
    assert outcome.failures == ["mute: has no transcript 'characters'", f"gone: {tmp_path / 'gone.png'}: no such file"]
    with pytest.raises(ManifestError, match="no item could be scored; the first reason: mute: has no transcript"):
        evaluate(recognizer, [mute])
