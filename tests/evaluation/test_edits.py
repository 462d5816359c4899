"""Tokens; and alignments against all alignments of tiny sequences, against editdistance, and by hand."""

from __future__ import annotations

import functools
import itertools

import editdistance
from hypothesis import given
from hypothesis import strategies as st

from recognizer.evaluation.edits import Counts, Edit, align, characters, error_rate, units, words

sequences = st.lists(st.sampled_from("abc"), max_size=12)
texts = st.text(max_size=20)


@functools.cache
def all_alignments(reference: str, hypothesis: str) -> list[tuple[str, ...]]:
    """Every sequence of steps that turns one into the other."""
    if not reference and not hypothesis:
        return [()]
    found = []
    if reference and hypothesis:
        step = "match" if reference[0] == hypothesis[0] else "substitution"
        found += [(step, *rest) for rest in all_alignments(reference[1:], hypothesis[1:])]
    if reference:
        found += [("deletion", *rest) for rest in all_alignments(reference[1:], hypothesis)]
    if hypothesis:
        found += [("insertion", *rest) for rest in all_alignments(reference, hypothesis[1:])]
    return found


def test_characters_words_and_units():
    assert characters("e\u0301te\u0301 ") == characters("\u00e9t\u00e9 ") == ["\u00e9", "t", "\u00e9", " "]  # an accent is no token of its own
    assert words("  l'e\u0301te\u0301,\tfini .\n") == ["l'\u00e9t\u00e9,", "fini", "."]
    assert units(" sil  k ae\n") == units(("sil", "k", "ae")) == ["sil", "k", "ae"]
    assert characters("") == words(" ") == units("") == []


def test_alignment_is_the_documented_one_of_all_alignments():
    preference = {"match": 0, "substitution": 0, "deletion": 1, "insertion": 2}
    strings = ["".join(s) for n in range(5) for s in itertools.product("ab", repeat=n)]
    for reference, hypothesis in itertools.product(strings, repeat=2):
        def order(steps):
            errors = sum(step != "match" for step in steps)
            return errors, -steps.count("match"), [preference[step] for step in reversed(steps)]

        best = min(all_alignments(reference, hypothesis), key=order)
        assert tuple(e.kind for e in align(reference, hypothesis)) == best, (reference, hypothesis)


def test_example_with_every_kind_of_error():
    # the  cat  sat  on  the  -    mat
    # the  bat  sat  -   the  red  mat
    edits = align(["the", "cat", "sat", "on", "the", "mat"], ["the", "bat", "sat", "the", "red", "mat"])
    assert [edit.kind for edit in edits] == ["match", "substitution", "match", "deletion", "match", "insertion", "match"]
    assert [edit[1:] for edit in edits if edit.kind != "match"] == [("cat", "bat"), ("on", None), (None, "red")]
    counts = Counts.of(edits)
    assert counts == Counts(matches=4, substitutions=1, deletions=1, insertions=1)
    assert (counts.errors, counts.reference, counts.rate) == (3, 6, 0.5)
    assert sum([counts, Counts(10, 20, 30, 40)], Counts()) == Counts(14, 21, 31, 41)


@given(texts, texts)
def test_alignment_spells_both_sides(reference, hypothesis):
    edits = align(reference, hypothesis)
    assert "".join(e.reference for e in edits if e.reference is not None) == reference
    assert "".join(e.hypothesis for e in edits if e.hypothesis is not None) == hypothesis
    assert all((e.kind == "match") == (e.reference == e.hypothesis) for e in edits)
    assert all((e.kind == "insertion") == (e.reference is None) for e in edits)
    assert all((e.kind == "deletion") == (e.hypothesis is None) for e in edits)


@given(sequences, sequences)
def test_counts_sum_to_the_edit_distance(reference, hypothesis):
    counts = Counts.of(align(reference, hypothesis))
    assert counts.errors == editdistance.eval(reference, hypothesis)
    assert counts.reference == len(reference)
    assert counts.matches + counts.substitutions + counts.insertions == len(hypothesis)


@given(sequences, sequences)
def test_counts_mirror_when_the_sides_swap_and_stay_when_both_are_reversed(reference, hypothesis):
    c = Counts.of(align(reference, hypothesis))
    assert Counts.of(align(hypothesis, reference)) == Counts(c.matches, c.substitutions, c.insertions, c.deletions)
    assert Counts.of(align(reference[::-1], hypothesis[::-1])) == c


def test_empty_and_long_sides():
    assert align("", "") == []
    assert align("ab", "") == [Edit("deletion", "a", None), Edit("deletion", "b", None)]
    assert align("", "ab") == [Edit("insertion", None, "a"), Edit("insertion", None, "b")]
    assert Counts(insertions=2).rate is None
    assert Counts.of(align("a" * 3000, "a" * 2000 + "b" * 500)) == Counts(2000, 500, 500, 0)  # no overflow


def test_error_rate_of_pairs_is_errors_by_reference_tokens():
    assert error_rate([((1, 2, 3), (1, 3)), ((4,), (5, 4))]) == 2 / 4  # labels do as tokens
    assert error_rate([([], ["a"])]) is None
    assert error_rate([]) is None


def test_optional_tokens_are_left_out_for_nothing():
    assert align("aba", "b", "a") == [Edit("match", "a", None), Edit("match", "b", "b"), Edit("match", "a", None)]
    assert align("aba", "aba", "a") == align("aba", "aba")
    assert Counts.of(align("ab", "ba", "a")) == Counts(matches=2, insertions=1)  # inserting one is an error all the same
    assert Counts.of(align("ac", "b", "a")) == Counts(matches=1, substitutions=1)
    assert align("ab", "b", "x") == align("ab", "b")


def test_with_optional_tokens_the_weight_is_least_of_all_alignments():
    def weigh(steps, reference):
        left = iter(reference)
        tokens = [None if step == "insertion" else next(left) for step in steps]
        return sum({"match": 0, "substitution": 4, "insertion": 3, "deletion": 2 if token == "a" else 3}[step]
                   for step, token in zip(steps, tokens, strict=True))

    strings = ["".join(s) for n in range(5) for s in itertools.product("ab", repeat=n)]
    for reference, hypothesis in itertools.product(strings, repeat=2):
        edits = align(reference, hypothesis, optional="a")
        steps = ["deletion" if e.hypothesis is None else e.kind for e in edits]
        if "a" in reference:
            assert weigh(steps, reference) == min(weigh(s, reference) for s in all_alignments(reference, hypothesis))
        assert all(e.kind == "match" if e.reference == "a" else e.kind == "deletion" for e in edits if e.hypothesis is None)
        assert "".join(e.reference or "" for e in edits) == reference and "".join(e.hypothesis or "" for e in edits) == hypothesis
