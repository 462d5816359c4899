"""Counts: by hand, and every item in exactly one part."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.evaluation.edits import Counts, Edit
from recognizer.evaluation.report_counts import Symbol, count_symbols, cut_bands, cut_quantiles, gather, measure_row, part_by_field, tally
from recognizer.evaluation.score import PLAIN, Scored, score

RESULTS = [
    Scored("1", "the cat", "the bat", "anna"),
    Scored("2", "on mats", "on mat", "anna"),
    Scored("3", "a b", "a  b", "bert"),
    Scored("4", "", "uh", None),
]


def with_meta(*values, name="age"):
    return [Scored(str(n), "a", "a", None, {} if value is ... else {name: value}) for n, value in enumerate(values)]


def test_tallies_are_those_of_the_score():
    cer, wer = tally(RESULTS, PLAIN["characters"])
    report = score(RESULTS, "characters")
    for found in (cer, wer):
        assert sum(found.items, Counts()) == report.rates[found.name].counts
    assert {e: n for e, n in cer.edits.items() if e.kind != "match"} == {Edit(c.kind, c.reference, c.hypothesis): c.count for c in report.confusions}
    assert cer.edits[Edit("match", "a", "a")] == 3
    assert wer.edits[Edit("substitution", "mats", "mat")] == 1


def test_symbols_by_hand():
    cer = tally(RESULTS, PLAIN["characters"])[0]
    found = {symbol.token: symbol for symbol in count_symbols(cer.edits)}
    assert found["c"] == Symbol("c", 1, 1, 0, 0) and found["s"] == Symbol("s", 1, 0, 1, 0) and found[" "] == Symbol(" ", 3, 0, 0, 1)
    assert found["b"] == Symbol("b", 1, 0, 0, 0)  # that c was taken for it is c's error
    assert [s.token for s in count_symbols(cer.edits)][:2] == [" ", "c"]  # of those with one error, the most frequent first


def test_rows_by_hand():
    row = measure_row("x", [0, 1, 2], tally(RESULTS, PLAIN["characters"]), [r.group for r in RESULTS], seed=1)
    assert (row.label, row.items, row.groups) == ("x", 3, 2)
    assert (row.counts["CER"].errors, row.counts["CER"].reference) == (3, 17)
    low, high = row.ends["CER"]
    assert (low, high) == (2 / 14, 1 / 3)  # two groups have three corpora
    assert measure_row("y", [3], tally(RESULTS, PLAIN["characters"]), [None] * 4, seed=1).ends["CER"] == (None, None)


@pytest.mark.parametrize(("values", "parts"), [
    (["m", "f", "m", ...], {"f": [1], "m": [0, 2], "(none)": [3]}),
    ([True, False, True], {"False": [1], "True": [0, 2]}),
    (["10", "9", "", None, math.nan], {"9": [1], "10": [0], "(none)": [2, 3, 4]}),
    ([12, 19, 20, 33, 35, 40, 47, 58, 69], {"10\u201319": [0, 1], "20\u201329": [2], "30\u201339": [3, 4], "40\u201349": [5, 6], "50\u201359": [7],
                                           "60\u201369": [8]}),
    (["a", ...], {"a": [0], "(none)": [1]}),
])  # fmt: skip
def test_parts_of_a_field(values, parts):
    found, left_out = part_by_field(with_meta(*values))
    assert (found, left_out) == ({"age": parts}, {}) and list(found["age"]) == list(parts)


@pytest.mark.parametrize(("values", "reason"), [
    (["x", "x"], "is 'x' in all items"),
    ([["x"], ["y"]], "is a list or an object"),
    ([f"s{n}" for n in range(21)], "has 21 different values"),
    ([f"{n:04d}" for n in range(21)], "has 21 different values"),  # codes, not numbers
    ([None, ""], "has no value"),
])
def test_fields_without_parts(values, reason):
    assert part_by_field(with_meta(*values)) == ({}, {"age": reason})


numbers = st.lists(st.one_of(st.integers(-50, 90), st.floats(-10, 500), st.floats(1e6, 1e6 + 1), st.floats(0, 1e-310)), min_size=1, max_size=60)


@given(numbers)
def test_every_value_is_in_one_band(values):
    for parts in ([cut_bands(values)] if len(set(values)) > 1 else []) + [cut_quantiles(values)]:
        assert sorted(n for members in parts.values() for n in members) == list(range(len(values)))
        assert all(parts.values())
    assert len(cut_quantiles(values)) <= 8


@given(st.lists(st.integers(0, 100), min_size=1, max_size=60))
def test_bands_of_quantiles_rise(values):
    bands = [[values[n] for n in members] for members in cut_quantiles(values).values()]
    assert all(max(a) < min(b) for a, b in itertools.pairwise(bands))


def test_quantiles_hold_about_as_many_each():
    parts = cut_quantiles(range(80))
    assert [len(members) for members in parts.values()] == pytest.approx([10] * 8, abs=1)
    assert cut_quantiles([2.25, 2.25]) == {"2.2": [0, 1]}


def test_gathered_positions():
    assert gather(["a", None, "a"]) == {"a": [0, 2], None: [1]}
