"""`recognizer evaluate`: the scores are those of the transcripts, and what could not be scored is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import editdistance
import pytest

from recognizer.data.manifest import Item, save_manifest
from recognizer.errors import ManifestError
from recognizer.pipeline import Recognizer
from recognizer.scoring import evaluate


@pytest.fixture(scope="module")
def recognizer(line_run: Path) -> Recognizer:
    return Recognizer.load(line_run / "bundle", "cpu", threads=1)


@pytest.fixture
def items(glyphs) -> list[Item]:
    """Every third transcript says something else, so that there are errors to count."""
    return [replace(item, text=item.text[::-1] + "q") if n % 3 == 0 else item for n, item in enumerate(glyphs.items())]


def test_the_rate_is_that_of_the_transcripts(recognizer, items) -> None:
    outcome = evaluate(recognizer, items)
    report, scored, failures = outcome.report, outcome.scored, outcome.failures
    assert failures == [] and [s.id for s in scored] == [item.id for item in items]
    texts = [t.text for t in recognizer.transcribe(item.source for item in items)]
    assert [s.hypothesis for s in scored] == texts and [s.reference for s in scored] == [item.text for item in items]
    errors = sum(editdistance.eval(item.text, text) for item, text in zip(items, texts, strict=True))
    assert report.rates["CER"].counts.errors == errors > 8
    assert report.rates["CER"].rate == pytest.approx(errors / sum(len(item.text) for item in items))
    assert {group.group for group in report.groups} == {"g0", "g1", "g2", "g3"}


def test_references_are_cleaned_as_in_training(recognizer, items) -> None:
    (first, _), (second, _) = ((e.scored[0], e.report) for e in (evaluate(recognizer, [replace(items[1], text=t)]) for t in ("  ab\n c ", "ab c")))
    assert first.reference == second.reference == "ab c"


def test_what_cannot_be_scored_is_named(recognizer, items, tmp_path) -> None:
    gone, mute = Item("gone", tmp_path / "gone.png", text="a"), replace(items[3], id="mute", text=None)
    outcome = evaluate(recognizer, [gone, *items[:3], mute])
    report, scored, failures = outcome.report, outcome.scored, outcome.failures
    assert report.items == len(scored) == 3
    assert failures == ["mute: has no transcript 'characters'", f"gone: {tmp_path / 'gone.png'}: no such file"]
    with pytest.raises(ManifestError, match="no item could be scored; the first reason: mute: has no transcript"):
        evaluate(recognizer, [mute])


def test_the_command_prints_a_summary(cli, line_run, glyphs) -> None:
    outcome = cli("evaluate", line_run / "bundle", glyphs.root / "dev.jsonl")
    assert outcome.code == 0 and outcome.out[0].startswith("CER ") and any(line.startswith("WER ") for line in outcome.out)
    assert outcome.err[-1].startswith("24 items in ")


def test_the_command_prints_and_writes_json(cli, line_run, items, tmp_path) -> None:
    save_manifest([*items, Item("gone", tmp_path / "gone.png", text="a")], tmp_path / "dev.jsonl")
    outcome = cli("evaluate", line_run / "bundle", tmp_path / "dev.jsonl", "--json", "-o", tmp_path / "out", "-q")
    assert outcome.code == 1
    assert outcome.err == [f"recognizer: gone: {tmp_path / 'gone.png'}: no such file"]
    record = json.loads("\n".join(outcome.out))
    assert record == json.loads((tmp_path / "out" / "scores.json").read_text())
    assert record["bundle"] == str(line_run / "bundle") and record["decoder"] == "greedy" and len(record["failed"]) == 1
    hypotheses = [json.loads(line) for line in (tmp_path / "out" / "hypotheses.jsonl").read_text().splitlines()]
    assert [h["id"] for h in hypotheses] == [item.id for item in items]
    cer = record["rates"]["CER"]
    assert cer["errors"] == sum(editdistance.eval(h["reference"], h["hypothesis"]) for h in hypotheses)
    assert cer["reference"] == sum(len(h["reference"]) for h in hypotheses) and cer["low"] <= cer["rate"] <= cer["high"]
    assert (tmp_path / "out" / "summary.txt").read_text().startswith(f"CER {100 * cer['rate']:.1f} %")


@pytest.mark.parametrize(
    ("manifest", "words"),
    [("", "the manifest is empty"), ("{}\n", ":1: the key 'id' must be a non-empty string"),
        ('{"id": "a", "source": "b", "txt": ""}\n', "did you mean")],
)  # fmt: skip
def test_manifests_that_cannot_be_scored(cli, line_run, tmp_path, manifest: str, words: str) -> None:
    (tmp_path / "m.jsonl").write_text(manifest)
    outcome = cli("evaluate", line_run / "bundle", tmp_path / "m.jsonl")
    assert outcome.code == 2 and outcome.out == [] and len(outcome.err) == 1
    assert outcome.err[0].startswith(f"recognizer: {tmp_path / 'm.jsonl'}") and words in outcome.err[0]


def test_results_that_cannot_be_written_are_one_line(cli, line_run, glyphs, tmp_path) -> None:
    (tmp_path / "file").touch()
    outcome = cli("evaluate", line_run / "bundle", glyphs.root / "dev.jsonl", "-o", tmp_path / "file", "-q")
    assert outcome.code == 2 and len(outcome.err) == 1 and outcome.err[0] == f"recognizer: {tmp_path / 'file'}: File exists"
