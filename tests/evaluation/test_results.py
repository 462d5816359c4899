"""Results in a folder: they come back as they were saved, damage is named, and sclite counts the same."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from recognizer.errors import InputError, ManifestError
from recognizer.evaluation.edits import Counts, align
from recognizer.evaluation.evaluate import Evaluation
from recognizer.evaluation.metrics import ScoredItem, score
from recognizer.evaluation.protocols import find_protocol
from recognizer.evaluation.results import load_results, save_results, to_trn
from recognizer.types import Alternative, Transcript

ITEMS = [ScoredItem("a\u2028b", "\u00e9t\u00e9", "ete", "g", {"age": 4}), ScoredItem("2", "", "", None)]
EVALUATION = Evaluation(
    score(ITEMS, "characters"), ITEMS, [Transcript("a", "ete", score=-1.23456, alternatives=(Alternative("et", -2.0),)), Transcript("b")], []
)
RECORD = {"level": "characters", "protocol": {"name": "van"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_results(tmp_path, RECORD, EVALUATION)
    return tmp_path


def test_results_come_back(folder) -> None:
    results = load_results(folder)
    assert (list(results.items), results.level, results.protocol, results.name) == (ITEMS, "characters", "van", str(folder))
    assert sorted(path.name for path in folder.iterdir()) == ["hyp.trn", "hypotheses.jsonl", "ref.trn", "scores.json", "summary.txt"]
    first = json.loads((folder / "hypotheses.jsonl").read_text(encoding="utf-8").partition("\n")[0])
    parts = {"score": -1.2346, "acoustic": 0.0, "language": 0.0, "bonus": 0.0, "alternatives": [{"text": "et", "score": -2.0}]}
    assert first == {**asdict(ITEMS[0]), **parts}
    assert (folder / "summary.txt").read_text().startswith("CER 66.7 %")


def test_what_cannot_be_written_leaves_the_old_files(folder, full_disk) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with full_disk(100), pytest.raises(InputError, match=r"cannot be written: File too large"):
        save_results(folder, {"level": "units"}, EVALUATION)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    with pytest.raises(InputError, match=r"cannot be written: No such file or directory"):
        save_results(folder / "nowhere", RECORD, EVALUATION)


def test_a_folder_that_was_being_replaced_is_refused(folder, monkeypatch) -> None:
    """Killed with some files new and some old, at any of the renames."""
    replace, done = Path.replace, []

    def die(self: Path, target: Path) -> Path:
        if len(done) == limit:
            raise KeyboardInterrupt
        done.append(target.name)
        return replace(self, target)

    for limit in range(5):
        save_results(folder, RECORD, EVALUATION)
        done.clear()
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, "replace", die)
            save_results(folder, {"level": "units"}, EVALUATION)
        assert done == ["scores.json", "summary.txt", "hyp.trn", "ref.trn"][:limit]
        with pytest.raises(InputError, match=r"\.jsonl?: no such file; write it with `recognizer evaluate MODEL MANIFEST -o .*`, again if"):
            load_results(folder)


@pytest.mark.parametrize(("name", "text", "words"), [
    ("scores.json", "{", "scores.json: not JSON"),
    ("scores.json", "[]", "scores.json: expected a JSON object"),
    ("scores.json", "{}", "'level' must be"),
    ("hypotheses.jsonl", "", "hypotheses.jsonl: has no items"),
    ("hypotheses.jsonl", '{"id": "1", "reference": "", "hypothesis": ""}\n' * 2, "hypotheses.jsonl:2: the id '1' occurs twice"),
    ("hypotheses.jsonl", '\n{"id": 1}', "hypotheses.jsonl:2: the key 'id' must be a string"),
    ("hypotheses.jsonl", '{"id": "1", "reference": "", "hypothesis": "", "group": 3}', "jsonl:1: 'group' must be a string"),
    ("hypotheses.jsonl", "\udcff", r"hypotheses\.jsonl: not UTF-8"),
])  # fmt: skip
def test_damage_is_named(folder, name, text, words) -> None:
    (folder / name).write_text(text, errors="surrogateescape")
    with pytest.raises(ManifestError, match=words):
        load_results(folder)


def test_missing_files_are_named(folder) -> None:
    with pytest.raises(InputError, match=r"scores\.json: no such file"):
        load_results(folder / "nowhere")
    (folder / "hypotheses.jsonl").unlink()
    with pytest.raises(InputError, match=r"hypotheses\.jsonl: no such file; write it with `recognizer evaluate MODEL MANIFEST -o "):
        load_results(folder)


def test_trn_files_of_words() -> None:
    items = [ScoredItem("a01-000u-00", "say (no)", "say no", "000"), ScoredItem("2", "50% a/b", "", None)]
    assert to_trn(items, "characters") == (
        "say %28no%29 (000-a01+000u+00)\n50%25 a%2Fb (unknown-2)\n",
        "say no (000-a01+000u+00)\n(unknown-2)\n",
    )


def test_tokens_of_trn_files_are_those_of_the_protocol() -> None:
    items = [ScoredItem("s_1", "h# q tcl t", "tcl t", "fadg0")]
    assert to_trn(items, "units", find_protocol("strict")) == ("sil sil t (fadg0-s+1)\n", "sil t (fadg0-s+1)\n")
    assert to_trn(items, "units", find_protocol("optional_silence")) == ("(sil) (sil) t (fadg0-s+1)\n", "sil t (fadg0-s+1)\n")
    assert to_trn(items, "units")[0] == "h# q tcl t (fadg0-s+1)\n"
    assert to_trn([ScoredItem("1", "(a)", "a")], "characters", find_protocol("kaldi"))[0] == "%28 a %29 (unknown-1)\n"


def test_spelling_keeps_the_errors() -> None:
    reference, hypothesis = "a ( b ) %28 / {c} ;; d", "a b ) ( %2F {c ; d"
    lines = to_trn([ScoredItem("1", reference, hypothesis)], "characters")
    spelled = [line.rsplit(" ", 1)[0].split() for line in lines]
    assert not any(re.search(r"[(){}/;]", token) for tokens in spelled for token in tokens)
    assert Counts.of(align(*spelled)) == Counts.of(align(reference.split(), hypothesis.split()))


def test_ids_that_sclite_would_confuse() -> None:
    with pytest.raises(InputError, match="a_1: sclite could not tell it from a-1"):
        to_trn([ScoredItem("a-1", "x", "x", "g"), ScoredItem("a_1", "x", "x", "g")], "characters")
    with pytest.raises(InputError, match="sclite could not tell"):  # it folds the case of ids
        to_trn([ScoredItem("A", "x", "x", "g"), ScoredItem("a", "x", "x", "g")], "characters")
    assert to_trn([ScoredItem("a", "x", "x", "g"), ScoredItem("a", "x", "x", "h")], "characters")[0] == "x (g-a)\nx (h-a)\n"


@pytest.mark.parametrize(("name", "counted"), [  # what sclite 2.4.10 printed for these files, with -D where silence is optional
    ("strict", Counts(matches=16, substitutions=2, deletions=3, insertions=1)),
    ("optional_silence", Counts(matches=19, substitutions=2, deletions=0, insertions=1)),
])
def test_sclite_counts_the_same(name, counted) -> None:
    pairs = [("h# dh ax q kcl k ae tcl t pau s ae tcl h#", "h# dh ah k ae t s ae t h#"), ("h# ao n pau ix tcl t h#", "h# aa n epi n ih t t h#")]
    items = [ScoredItem(str(n), *pair, "s") for n, pair in enumerate(pairs)]
    protocol = find_protocol(name)
    assert sum((Counts.of(protocol.align(item.reference, item.hypothesis)) for item in items), Counts()) == counted
    files = (
        "sil dh ah sil k ae sil t sil s ae sil sil (s-0)\nsil aa n sil ih sil t sil (s-1)\n",
        "sil dh ah k ae t s ae t sil (s-0)\nsil aa n sil n ih t t sil (s-1)\n",
    )
    assert to_trn(items, "units", protocol) == (files[0].replace("sil", "(sil)") if protocol.optional else files[0], files[1])
