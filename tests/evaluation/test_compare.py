"""Comparisons: an example by hand, refusals, the bootstrap against a permutation test and at its level under the null."""

from __future__ import annotations

import itertools
import json
from argparse import Namespace
from dataclasses import asdict, replace

import numpy as np
import pytest

from recognizer.errors import ConfigError, ManifestError
from recognizer.evaluation.compare import GroupDifference, ItemDifference, compare, compare_results, paired_bootstrap, render_comparison
from recognizer.evaluation.edits import Counts
from recognizer.evaluation.protocols import find_protocol
from recognizer.evaluation.saved import Result
from recognizer.evaluation.score import Scored, score

FIRST = Result("one", "characters", (
    Scored("1", "the cat sat", "the bat sat", "anna"),  # 1 character, 1 word
    Scored("2", "on mats", "on mat", "anna"),  # 1, 1
    Scored("3", "a dog", "a dog", "bert"),
))  # fmt: skip
SECOND = Result("two", "characters", (
    Scored("3", "a dog", "a", "bert"),  # 4, 1
    Scored("1", "the cat sat", "the cat sat", "anna"),
    Scored("2", "on mats", "on mat", "anna"),
))  # fmt: skip


def simulate(generator, taste, groups=40, items=12):
    """Differences and tokens of equally good recognisers; ``taste`` is how far a speaker may favour one of them."""
    favour = np.repeat(generator.normal(0, taste, groups), items)
    errors = [generator.poisson(np.exp(sign * favour)) for sign in (1, -1)]
    return errors[1] - errors[0], np.full(groups * items, 10), [f"s{g}" for g in np.repeat(np.arange(groups), items)]


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
    many = replace(FIRST, items=tuple(Scored(str(n), "a", "a") for n in range(9)))
    with pytest.raises(ManifestError, match=r"lacks 6 of the 9 items of one: 0, 4, 5, 6, 7, ...$"):
        compare(many, SECOND)
    with pytest.raises(ManifestError, match=r"^1: has the reference 'the cat sat' in one and 'THE' in two"):
        compare(FIRST, replace(SECOND, items=(SECOND.items[0], Scored("1", "THE", "", "anna"), SECOND.items[2])))
    with pytest.raises(ManifestError, match=r"^3: has the group 'bert' in one and None in two"):
        compare(FIRST, replace(SECOND, items=(replace(SECOND.items[0], group=None), *SECOND.items[1:])))


def test_other_ways_of_counting_are_refused():
    with pytest.raises(ConfigError, match=r"different protocols \(one by none and two by van\)"):
        compare(FIRST, replace(SECOND, protocol="van"))
    assert compare(FIRST, replace(SECOND, protocol="van"), find_protocol("kaldi")).protocol == "kaldi"
    with pytest.raises(ConfigError, match="one has transcripts of characters, two of units"):
        compare(FIRST, replace(SECOND, level="units"))


def test_bootstrap_by_hand():
    # groups a: -2 of 10, b: +4 of 10; corpora aa, ab, ba, bb: -0.2, 0.1, 0.1, 0.4
    found = paired_bootstrap([-1, -1, 4], [5, 5, 10], ["a", "a", "b"], draws=4000)
    assert (found.low, found.high, found.resampled) == (-0.2, 0.4, "groups")
    assert found.p == pytest.approx(0.5, abs=0.03)  # a quarter at or below zero, twice
    assert paired_bootstrap([1], [5], [None]).p is None and paired_bootstrap([], [], []).p is None
    assert paired_bootstrap([1] * 5, [9] * 5, [None] * 5, draws=999).p == 2 / 1000


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.25, 0.5])
def test_bootstrap_agrees_with_a_permutation_test(shift):
    generator = np.random.default_rng(3)
    differences = generator.normal(shift, 1, 60).round(1)
    signs = generator.choice([-1, 1], (20_000, 60))
    exchanged = np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9  # the two results of each group exchanged at random
    found = paired_bootstrap(differences, np.ones(60), [f"g{n}" for n in range(60)])
    assert found.p == pytest.approx(exchanged.mean(), abs=0.03)


def test_few_groups_make_the_bootstrap_too_sure():
    differences = np.random.default_rng(3).normal(0.9, 1, 16).round(1)
    signs = np.array(list(itertools.product((1, -1), repeat=16)))
    exact = float((np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9).mean())
    found = paired_bootstrap(differences, np.ones(16), [f"g{n}" for n in range(16)])
    assert found.p < 0.05 < exact < found.p + 0.05  # which is why the text warns of it


def test_about_five_in_a_hundred_equal_pairs_seem_different():
    generator = np.random.default_rng(8)
    ps = [paired_bootstrap(*simulate(generator, taste=0.3), draws=300).p for _ in range(500)]
    assert 0.03 < np.mean(np.array(ps) < 0.05) < 0.08


def test_the_matched_pairs_test_is_too_sure_where_speakers_have_their_favourites():
    from recognizer.evaluation.matched_pairs import matched_pairs

    generator = np.random.default_rng(8)
    ps = [matched_pairs(simulate(generator, taste=0.3)[0]).p for _ in range(500)]
    assert np.mean(np.array(ps) < 0.05) > 0.1  # why the bootstrap by group stands beside it


def test_text_and_json(tmp_path, capsys):
    for result in (FIRST, SECOND):
        (tmp_path / result.name).mkdir()
        (tmp_path / result.name / "scores.json").write_text('{"level": "characters"}')
        (tmp_path / result.name / "hypotheses.jsonl").write_text("".join(json.dumps(asdict(item)) + "\n" for item in result.items))
    options = Namespace(first=tmp_path / "one", second=tmp_path / "two", json=False)
    assert compare_results(options) == 0
    text = capsys.readouterr().out
    assert "CER  A 8.70 % (2/23)  B 21.74 % (5/23)  B - A +13.04 points" in text
    assert "matched pairs: 3 items with an error, p 0.5" in text and "3 segments with an error, parted by 2 agreed tokens" in text
    assert "B better in 1, worse in 1, as many errors in 1" in text and "bert  A 0  B 4  of 5 tokens" in text
    assert compare_results(Namespace(**vars(options) | {"json": True})) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["rates"]["CER"]["second_rate"] == 5 / 23 and record["worsened"][0]["id"] == "3"


def test_text_cannot_command_a_terminal():
    hostile = [replace(r, items=(Scored("1", "a\x1b[2J\u202eb", h, None), Scored("2", "b", "b"))) for r, h in ((FIRST, ""), (SECOND, "a"))]
    text = render_comparison(compare(*hostile))
    assert "\x1b" not in text and "\u202e" not in text and "a\\x1b[2J\\u202eb" in text


def test_two_thousand_lines_take_two_seconds():
    import time

    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list("abc de"), 60)) for _ in range(100)]
    results = [
        Result(name, "characters", tuple(Scored(str(n), texts[n % 100], texts[n % 100][: -1 - n % shift], f"s{n % 50}") for n in range(2_000)))
        for name, shift in (("one", 3), ("two", 2))
    ]
    start = time.process_time()
    compare(*results)
    assert time.process_time() - start < 4
