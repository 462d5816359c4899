"""The list of models, and what is read of their cards."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from recognizer.bundle.catalog import CardFacts, hidden_models, list_models, read_card_facts
from recognizer.bundle.io import load_bundle
from recognizer.bundle.registry import shipped_bundles

CARD = """# mine

* Language: Breton (br).
* Reads: letters of the 19th century; in ink.

| trained on | items |
|---|---|
| letters | 12 |

## Measured

| set | decoder | items | CER | WER | without error |
| --- | --- | --- | --- | --- | --- |
| mine/test.jsonl | greedy | 50 | 9.0 % [8.0, 10.0] | 30.0 % [28.0, 31.0] | 2.6 % [0.8, 4.6] |
| mine/test.jsonl | beam 8 | 50 | 7.0 % [6.0, 8.0] | 20.0 % [18.0, 21.0] | 9.0 % [6.0, 12.2] |
| other/test.jsonl | beam 8 | 60 | 1.0 % [0.0, 2.0] | 2.0 % [1.0, 3.0] | 9.0 % [6.0, 12.2] |
"""


def test_a_card_says_what_it_is_for() -> None:
    errors = {"CER": "7.0 % [6.0, 8.0]", "WER": "20.0 % [18.0, 21.0]"}
    assert read_card_facts(CARD) == CardFacts("letters of the 19th century", "br", errors, "mine/test.jsonl")
    assert read_card_facts("* Language: Breton.\n* Task: speech to units.\n") == CardFacts("speech to units", "Breton")
    assert read_card_facts("") == CardFacts() == read_card_facts("# A card\n\n| set | decoder | items |\n| --- |\n")


def test_the_card_that_training_writes_has_its_validation_error(line_run: Path) -> None:
    facts = read_card_facts(load_bundle(line_run / "bundle").card())
    assert facts.reads == "handwriting to characters" and list(facts.errors) == ["CER in training"]
    assert 0 <= float(facts.errors["CER in training"].removesuffix(" %")) < 20


def test_what_ships_is_listed_with_its_figures() -> None:
    entries = {entry.name: entry for entry in list_models()}
    assert list(entries) == sorted(shipped_bundles()) and all(entry.ships for entry in entries.values())
    assert {name: (entry.kind, entry.card.language) for name, entry in entries.items()} == {
        "handwriting-fr": ("line", "fr"), "handwriting-fr-fast": ("line", "fr"), "phones-en": ("audio", "en"), "speech-en": ("audio", "en"),
        "speech-en-streaming": ("audio", "en"),
    }  # fmt: skip
    for entry in entries.values():
        assert entry.card.reads and any("[" in rate for rate in entry.card.errors.values()) and entry.size > 10**6


def test_what_lies_in_the_users_folders_is_listed(tmp_path: Path, line_run: Path, trace_run: Path, monkeypatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(line_run / "bundle", first / "mine")
    shutil.copytree(trace_run / "bundle", first / "speech-en")
    shutil.copytree(line_run / "bundle", second / "mine")
    (first / "mine" / "card.md").write_text(CARD)
    (first / "mine" / "config.yaml").write_text("features: 3")
    monkeypatch.setenv("RECOGNIZER_MODELS", os.pathsep.join(map(str, (first, second))))
    (entry,) = (entry for entry in list_models() if not entry.ships)
    assert (entry.name, entry.folder, entry.kind, entry.card.language) == ("mine", first / "mine", "", "br")
    assert sorted(hidden_models().values()) == [first / "speech-en", second / "mine"]


@pytest.mark.parametrize(("run", "kind"), [("speech_run", "audio"), ("line_run", "line"), ("trace_run", "strokes")])
def test_the_kind_of_input_is_told(request, tmp_path: Path, run: str, kind: str, monkeypatch) -> None:
    shutil.copytree(request.getfixturevalue(run) / "bundle", tmp_path / "mine")
    monkeypatch.setenv("RECOGNIZER_MODELS", str(tmp_path))
    assert list_models()[-1].kind == kind and list_models()[-1].to_json()["kind"] == kind
