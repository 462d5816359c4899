"""`recognizer adapt`: what it prints and logs, and what it refuses."""

from __future__ import annotations

import json

import pytest

from recognizer.training import adapt_recipe


@pytest.fixture(autouse=True)
def short_training(monkeypatch) -> None:
    monkeypatch.setattr(adapt_recipe, "STEPS", 8)
    monkeypatch.setattr(adapt_recipe, "EPOCHS", (1, 1))


def test_the_log_has_progress_and_the_result(cli, line_run, glyphs, tmp_path) -> None:
    outcome = cli("adapt", line_run / "bundle", glyphs.root / "dev.jsonl", "-o", tmp_path / "new", "--json-log", "--folds", "1", "--minutes", "5")
    records = [json.loads(line) for line in outcome.err]
    assert outcome.code == 0 and {record["event"] for record in records} == {"progress", "result"}
    assert all(set(record) == {"event", "stage", "fraction", "seconds_left"} for record in records[:-1])
    result = records[-1]
    assert result["event"] == "result" and result["bundle"] == str(tmp_path / "new") and result["metric"] == "CER"
    assert result["items"] == 24 and result["held_back"] == 8 and result["gained"] is False and len(result["interval"]) == 2
    assert {"before", "after", "minutes"} <= set(result)
    assert outcome.out[-2:] == ["nothing gained beyond chance: old weights kept", str(tmp_path / "new")]
    assert " % on 8 items that were not learnt (95 % interval of the difference " in outcome.out[0]


def test_what_cannot_be_is_one_line(cli, line_run, tones, tmp_path) -> None:
    outcome = cli("adapt", line_run / "bundle", tones.root / "dev.jsonl", "-o", tmp_path / "new", "-q")
    assert outcome.code == 2 and outcome.err == [
        f"recognizer: {tones.root / 'dev.jsonl'}: holds recordings, but this model reads pictures of lines; name a model for recordings"
    ]
    assert cli("adapt", line_run / "bundle", tones.root / "gone.jsonl", "-o", tmp_path / "new").code == 2
    assert cli("adapt", line_run / "bundle", tones.root / "dev.jsonl", "-o", tmp_path / "new", "--minutes", "0").code == 2
    assert not (tmp_path / "new").exists()
