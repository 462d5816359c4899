"""`recognizer align`: tokens and words of known texts where they were said, and what cannot be aligned is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recognizer.data.manifest import Item, save_manifest
from recognizer.inference.align import align
from recognizer.inference.recognizer import Recognizer


@pytest.fixture(scope="module")
def listener(speech_run: Path) -> Recognizer:
    return Recognizer.load(speech_run / "bundle", "cpu", threads=1)


@pytest.fixture(scope="module")
def reader(line_run: Path) -> Recognizer:
    return Recognizer.load(line_run / "bundle", "cpu", threads=1)


@pytest.fixture
def placed(speak, tmp_path: Path) -> tuple[Item, list[float]]:
    """A recording of letters with silence between them, and when each begins."""
    generator, samples, begins, length = np.random.default_rng(7), [], [], 0
    for letter in "badcab":
        begins.append(length / 8000)
        samples += [speak(letter, generator), 0.003 * generator.standard_normal(int(generator.integers(800, 4000)))]
        length += sum(map(len, samples[-2:]))
    soundfile.write(tmp_path / "placed.wav", np.concatenate(samples), 8000)
    return Item("placed", tmp_path / "placed.wav", text="badcab"), begins


def test_letters_lie_where_they_were_said(listener, placed) -> None:
    item, begins = placed
    (aligned,) = align(listener, [item])
    tokens = aligned.transcript.tokens
    assert [token.symbol for token in tokens] == list("badcab") and aligned.transcript.error is None
    for token, begin in zip(tokens, begins, strict=True):  # a letter sounds from 25 ms on, for about 90 ms
        assert begin - 0.05 < token.start < token.end < begin + 0.2
        assert 0.2 < token.confidence <= 1.0
    (word,) = aligned.transcript.words
    assert word.text == "badcab" and word.start <= tokens[0].start and word.end >= tokens[-1].end
    assert word.confidence == min(token.confidence for token in tokens)


def test_glyphs_lie_where_they_were_drawn(reader, glyphs) -> None:
    for aligned, item in zip(align(reader, glyphs.items()), glyphs.items(), strict=True):
        for place, token in enumerate(aligned.transcript.tokens):
            assert 6 + 12 * place - 8 < (token.start + token.end) / 2 < 6 + 12 * place + 16, (item.text, token)


def test_the_recognised_text_aligns_with_its_own_score(listener, tones) -> None:
    items = tones.items()
    transcripts = list(listener.transcribe(item.source for item in items))
    read = [replace(item, text=transcript.text) for item, transcript in zip(items, transcripts, strict=True)]
    for aligned, item, transcript in zip(align(listener, read), items, transcripts, strict=True):
        assert (aligned.id, aligned.transcript.source, aligned.transcript.text) == (item.id, str(item.source), transcript.text)
        assert aligned.transcript.score == pytest.approx(transcript.score, abs=1e-4)
        assert aligned.transcript.seconds == transcript.seconds and aligned.transcript.tokens[-1].end <= transcript.seconds


def bad_items(items: list[Item], folder: Path) -> list[Item]:
    return [
        items[0], replace(items[1], id="strange", text="abxy"), replace(items[2], id="long", text="abcd" * 200),
        replace(items[3], id="mute", text=None), Item("gone", folder / "gone.wav", text="a"), items[4],
    ]  # fmt: skip


def test_what_cannot_be_aligned_is_named_and_costs_itself(listener, tones, tmp_path) -> None:
    found = list(align(listener, bad_items(tones.items(), tmp_path)))
    assert [aligned.id for aligned in found] == [tones.items()[0].id, "strange", "long", "mute", "gone", tones.items()[4].id]
    errors = [aligned.transcript.error for aligned in found]
    assert errors[0] is None and errors[-1] is None
    assert errors[1] == "not in the alphabet: 'x', 'y'" and errors[3] == "has no transcript 'characters'"
    assert errors[2].startswith("800 labels need at least 800 frames; there are ") and errors[4] == f"{tmp_path / 'gone.wav'}: no such file"


def test_the_command_prints_json_lines(cli, speech_run, tones, tmp_path) -> None:
    save_manifest(bad_items(tones.items(), tmp_path), tmp_path / "m.jsonl")
    outcome = cli("align", speech_run / "bundle", tmp_path / "m.jsonl", "-q", "--device", "cpu")
    assert outcome.code == 1
    assert [line.split(": ")[1] for line in outcome.err] == ["strange", "long", "mute", "gone"]
    records = [json.loads(line) for line in outcome.out]
    assert [record["id"] for record in records] == [tones.items()[0].id, tones.items()[4].id]
    for record in records:
        assert {"id", "source", "score", "tokens", "words"} <= set(record)
        assert [token["symbol"] for token in record["tokens"]] == list(record["text"])


def test_files_go_by_the_id(cli, speech_run, tones, tmp_path) -> None:
    items = tones.items()
    named = [replace(items[0], id="x/1"), replace(items[1], id="y"), replace(items[2], id="x_1")]
    save_manifest(named, tmp_path / "m.jsonl")
    outcome = cli("align", speech_run / "bundle", tmp_path / "m.jsonl", "-q", "-f", "jsonl,ctm,textgrid,srt", "-o", tmp_path / "out")
    assert outcome.code == 1 and outcome.out == []
    assert outcome.err == ["recognizer: x_1: its files would have the names of those of x/1; rename one of the two"]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == sorted(f"{name}{suffix}" for name in ("x_1", "y") for suffix in (".jsonl", ".ctm", ".TextGrid", ".srt"))
    assert (tmp_path / "out" / "x_1.ctm").read_text().startswith("x_1 1 ")


def test_formats_are_checked_before_work_begins(cli, line_run, glyphs, tmp_path) -> None:
    outcome = cli("align", line_run / "bundle", glyphs.root / "dev.jsonl", "-f", "srt", "-o", tmp_path / "out")
    assert outcome.code == 2 and len(outcome.err) == 1 and "srt is for recordings, the recognizer reads line images" in outcome.err[0]
    assert not (tmp_path / "out").exists()
