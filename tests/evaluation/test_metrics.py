"""Scores: rates, groups and confusions by hand, against editdistance, as JSON and as text."""

from __future__ import annotations

import json
import random
import unicodedata

import editdistance
from hypothesis import given
from hypothesis import strategies as st

from recognizer.evaluation.edits import Counts
from recognizer.evaluation.metrics import Confusion, ScoredItem, render_scores, score

ITEMS = [
    ScoredItem("1", "the cat", "the bat", "anna"),  # S c>b
    ScoredItem("2", "on mats", "on mat", "anna"),  # D s
    ScoredItem("3", "a b", "a  b", "bert"),  # I <space>; the words are right
    ScoredItem("4", "e\u0301te\u0301", "\u00e9t\u00e9", "bert"),  # right, 3 characters
    ScoredItem("5", "", "uh", None),  # I u, I h
]


def test_hand_worked_characters():
    scores = score(ITEMS, "characters")
    assert scores.rates["CER"].counts == Counts(matches=18, substitutions=1, deletions=1, insertions=3)
    assert scores.rates["CER"].rate == 5 / 20
    assert scores.rates["WER"].counts == Counts(matches=5, substitutions=2, deletions=0, insertions=1)
    assert scores.rates["WER"].rate == 3 / 7
    assert (scores.items, scores.empty_references, scores.left_empty, scores.hallucinated) == (5, 1, 0, 2)
    assert (scores.accuracy.correct, scores.accuracy.rate) == (1, 0.2)
    assert [(g.group, g.items, g.counts["CER"].errors) for g in scores.groups] == [("anna", 2, 2), ("bert", 2, 1), (None, 1, 2)]
    assert set(scores.confusions) == {
        Confusion("substitution", "c", "b", 1),
        Confusion("deletion", "s", None, 1),
        Confusion("insertion", None, " ", 1),
        Confusion("insertion", None, "u", 1),
        Confusion("insertion", None, "h", 1),
    }


def test_hand_worked_units():
    scores = score([ScoredItem("1", "sil k ae t sil", "sil k eh  t"), ScoredItem("2", "k ae", "k eh")], "units")
    assert list(scores.rates) == ["UER"]
    assert scores.rates["UER"].counts == Counts(matches=4, substitutions=2, deletions=1, insertions=0)
    assert scores.confusions == (Confusion("substitution", "ae", "eh", 2), Confusion("deletion", "sil", None, 1))
    assert scores.rates["UER"].resampled == "items"


transcripts = st.text("ab e\u0301\u00e9", max_size=8)


@given(st.lists(st.tuples(transcripts, transcripts, st.sampled_from(["x", "y", None])), max_size=6))
def test_parts_add_up_and_agree_with_editdistance(rows):
    results = [ScoredItem(str(i), *row) for i, row in enumerate(rows)]
    scores = score(results, "characters")
    pairs = [[unicodedata.normalize("NFC", t) for t in row[:2]] for row in rows]
    cer, wer = (scores.rates[name].counts for name in ("CER", "WER"))
    assert cer.errors == sum(editdistance.eval(r, h) for r, h in pairs)
    assert cer.reference == sum(len(r) for r, _ in pairs)
    assert wer.errors == sum(editdistance.eval(r.split(), h.split()) for r, h in pairs)
    assert wer.reference == sum(len(r.split()) for r, _ in pairs)
    for name, rate in scores.rates.items():
        assert sum((g.counts[name] for g in scores.groups), Counts()) == rate.counts
    assert sum(g.items for g in scores.groups) == scores.items == len(rows)
    assert sum(c.count for c in scores.confusions) == cer.errors
    assert scores.accuracy.correct == sum(r == h for r, h in pairs)


def test_rates_without_reference_tokens_are_undefined():
    scores = score([ScoredItem("1", "", "ab", "x"), ScoredItem("2", "", "", "y")], "characters")
    assert scores.rates["CER"].rate is None and scores.rates["CER"].low is None
    text = render_scores(scores)
    assert "CER - (2/0; S 0 D 0 I 2)" in text and "Empty references: 2, of which 1 gave an empty hypothesis; 2 characters hallucinated" in text
    for level in ("characters", "units"):
        scores = score([], level)
        assert scores.items == 0 and scores.accuracy.rate is None and " - (0/0" in render_scores(scores)
        json.dumps(scores.to_json(), allow_nan=False)


def test_the_seed_decides_and_the_order_of_items_changes_only_draws():
    generator = random.Random(2)
    items = [ScoredItem(str(i), "abcdefgh", "".join(generator.choices("abcdefgh", k=8)), f"g{i % 9}") for i in range(60)]
    scores = score(items, "characters", seed=3)
    assert score(items, "characters", seed=3) == scores
    assert score(items, "characters", seed=4) != scores
    shuffled = score(generator.sample(items, k=60), "characters", seed=3)
    assert (shuffled.groups, shuffled.confusions) == (scores.groups, scores.confusions)
    cer = scores.rates["CER"]
    assert cer.resampled == "groups" and cer.low < cer.rate < cer.high


def test_json_has_stable_keys_and_survives_a_round_trip():
    data = score(ITEMS, "characters").to_json()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert list(data) == ["level", "items", "empty_references", "left_empty", "hallucinated", "accuracy", "rates", "groups", "confusions"]
    counts = ["rate", "errors", "reference", "matches", "substitutions", "deletions", "insertions"]
    assert list(data["rates"]["CER"]) == [*counts, "low", "high", "resampled"]
    assert list(data["groups"][0]) == ["group", "items", "rates"] and list(data["groups"][0]["rates"]["WER"]) == counts
    assert list(data["accuracy"]) == ["correct", "items", "rate", "low", "high", "resampled"]
    assert list(data["confusions"][0]) == ["kind", "reference", "hypothesis", "count"]


def test_text_report():
    lines = render_scores(score(ITEMS, "characters")).splitlines()
    assert lines[0].startswith("CER 25.0 % [") and lines[0].endswith("(5/20; S 1 D 1 I 3)")
    assert lines[1].startswith("WER 42.9 % [") and lines[1].endswith("(3/7; S 2 D 0 I 1)")
    assert lines[2].startswith("Items without error 20.0 %")
    assert "resampling 2 groups and 1 items without a group" in lines[3]
    assert "insertions     <space> 1   h 1   u 1" in lines
    assert "substitutions  c > b 1" in lines
    alone = score([ScoredItem(item.id, item.reference, item.hypothesis) for item in ITEMS], "characters")
    assert "resampling 5 items, for want of two groups" in render_scores(alone)


def test_text_lists_the_worst_groups_first_and_no_more_than_asked_for():
    errors = {"good": 0, "worst": 4, "bad": 2, "equal": 2}
    results = [ScoredItem(name, "aaaa", "b" * n + "a" * (4 - n), name) for name, n in errors.items()]
    text = render_scores(score(results, "characters"), limit=3)
    rows = [line.split()[0] for line in text.splitlines() if line.split() and line.split()[0] in errors]
    assert rows == ["worst", "bad", "equal"]
    assert "Worst groups (3 of 4)" in text


def test_text_cannot_command_a_terminal():
    items = [ScoredItem("1", "a\x1b[2J", "a", "x\x1b[31m"), ScoredItem("2", "b", "b", "y")]
    assert "\x1b" not in render_scores(score(items, "characters"))
