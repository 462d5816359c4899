"""Saved results: what `recognizer evaluate -o` writes comes back, and damage is named."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from recognizer.errors import InputError, ManifestError
from recognizer.evaluation.saved import load_result
from recognizer.evaluation.score import Scored

ITEMS = [Scored("a\u2028b", "été", "ete", "g", {"age": 4}), Scored("2", "", "", None)]


@pytest.fixture
def folder(tmp_path):
    record = {"level": "characters", "bundle": "b", "decoder": {"kind": "beam"}, "protocol": {"name": "van"}}
    (tmp_path / "scores.json").write_text(json.dumps(record))
    (tmp_path / "hypotheses.jsonl").write_text("".join(json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in ITEMS), encoding="utf-8")
    return tmp_path


def test_results_come_back(folder):
    result = load_result(folder)
    assert list(result.items) == ITEMS and (result.level, result.protocol, result.bundle) == ("characters", "van", "b")
    assert result.name == str(folder) and result.decoder is None


def test_results_of_the_command_come_back(cli, line_run, glyphs, tmp_path):
    assert cli("evaluate", line_run / "bundle", glyphs.root / "dev.jsonl", "-o", tmp_path / "out", "-q").code == 0
    result = load_result(tmp_path / "out")
    assert [(item.id, item.reference, item.group) for item in result.items] == [(i.id, i.text, i.group) for i in glyphs.items()]
    assert result.bundle == str(line_run / "bundle") and result.protocol is None


@pytest.mark.parametrize(("name", "text", "words"), [
    ("scores.json", "{", "scores.json: not JSON"),
    ("scores.json", "[]", "scores.json: expected a JSON object"),
    ("scores.json", "{}", "'level' must be"),
    ("hypotheses.jsonl", "", "hypotheses.jsonl: has no items"),
    ("hypotheses.jsonl", '{"id": "1", "reference": "", "hypothesis": ""}\n' * 2, "hypotheses.jsonl:2: the id '1' occurs twice"),
    ("hypotheses.jsonl", '\n{"id": 1}', "hypotheses.jsonl:2: the key 'id' must be a string"),
    ("hypotheses.jsonl", '{"id": "1", "reference": "", "hypothesis": "", "group": 3}', "jsonl:1: 'group' must be a string"),
])  # fmt: skip
def test_damage_is_named(folder, name, text, words):
    (folder / name).write_text(text)
    with pytest.raises(ManifestError, match=words):
        load_result(folder)


def test_missing_and_foreign_files_are_named(folder):
    (folder / "hypotheses.jsonl").write_bytes(b"\xff")
    with pytest.raises(ManifestError, match=r"hypotheses\.jsonl: not UTF-8"):
        load_result(folder)
    (folder / "hypotheses.jsonl").unlink()
    with pytest.raises(InputError, match=r"hypotheses\.jsonl: no such file; write it with `recognizer evaluate BUNDLE MANIFEST -o "):
        load_result(folder)
    with pytest.raises(InputError, match=r"scores\.json: no such file"):
        load_result(folder / "nowhere")
