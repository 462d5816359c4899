"""Reports: hand-worked rates, groups, confusions, JSON and text."""

from __future__ import annotations

import json
import random
import unicodedata

import editdistance
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.evaluation.edits import Counts
from recognizer.evaluation.score import Confusion, Scored, render, score

RESULTS = [
    Scored("1", "the cat", "the bat", "anna"),  # S c>b
    Scored("2", "on mats", "on mat", "anna"),  # D s
    Scored("3", "a b", "a  b", "bert"),  # I <space>; the words are right
    Scored("4", "e\u0301te\u0301", "\u00e9t\u00e9", "bert"),  # right, 3 characters
    Scored("5", "", "uh", None),  # I u, I h
]


def test_hand_worked_characters():
    report = score(RESULTS, "characters")
    assert report.rates["CER"].counts == Counts(matches=18, substitutions=1, deletions=1, insertions=3)
    assert report.rates["CER"].rate == 5 / 20
    assert report.rates["WER"].counts == Counts(matches=5, substitutions=2, deletions=0, insertions=1)
    assert report.rates["WER"].rate == 3 / 7
    assert (report.items, report.empty_references, report.left_empty, report.made_up) == (5, 1, 0, 2)
    assert (report.accuracy.correct, report.accuracy.rate) == (1, 0.2)
    assert [(g.group, g.items, g.counts["CER"].errors) for g in report.groups] == [("anna", 2, 2), ("bert", 2, 1), (None, 1, 2)]
    assert set(report.confusions) == {
        Confusion("substitution", "c", "b", 1),
        Confusion("deletion", "s", None, 1),
        Confusion("insertion", None, " ", 1),
        Confusion("insertion", None, "u", 1),
        Confusion("insertion", None, "h", 1),
    }


def test_hand_worked_units():
    report = score([Scored("1", "sil k ae t sil", "sil k eh  t"), Scored("2", "k ae", "k eh")], "units")
    assert list(report.rates) == ["UER"]
    assert report.rates["UER"].counts == Counts(matches=4, substitutions=2, deletions=1, insertions=0)
    assert report.confusions == (Confusion("substitution", "ae", "eh", 2), Confusion("deletion", "sil", None, 1))
    assert report.rates["UER"].resampled == "items"


transcripts = st.text("ab e\u0301\u00e9", max_size=8)


@given(st.lists(st.tuples(transcripts, transcripts, st.sampled_from(["x", "y", None])), max_size=6))
def test_parts_add_up_and_agree_with_editdistance(rows):
    results = [Scored(str(i), *row) for i, row in enumerate(rows)]
    report = score(results, "characters")
    pairs = [[unicodedata.normalize("NFC", t) for t in row[:2]] for row in rows]
    cer, wer = (report.rates[name].counts for name in ("CER", "WER"))
    assert cer.errors == sum(editdistance.eval(r, h) for r, h in pairs)
    assert cer.reference == sum(len(r) for r, _ in pairs)
    assert wer.errors == sum(editdistance.eval(r.split(), h.split()) for r, h in pairs)
    assert wer.reference == sum(len(r.split()) for r, _ in pairs)
    for name, rate in report.rates.items():
        assert sum((g.counts[name] for g in report.groups), Counts()) == rate.counts
    assert sum(g.items for g in report.groups) == report.items == len(rows)
    assert sum(c.count for c in report.confusions) == cer.errors
    assert report.accuracy.correct == sum(r == h for r, h in pairs)


def test_no_reference_tokens_leave_the_rate_undefined():
    report = score([Scored("1", "", "ab", "x"), Scored("2", "", "", "y")], "characters")
    assert report.rates["CER"].rate is None and report.rates["CER"].low is None
    assert report.rates["CER"].counts == Counts(insertions=2)
    assert "CER - (2/0; S 0 D 0 I 2)" in render(report)
    assert "Empty references: 2, of which 1 came out empty; 2 characters were made up" in render(report)


@pytest.mark.parametrize("level", ["characters", "units"])
def test_nothing_to_score(level):
    report = score([], level)
    assert report.items == 0 and report.accuracy.rate is None
    assert " - (0/0" in render(report)
    json.dumps(report.to_json(), allow_nan=False)


def test_the_seed_decides_and_the_order_of_items_changes_only_draws():
    generator = random.Random(2)
    results = [Scored(str(i), "abcdefgh", "".join(generator.choices("abcdefgh", k=8)), f"g{i % 9}") for i in range(60)]
    report = score(results, "characters", seed=3)
    assert score(results, "characters", seed=3) == report
    assert score(results, "characters", seed=4) != report
    shuffled = score(generator.sample(results, k=60), "characters", seed=3)
    assert (shuffled.groups, shuffled.confusions) == (report.groups, report.confusions)
    cer = report.rates["CER"]
    assert cer.resampled == "groups" and cer.low < cer.rate < cer.high


def test_json_has_stable_keys_and_survives_a_round_trip():
    data = score(RESULTS, "characters").to_json()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert list(data) == ["level", "items", "empty_references", "left_empty", "made_up", "accuracy", "rates", "groups", "confusions"]
    counts = ["rate", "errors", "reference", "matches", "substitutions", "deletions", "insertions"]
    assert list(data["rates"]["CER"]) == [*counts, "low", "high", "resampled"]
    assert list(data["groups"][0]) == ["group", "items", "rates"] and list(data["groups"][0]["rates"]["WER"]) == counts
    assert list(data["accuracy"]) == ["correct", "items", "rate", "low", "high", "resampled"]
    assert list(data["confusions"][0]) == ["kind", "reference", "hypothesis", "count"]


def test_text_report():
    lines = render(score(RESULTS, "characters")).splitlines()
    assert lines[0].startswith("CER 25.0 % [") and lines[0].endswith("(5/20; S 1 D 1 I 3)")
    assert lines[1].startswith("WER 42.9 % [") and lines[1].endswith("(3/7; S 2 D 0 I 1)")
    assert lines[2].startswith("Items without error 20.0 %")
    assert "resampling 2 groups and 1 items without a group" in lines[3]
    assert "insertions     <space> 1   h 1   u 1" in lines
    assert "substitutions  c > b 1" in lines


def test_text_lists_the_worst_groups_first_and_no_more_than_asked_for():
    errors = {"good": 0, "worst": 4, "bad": 2, "equal": 2}
    results = [Scored(name, "aaaa", "b" * n + "a" * (4 - n), name) for name, n in errors.items()]
    text = render(score(results, "characters"), limit=3)
    rows = [line.split()[0] for line in text.splitlines() if line.split() and line.split()[0] in errors]
    assert rows == ["worst", "bad", "equal"]
    assert "Worst groups (3 of 4)" in text


def test_text_cannot_carry_terminal_commands():
    results = [Scored("1", "a\x1b[2J", "a", "x\x1b[31m"), Scored("2", "b", "b", "y")]
    assert "\x1b" not in render(score(results, "characters"))


def test_text_says_when_items_were_resampled():
    assert "resampling 5 items, for want of two groups" in render(score([Scored(r.id, r.reference, r.hypothesis) for r in RESULTS], "characters"))
