"""Right-to-left lines: learnt in the order of the frames, written out in the order of reading, with places that belong to them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from recognizer.bundle.io import load_bundle
from recognizer.config import AudioFeatures, DecoderConfig, LineFeatures, StrokeFeatures, TextConfig
from recognizer.data.manifest import Item, save_manifest, target, target_in_frames
from recognizer.decoding.timing import FrameTimes
from recognizer.evaluation.evaluate import evaluate
from recognizer.inference.align import align
from recognizer.inference.reading_order import order_tokens
from recognizer.inference.recognizer import Recognizer
from recognizer.training.run import LOG, train
from recognizer.types import Token, Word

HEBREW = str.maketrans("abcd", "אבגד")


@pytest.fixture(scope="module")
def hebrew(glyphs, tmp_path_factory):
    """The glyphs as Hebrew letters: the picture of ``abcd`` reads ``דגבא``."""
    root = tmp_path_factory.mktemp("hebrew")
    for name in ("train", "dev"):
        items = [replace(item, text=item.text.translate(HEBREW)[::-1], units=None) for item in glyphs.items(name)]
        save_manifest(items, root / f"{name}.jsonl")
    return replace(glyphs, root=root)


@pytest.fixture(scope="module")
def hebrew_run(hebrew, tmp_path_factory) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "hebrew"
    train(hebrew.config(run_dir), quiet=True)
    return run_dir


def log_of(run_dir: Path) -> list[tuple[float, float]]:
    records = map(json.loads, (run_dir / LOG).read_text().splitlines())
    return [(record["loss"], record["error"]) for record in records]


def test_hebrew_is_learnt_as_well_as_latin(hebrew_run, line_run) -> None:
    assert log_of(hebrew_run) == log_of(line_run)
    assert load_bundle(hebrew_run / "bundle").alphabet.symbols == ("א", "ב", "ג", "ד")


def test_what_is_written_is_in_reading_order(hebrew_run, hebrew) -> None:
    recognizer = Recognizer.load(hebrew_run / "bundle", "cpu", threads=1)
    items = hebrew.items()
    found = evaluate(recognizer, items, times=True)
    assert found.scores.rates["CER"].rate < 0.1
    right = [(item, t) for item, t in zip(items, found.transcripts, strict=True) if t.text == item.text]
    assert len(right) > 0.8 * len(items)
    for item, transcript in right:
        assert transcript.units == tuple(item.text) == tuple(token.symbol for token in transcript.tokens)
        starts = [token.start for token in transcript.tokens]
        assert starts == sorted(starts, reverse=True)  # the first letter read is the last on the line
        assert [word.text for word in transcript.words] == [item.text]
    aligned = [a.transcript for a in align(recognizer, items)]
    for item, transcript in zip(items, aligned, strict=True):
        assert transcript.text == item.text == "".join(token.symbol for token in transcript.tokens)
        starts = [token.start for token in transcript.tokens]
        assert starts == sorted(starts, reverse=True)


def test_sound_keeps_the_order_of_speech() -> None:
    item, text = Item("a", Path("a"), text="שלום (12)"), TextConfig()
    assert target(item, text) == target_in_frames(item, text, AudioFeatures()) == "שלום (12)"
    assert target_in_frames(item, text, LineFeatures()) == target_in_frames(item, text, StrokeFeatures()) == "(12) םולש"
    assert target_in_frames(replace(item, units=("ש", "ל")), TextConfig("units"), LineFeatures()) == ("ש", "ל")


def test_words_take_their_places_and_confidences_along() -> None:
    visual = "abc 12 (בא)"
    tokens = tuple(Token(symbol, 10.0 * n, 10.0 * n + 8, n / 100) for n, symbol in enumerate(visual))
    words = (Word("abc", 0, 28, 0.1), Word("12", 40, 58, 0.2), Word("(בא)", 70, 108, 0.3))
    read_tokens, read = order_tokens(tokens, words, [(0, 3), (4, 6), (7, 11)], FrameTimes(1.0, 0.0))
    assert "".join(token.symbol for token in read_tokens) == "(אב) abc 12"
    assert [(token.start, token.confidence) for token in read_tokens[:4]] == [(100, 0.1), (90, 0.09), (80, 0.08), (70, 0.07)]
    assert read == (Word("(אב)", 70, 108, 0.3), Word("abc", 0, 28, 0.1), Word("12", 40, 58, 0.2))


def test_a_word_in_two_places_reaches_over_both() -> None:
    tokens = tuple(Token(symbol, float(n), n + 1.0) for n, symbol in enumerate("abc defגבא"))  # read: אבגabc def
    words = (Word("abc", 0, 3, 0.9), Word("defגבא", 4, 10, 0.4))
    _, read = order_tokens(tokens, words, [(0, 3), (4, 10)], FrameTimes(1.0, 0.0))
    assert read == (Word("אבגabc", 0, 10, 0.4), Word("def", 4, 7, 0.4))


def test_the_words_of_a_lexicon_are_looked_for_as_they_stand_on_the_line(hebrew_run, hebrew, tmp_path) -> None:
    texts = {item.text for item in hebrew.items()}
    assert any(text[::-1] not in texts for text in texts)
    spelt = [f"{text} {' '.join(text)}" if number % 2 else text for number, text in enumerate(sorted(texts))]
    (tmp_path / "words.txt").write_text("\n".join(spelt) + "\n", encoding="utf-8")
    bundle = load_bundle(hebrew_run / "bundle")
    closed = DecoderConfig(kind="beam", beam_size=20, lexicon=str(tmp_path / "words.txt"), vocabulary="closed")
    recognizer = Recognizer(bundle, "cpu", decoder=closed, threads=1)
    found = evaluate(recognizer, hebrew.items())
    assert {transcript.text for transcript in found.transcripts} <= texts
    assert found.scores.rates["CER"].rate <= evaluate(Recognizer(bundle, "cpu", threads=1), hebrew.items()).scores.rates["CER"].rate
