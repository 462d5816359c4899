"""Protocols: an example of each by hand, what they refuse, and that their rules do not change by accident."""

from __future__ import annotations

import dataclasses

import pytest

from recognizer.errors import ConfigError, InputError, ManifestError
from recognizer.evaluation.edits import Counts
from recognizer.evaluation.metrics import ScoredItem, render_scores, score
from recognizer.evaluation.protocols import PROTOCOLS, find_protocol

# As 61 labels; folded: sil ih n | sil t ah | sil sil  against  sil ih n | t ah | sil
REFERENCE = "h# q ix n tcl t ax-h pau h#"
HYPOTHESIS = "h# ih en t ax h#"

# A line of IAM in its two forms, and what was recognized: comma and "n't" apart, one bracket missing.
NATURAL = 'He\'ll say: "No" (not I), o\'clock.'
TOKENIZED = "He 'll say : \" No \" ( not I ) , o'clock ."


def count(name: str, reference: str, hypothesis: str, rate: str | None = None) -> Counts:
    return Counts.of(find_protocol(name).align(reference, hypothesis, rate))


def test_strict_keeps_every_silence():
    assert find_protocol("strict").tokenize(REFERENCE) == ["sil", "ih", "n", "sil", "t", "ah", "sil", "sil"]
    assert count("strict", REFERENCE, HYPOTHESIS) == Counts(matches=6, deletions=2)
    assert count("strict", "q tcl t", "t q q") == Counts(matches=1, deletions=1)


def test_optional_silence_forgives_silences_left_out_and_no_others():
    assert count("optional_silence", REFERENCE, HYPOTHESIS) == Counts(matches=8)
    assert count("optional_silence", "t", "tcl t") == Counts(matches=1, insertions=1)
    assert count("optional_silence", "tcl t aa", "t") == Counts(matches=2, deletions=1)
    assert count("optional_silence", "tcl t", "k t") == Counts(matches=1, substitutions=1)


def test_merged_silence_merges_silences_that_follow_each_other_and_nothing_else():
    assert find_protocol("merged_silence").tokenize("h# pau q h# t t tcl") == ["sil", "t", "t", "sil"]
    assert count("merged_silence", REFERENCE, HYPOTHESIS) == Counts(matches=6, deletions=1)
    assert count("merged_silence", "t h# pau", "t h# epi pau") == Counts(matches=2)


@pytest.mark.parametrize(("name", "text", "words"), [
    ("space", NATURAL, ["He'll", "say:", '"No"', "(not", "I),", "o'clock."]),
    ("space", TOKENIZED, ["He", "'ll", "say", ":", '"', "No", '"', "(", "not", "I", ")", ",", "o'clock", "."]),
    ("laia", TOKENIZED, ["He'll", "say", ":", '"', "No", '"', "(", "not", "I", ")", ",", "o'clock", "."]),
    ("kaldi", NATURAL, ["He", "'", "ll", "say", ":", '"', "No", '"', "(", "not", "I", ")", ",", "o", "'", "clock", "."]),
    ("kaldi", "1/2 & good-bye", ["1/2", "&", "good", "-", "bye"]),
    ("van", "1/2 & [good-bye]", ["1", "/", "2", "&", "[", "good", "-", "bye", "]"]),
    ("van", "5€#x_y", ["5", "€", "#", "x", "_", "y"]),
])
def test_words_of_a_line(name, text, words):
    assert find_protocol(name).tokenize(text, "WER") == words
    assert find_protocol(name).tokenize(text, "CER") == list(text)


@pytest.mark.parametrize("name", ["kaldi", "van"])
def test_both_forms_of_a_text_have_the_same_words(name):
    assert find_protocol(name).tokenize(NATURAL, "WER") == find_protocol(name).tokenize(TOKENIZED, "WER")


def test_the_same_output_under_each_protocol():
    hypothesis = 'He\'ll say: "No" not I), o\'clock,'
    expected = {"space": (2, 6), "kaldi": (2, 17), "van": (2, 17)}
    for name, (errors, words) in expected.items():
        counts = count(name, NATURAL, hypothesis, "WER")
        assert (counts.errors, counts.reference) == (errors, words), name
        assert count(name, NATURAL, hypothesis, "CER").errors == 2
    assert count("laia", TOKENIZED, "He'll say : \" No \" ( not I ) , o'clock .", "WER").errors == 0


def test_versions_change_with_the_rules_only():
    versions = {
        "strict": "8414e1b4", "optional_silence": "11e99a95", "merged_silence": "2cae4c78",
        "space": "e9a5c947", "laia": "b0064407", "kaldi": "0ccef60f", "van": "5e93bf73",
    }  # fmt: skip
    assert {name: protocol.version for name, protocol in PROTOCOLS.items()} == versions  # a new one: published figures no longer compare
    strict = find_protocol("strict")
    assert dataclasses.replace(strict, rules="in other words").version == strict.version
    assert dataclasses.replace(strict, optional=frozenset({"aa"})).version != strict.version


def test_a_fingerprint_says_what_was_counted():
    results = [ScoredItem("1", REFERENCE, HYPOTHESIS, "a"), ScoredItem("2", "h# ae", "h# ae", "b")]
    scores = score(results, "units", find_protocol("strict"))
    assert scores.rates["PER"].counts == Counts(matches=8, deletions=2) and list(scores.rates) == ["PER"]
    assert scores.protocol.fingerprint == "strict 8414e1b4; 2 items; PER tokens 10"
    assert scores.protocol.published is None and scores.protocol.per_item == {"PER": pytest.approx((2 / 8 + 0) / 2)}
    text = render_scores(scores)
    assert "PER 20.0 %" in text and "Protocol strict 8414e1b4; 2 items; PER tokens 10" in text and "Mean of the items: PER 12.5 %" in text
    assert "NOT the counts of a published set (TIMIT core test 192 items and 7215 tokens, TIMIT development set 400 items and 15057 tokens)" in text
    lines = score([ScoredItem("1", "ab", "ab"), ScoredItem("2", "a", "b"), ScoredItem("3", "", "b")], "characters", find_protocol("space")).protocol
    assert lines.per_item == {"CER": 0.5, "WER": 0.5} and lines.tokens == {"CER": 3, "WER": 2} and lines.remark is None  # not of the empty line
    record = scores.to_json()["protocol"]
    assert record["fingerprint"] == scores.protocol.fingerprint and record["tokens"] == {"PER": 10}


@pytest.mark.parametrize(("items", "tokens", "published"), [(192, 7215, "TIMIT core test"), (400, 15057, "TIMIT development set"), (192, 7333, None)])
def test_published_counts_are_recognized(items, tokens, published):
    lengths = [tokens // items + (n < tokens % items) for n in range(items)]
    results = [ScoredItem(str(n), "aa " * length, "aa " * length, str(n % 24)) for n, length in enumerate(lengths)]
    applied = score(results, "units", find_protocol("strict")).protocol
    assert applied.published == published
    assert applied.remark.startswith(f"counts as published for the {published}" if published else "NOT the counts")


def test_text_in_the_wrong_form_is_refused():
    natural = [ScoredItem("1", NATURAL, NATURAL, meta={"text_form": "natural"})]
    with pytest.raises(ManifestError, match="'laia' is not defined for 'natural' text: prepare the manifest with --text laia or --text tokenised"):
        score(natural, "characters", find_protocol("laia"))
    assert score(natural, "characters", find_protocol("van")).protocol.fingerprint.endswith("WER tokens 17; natural text")


def test_what_a_protocol_cannot_score():
    with pytest.raises(ConfigError, match="protocol 'strict' counts units, but the transcripts are characters"):
        score([ScoredItem("1", "a", "a")], "characters", find_protocol("strict"))
    with pytest.raises(InputError, match="utt7: 'AH' is not one of TIMIT's phone labels that fold to 39: this protocol is for TIMIT"):
        score([ScoredItem("utt7", "aa", "AH")], "units", find_protocol("strict"))
    with pytest.raises(ConfigError, match="no protocol is called 'strikt'; did you mean 'strict'"):
        find_protocol("strikt")
