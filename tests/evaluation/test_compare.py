"""Comparisons: examples by hand, refusals, segments against a slow independent cut, and the level of the matched-pairs test."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.errors import ConfigError, ManifestError
from recognizer.evaluation.compare import GroupDifference, ItemDifference, compare, cut_segments, matched_pairs, render_comparison
from recognizer.evaluation.edits import Counts, align
from recognizer.evaluation.metrics import ScoredItem, score
from recognizer.evaluation.protocols import find_protocol
from recognizer.evaluation.results import SavedResults

sequences = st.lists(st.sampled_from("ab"), max_size=10)

FIRST = SavedResults("one", "characters", (
    ScoredItem("1", "the cat sat", "the bat sat", "anna"),  # 1 character, 1 word
    ScoredItem("2", "on mats", "on mat", "anna"),  # 1, 1
    ScoredItem("3", "a dog", "a dog", "bert"),
))  # fmt: skip
SECOND = SavedResults("two", "characters", (
    ScoredItem("3", "a dog", "a", "bert"),  # 4, 1
    ScoredItem("1", "the cat sat", "the cat sat", "anna"),
    ScoredItem("2", "on mats", "on mat", "anna"),
))  # fmt: skip


def test_hand_worked():
    found = compare(FIRST, SECOND)
    cer, wer = found.rates["CER"], found.rates["WER"]
    assert (cer.reference, cer.first, cer.second) == (23, Counts(21, 1, 1, 0), Counts(18, 0, 5, 0))
    assert cer.difference == pytest.approx(3 / 23) and wer.difference == 0
    # words: the cat sat and a dog are parted by nothing two tokens long; errors (1, 0), (1, 1), (0, 1)
    assert (wer.matched.segments, wer.matched.mean, wer.by_segments) == (3, 0, True)
    assert (cer.matched.segments, cer.matched.mean, cer.by_segments) == (3, 1, False)  # items: -1, 0, 4
    assert found.groups == (GroupDifference("bert", 1, 5, 0, 4), GroupDifference("anna", 2, 18, 2, 1))
    assert (found.items, found.better, found.worse) == (3, 1, 1)
    assert found.improved == (ItemDifference("1", "anna", "the cat sat", "the bat sat", "the cat sat", 1, 0),)
    assert found.worsened == (ItemDifference("3", "bert", "a dog", "a dog", "a", 0, 4),)


def test_rates_are_those_of_the_score():
    for name in ("van", None):
        rules = find_protocol(name) if name else None
        found = compare(FIRST, SECOND, rules)
        for result, side in ((FIRST, "first"), (SECOND, "second")):
            report = score(result.items, "characters", rules)
            assert {n: getattr(r, side) for n, r in found.rates.items()} == {n: r.counts for n, r in report.rates.items()}


def test_a_result_does_not_differ_from_itself():
    found = compare(FIRST, FIRST)
    assert found.rates["CER"].difference == 0 and found.rates["CER"].matched.p == 1 and found.rates["CER"].bootstrapped.p == 1
    assert found.improved == found.worsened == ()


def test_exchanging_the_two_mirrors_all():
    one, other = (compare(*pair).rates["CER"] for pair in ((FIRST, SECOND), (SECOND, FIRST)))
    assert other.difference == -one.difference and other.matched.p == one.matched.p
    assert (other.bootstrapped.low, other.bootstrapped.high) == pytest.approx((-one.bootstrapped.high, -one.bootstrapped.low))
    assert other.bootstrapped.p == pytest.approx(one.bootstrapped.p, abs=0.02)  # other draws: the order is another


def test_other_items_are_refused():
    with pytest.raises(ManifestError, match=r"^two: lacks 1 of the 3 items of one: 2$"):
        compare(FIRST, replace(SECOND, items=SECOND.items[:2]))
    with pytest.raises(ManifestError, match=r"^one: lacks 2 of the 3 items of two: 3, 2$"):
        compare(replace(FIRST, items=FIRST.items[:1]), SECOND)
    many = replace(FIRST, items=tuple(ScoredItem(str(n), "a", "a") for n in range(9)))
    with pytest.raises(ManifestError, match=r"lacks 6 of the 9 items of one: 0, 4, 5, 6, 7, ...$"):
        compare(many, SECOND)
    with pytest.raises(ManifestError, match=r"^1: has the reference 'the cat sat' in one and 'THE' in two"):
        compare(FIRST, replace(SECOND, items=(SECOND.items[0], ScoredItem("1", "THE", "", "anna"), SECOND.items[2])))
    with pytest.raises(ManifestError, match=r"^3: has the group 'bert' in one and None in two"):
        compare(FIRST, replace(SECOND, items=(replace(SECOND.items[0], group=None), *SECOND.items[1:])))


def test_other_ways_of_counting_are_refused():
    with pytest.raises(ConfigError, match=r"different protocols \(one by none and two by van\)"):
        compare(FIRST, replace(SECOND, protocol="van"))
    assert compare(FIRST, replace(SECOND, protocol="van"), find_protocol("kaldi")).protocol == "kaldi"
    with pytest.raises(ConfigError, match="one has transcripts of characters, two of units"):
        compare(FIRST, replace(SECOND, level="units"))


def test_text_and_json(cli, tmp_path):
    for result in (FIRST, SECOND):
        (tmp_path / result.name).mkdir()
        (tmp_path / result.name / "scores.json").write_text('{"level": "characters"}')
        (tmp_path / result.name / "hypotheses.jsonl").write_text("".join(json.dumps(asdict(item)) + "\n" for item in result.items))
    text = "\n".join(cli("compare", tmp_path / "one", tmp_path / "two").out)
    assert "CER  A 8.70 % (2/23)  B 21.74 % (5/23)  B - A +13.04 points" in text
    assert "matched pairs: 3 items with an error, p 0.5" in text and "3 segments with an error, separated by 2 agreed tokens" in text
    assert "B better in 1, worse in 1, as many errors in 1" in text and "bert  A 0  B 4  of 5 tokens" in text
    record = json.loads("\n".join(cli("compare", tmp_path / "one", tmp_path / "two", "--json").out))
    assert record["rates"]["CER"]["second_rate"] == 5 / 23 and record["worsened"][0]["id"] == "3"
    assert list(record["rates"]["CER"]["bootstrapped"]) == ["low", "high", "p", "resampled", "clusters"]


def test_text_cannot_command_a_terminal():
    hostile = [
        replace(r, items=(ScoredItem("1", "a\x1b[2J\u202eb", h, None), ScoredItem("2", "b", "b"))) for r, h in ((FIRST, ""), (SECOND, "a"))
    ]
    text = render_comparison(compare(*hostile))
    assert "\x1b" not in text and "\u202e" not in text and "a\\x1b[2J\\u202eb" in text


def cut_by_marks(first, second, least):
    """Segments by marking each agreed least on the reference, token by token and gap by gap."""
    sides = []
    for edits in (first, second):
        gaps, tokens = [0], []
        for edit in edits:
            if edit.kind == "insertion":
                gaps[-1] += 1
            else:
                tokens.append(int(edit.kind != "match"))
                gaps.append(0)
        sides.append((gaps, tokens))
    length = len(sides[0][1])
    agreed = [not any(tokens[i] for _, tokens in sides) for i in range(length)]
    runs = []
    for i in range(length):
        joined = i > 0 and agreed[i - 1] and not any(gaps[i] for gaps, _ in sides)
        if agreed[i] and joined:
            runs[-1].append(i)
        elif agreed[i]:
            runs.append([i])
    buffer = {i for run in runs if len(run) >= least for i in run}
    segments, now = [], [0, 0]
    for i in range(length + 1):
        for n, (gaps, _) in enumerate(sides):
            now[n] += gaps[i]
        if i in buffer or i == length:
            segments.append(tuple(now))
            now = [0, 0]
        else:
            for n, (_, tokens) in enumerate(sides):
                now[n] += tokens[i]
    return [s for s in segments if any(s)]


def test_segments_of_an_example():
    # reference  the  cat  sat  on   the  old  mat  by   the  door
    # A          the  bat  sat  on   the  old  mat  by        door
    # B          the  bat  sat  on   an   old  mat  by   the  big  door
    reference = ["the", "cat", "sat", "on", "the", "old", "mat", "by", "the", "door"]
    a = align(reference, ["the", "bat", "sat", "on", "the", "old", "mat", "by", "door"])
    b = align(reference, ["the", "bat", "sat", "on", "an", "old", "mat", "by", "the", "big", "door"])
    # cat | (sat on) | the | (old mat by) | the .. big
    assert cut_segments(a, b) == [(1, 1), (0, 1), (1, 1)]
    assert cut_segments(a, b, agreed=3) == [(1, 2), (1, 1)]
    assert cut_segments(a, b, agreed=4) == [(2, 3)]


def test_an_insertion_breaks_a_run_of_agreed_tokens():
    reference = list("xaby")
    assert cut_segments(align(reference, list("qaby")), align(reference, list("xabq"))) == [(1, 0), (0, 1)]
    assert cut_segments(align(reference, list("qaiby")), align(reference, list("xabq"))) == [(2, 1)]


def test_ends_of_items_end_segments_and_items_without_errors_have_none():
    assert cut_segments(align("abc", "abc"), align("abc", "abc")) == []
    assert cut_segments(align("", "x"), align("", "")) == [(1, 0)]
    assert cut_segments([], []) == []
    with pytest.raises(ValueError, match="2 and 3 reference tokens"):
        cut_segments(align("ab", "ab"), align("abc", "ab"))


@given(sequences, sequences, sequences, st.integers(1, 3))
def test_segments_are_those_of_the_slow_cut_and_have_every_error(reference, one, other, agreed):
    a, b = align(reference, one), align(reference, other)
    segments = cut_segments(a, b, agreed)
    assert segments == cut_by_marks(a, b, agreed)
    assert [sum(side) for side in zip((0, 0), *segments, strict=True)] == [Counts.of(a).errors, Counts.of(b).errors]


def test_statistic_by_hand():
    # differences 1 1 0 -1 2: mean 0.6, variance (0.16 + 0.16 + 0.36 + 2.56 + 1.96) / 4 = 1.3, W = 0.6 / sqrt(1.3 / 5) = 1.17670
    found = matched_pairs([1, 1, 0, -1, 2])
    assert (found.segments, found.mean) == (5, pytest.approx(0.6))
    assert found.statistic == pytest.approx(0.6 / math.sqrt(0.26))
    assert found.p == pytest.approx(0.23932, abs=1e-4)  # 2 (1 - Phi(1.17670))
    mirrored = matched_pairs([-1, -1, 0, 1, -2])
    assert mirrored.p == pytest.approx(found.p) and mirrored.statistic == pytest.approx(-found.statistic)


def test_what_has_no_variance():
    assert matched_pairs([]).p is None
    assert matched_pairs([0, 0]).p == 1.0
    assert (matched_pairs([2] * 8).p, matched_pairs([2] * 8).statistic) == (2 / 2**8, None)  # sign test
    assert matched_pairs([3]).p == 1.0


def test_agrees_with_all_exchanges_of_a_small_sample():
    values = np.random.default_rng(4).integers(-3, 5, 14)
    signs = np.array(list(itertools.product((1, -1), repeat=values.size)))
    exact = float((np.abs(signs @ values) >= abs(values.sum())).mean())  # permutation test: the two results exchanged in each segment
    assert matched_pairs(values).p == pytest.approx(exact, abs=0.03) and 0.01 < exact < 0.5


def test_five_in_a_hundred_equal_pairs_seem_different():
    generator = np.random.default_rng(9)
    ps = [matched_pairs(generator.poisson(0.8, 120) - generator.poisson(0.8, 120)).p for _ in range(2000)]
    assert 0.04 < np.mean(np.array(ps) < 0.05) < 0.065
