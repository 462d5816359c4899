"""Counts of a report by hand-worked examples, every item in exactly one part, and text that cannot reorder or hide other text."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.evaluation.edits import Counts, align
from recognizer.evaluation.metrics import PLAIN, ScoredItem, count_errors
from recognizer.evaluation.report_data import (
    Extra,
    check_confidences,
    choose_items,
    confusion_matrix,
    count_token_errors,
    cut_bands,
    cut_quantiles,
    group_positions,
    interval,
    measure_row,
    name_token,
    part_by_field,
    percent,
    shorten,
    spell,
)
from recognizer.types import Token, Word

ITEMS = [
    ScoredItem("1", "the cat", "the bat", "anna"),
    ScoredItem("2", "on mats", "on mat", "anna"),
    ScoredItem("3", "a b", "a  b", "bert"),
    ScoredItem("4", "", "uh", None),
]
COUNTED = count_errors(ITEMS, PLAIN["characters"])


def test_errors_by_token() -> None:
    found = count_token_errors(COUNTED[0].edits)
    by_token = dict(found)
    assert by_token["c"] == {"substitution": 1} and by_token["s"] == {"deletion": 1} and by_token[" "] == {"match": 3, "insertion": 1}
    assert by_token["b"] == {"match": 1}  # that c was taken for it is an error of c
    assert [token for token, _ in found][:2] == [" ", "c"]  # of those with one error, the most frequent first


def test_rows() -> None:
    row = measure_row("x", [0, 1, 2], COUNTED, [item.group for item in ITEMS], seed=1)
    assert (row.label, row.items, row.groups) == ("x", 3, 2)
    assert (row.counts["CER"].errors, row.counts["CER"].reference) == (3, 17)
    assert row.intervals["CER"] == (2 / 14, 1 / 3)  # two groups have three corpora
    assert measure_row("y", [3], COUNTED, [None] * 4, seed=1).intervals["CER"] == (None, None)


def test_confusions() -> None:
    edits = Counter(align("abba c", "abxac"))  # b taken for x, a space deleted
    edits.update(align("aa", "aaa"))
    symbols, cells = confusion_matrix(edits)
    assert symbols == [" ", "a", "b", "x"]  # those with errors
    assert cells == {(" ", None): (1, 1.0), ("a", "a"): (4, 1.0), ("b", "b"): (1, 0.5), ("b", "x"): (1, 0.5), (None, "a"): (1, 1.0)}
    many = confusion_matrix(Counter(align([f"p{n}" for n in range(40)] + ["q", "q"], [f"r{n}" for n in range(40)] + ["s", "s"])))[0]
    assert len(many) == 30 and {"q", "s"} <= set(many)  # those with the most errors
    left_out = Counter(align("ab", "b", optional="a"))
    assert confusion_matrix(left_out)[0] == []  # to leave out an optional token is no error
    left_out.update(align("a", "c"))
    assert confusion_matrix(left_out)[1] == {("a", "c"): (1, 0.5)}


def with_meta(*values: object) -> list[ScoredItem]:
    return [ScoredItem(str(n), "a", "a", None, {} if value is ... else {"age": value}) for n, value in enumerate(values)]


@pytest.mark.parametrize(("values", "parts"), [
    (["m", "f", "m", ...], {"f": [1], "m": [0, 2], "(none)": [3]}),
    ([True, False, True], {"False": [1], "True": [0, 2]}),
    (["10", "9", "", None, math.nan], {"9": [1], "10": [0], "(none)": [2, 3, 4]}),
    ([12, 19, 20, 33, 35, 40, 47, 58, 69], {"10\u201319": [0, 1], "20\u201329": [2], "30\u201339": [3, 4], "40\u201349": [5, 6], "50\u201359": [7],
                                           "60\u201369": [8]}),
    (["a", ...], {"a": [0], "(none)": [1]}),
])  # fmt: skip
def test_parts_of_a_field(values, parts) -> None:
    found, left_out = part_by_field(with_meta(*values))
    assert (found, left_out) == ({"age": parts}, {}) and list(found["age"]) == list(parts)


@pytest.mark.parametrize(("values", "reason"), [
    (["x", "x"], "is 'x' in all items"),
    ([["x"], ["y"]], "is a list or an object"),
    ([f"s{n}" for n in range(21)], "has 21 different values"),
    ([f"{n:04d}" for n in range(21)], "has 21 different values"),  # codes, not numbers
    ([10**400 + n for n in range(21)], "has 21 different values"),
    ([None, ""], "has no value"),
])  # fmt: skip
def test_fields_without_parts(values, reason) -> None:
    assert part_by_field(with_meta(*values)) == ({}, {"age": reason})


@given(st.lists(st.one_of(st.integers(-50, 90), st.floats(-10, 500), st.floats(1e6, 1e6 + 1), st.floats(0, 1e-310)), min_size=1, max_size=60))
def test_every_value_is_in_one_band(values) -> None:
    for parts in ([cut_bands(values)] if len(set(values)) > 1 else []) + [cut_quantiles(values)]:
        assert sorted(n for members in parts.values() for n in members) == list(range(len(values)))
        assert all(parts.values())
    assert len(cut_quantiles(values)) <= 8


@given(st.lists(st.integers(0, 100), min_size=1, max_size=60))
def test_bands_of_quantiles_rise(values) -> None:
    bands = [[values[n] for n in members] for members in cut_quantiles(values).values()]
    assert all(max(a) < min(b) for a, b in itertools.pairwise(bands))


def test_quantiles_hold_about_as_many_each() -> None:
    assert [len(members) for members in cut_quantiles(range(80)).values()] == pytest.approx([10] * 8, abs=1)
    assert cut_quantiles([2.25, 2.25]) == {"2.2": [0, 1]}
    assert group_positions(["a", None, "a"]) == {"a": [0, 2], None: [1]}


def test_the_worst_by_rate_then_by_errors_and_others_at_random() -> None:
    counts = [Counts(9, 1), Counts(1, 1), Counts(10), Counts(2, 2), Counts(0, 0, 0, 1), Counts(5), Counts(7)]
    worst, others = choose_items(counts, 4, 2, seed=1)
    assert worst == [4, 3, 1, 0]  # insertions where nothing was said, then a half of four, a half of two, a tenth
    assert len(others) == 2 and set(others) <= {2, 5, 6} and others == sorted(others)
    assert choose_items(counts, 4, 2, seed=1)[1] == others
    assert choose_items(counts, 20, 20, seed=1) == ([4, 3, 1, 0], [2, 5, 6])  # what is correct is not among the worst
    assert choose_items([], 5, 5, 1) == ([], [])


def extra(symbols: str, words: str, confidence: float | None) -> Extra:
    tokens = [Token(symbol, 0.0, 1.0, confidence) for symbol in symbols]
    return Extra(tokens=tokens, words=[Word(word, 0.0, 1.0, confidence) for word in words.split()])


def test_tokens_that_an_alignment_matches_are_correct() -> None:
    items = [ScoredItem("1", "ab cd", "ab cx"), ScoredItem("2", "", "a"), ScoredItem("3", "b", "b"), ScoredItem("4", "b", "")]
    extras = {"1": extra("ab cx", "ab cx", 0.5), "2": extra("a", "a", 0.25), "3": extra("b", "b", None)}
    assert check_confidences(items, "characters", extras) == [
        ("symbols", [0.5] * 5 + [0.25], [True, True, True, True, False, False]),
        ("words", [0.5, 0.5, 0.25], [True, False, False]),
    ]


def test_confidences_of_another_text_are_left_out() -> None:
    items = [ScoredItem("1", "k ae t", "k eh")]
    assert check_confidences(items, "units", {"1": extra("", "cat", 0.5)}) == []
    units = Extra(tokens=[Token(unit, 0.0, 1.0, 0.5) for unit in ("k", "eh")])
    assert check_confidences(items, "units", {"1": units}) == [("symbols", [0.5, 0.5], [True, False])]


def test_what_reorders_or_hides_text_is_spelled_out() -> None:
    assert spell("a\u202eb\u200fc\u2028\x07\ufeff\ud800") == "a⟨U+202E⟩b⟨U+200F⟩c⟨U+2028⟩⟨U+0007⟩⟨U+FEFF⟩⟨U+D800⟩"
    for kept in ("\u05e9\u05dc\u05d5\u05dd", "\u0645\u06cc\u200c\u062e", "e\u0301", "\ue8bf", "a\u00a0b", "🖋"):
        assert spell(kept) == kept


def test_numbers_and_tokens_as_text() -> None:
    assert (percent(0.1234), percent(None), percent(0.0)) == ("12.3\u00a0%", "\u2013", "0.0\u00a0%")
    assert (interval(0.1, 0.25), interval(None, 0.2)) == ("[10.0, 25.0]", "")
    assert (shorten("abcdef", 4), shorten("abcd", 4)) == ("abc\u2026", "abcd")
    assert (name_token(" "), name_token("ae")) == ("\u2423", "ae")
