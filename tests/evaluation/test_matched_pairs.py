"""Matched pairs: segments and the statistic by hand, segments against a slow independent cut, and the level of the test."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.evaluation.edits import Counts, align
from recognizer.evaluation.matched_pairs import cut_segments, matched_pairs

sequences = st.lists(st.sampled_from("ab"), max_size=10)


def cut_by_marks(first, second, stretch):
    """Segments by marking each agreed stretch on the reference, token by token and gap by gap."""
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
    buffer = {i for run in runs if len(run) >= stretch for i in run}
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
    assert cut_segments(a, b, stretch=3) == [(1, 2), (1, 1)]
    assert cut_segments(a, b, stretch=4) == [(2, 3)]


def test_an_insertion_parts_an_agreed_stretch():
    reference = list("xaby")
    assert cut_segments(align(reference, list("qaby")), align(reference, list("xabq"))) == [(1, 0), (0, 1)]
    assert cut_segments(align(reference, list("qaiby")), align(reference, list("xabq"))) == [(2, 1)]


def test_ends_of_items_part_segments_and_silence_gives_none():
    assert cut_segments(align("abc", "abc"), align("abc", "abc")) == []
    assert cut_segments(align("", "x"), align("", "")) == [(1, 0)]
    assert cut_segments([], []) == []
    with pytest.raises(ValueError, match="2 and 3 reference tokens"):
        cut_segments(align("ab", "ab"), align("abc", "ab"))


@given(sequences, sequences, sequences, st.integers(1, 3))
def test_segments_are_those_of_the_slow_cut_and_hold_every_error(reference, one, other, stretch):
    a, b = align(reference, one), align(reference, other)
    segments = cut_segments(a, b, stretch)
    assert segments == cut_by_marks(a, b, stretch)
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
