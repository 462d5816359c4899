"""Times: frames become seconds or pixels, words are told apart, and gaps are shared without overlap."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.decoding.timing import Clock, Token, Word, fill_gaps, join_words, split_words, time_tokens, time_words


def test_seconds_of_a_recording() -> None:
    clock = Clock.of_audio(0.03, 1.0)
    assert [clock.at(frame) for frame in (0, 10, 33, 34)] == pytest.approx([0.0, 0.3, 0.99, 1.0])  # the last frame reaches beyond the end


def test_pixels_of_a_line() -> None:
    assert Clock.of_line(4, 64, 200).at(10) == 40.0
    clock = Clock.of_line(4, 64, 200, offset=15, scale=1.5)
    assert [clock.at(frame) for frame in (0, 10, 50, 51)] == [15.0, 75.0, 315.0, 315.0]
    assert clock.reach == pytest.approx(1.5 * Clock.of_line(4, 64, 200).reach)
    assert Clock.of_line(4, 64, 200, offset=-3).at(0) == 0.0  # a deslanted picture begins left of what it was


def test_words_lie_between_spaces() -> None:
    assert split_words(list("ab c")) == [(0, 2), (3, 4)]
    assert split_words(list("  a  bc ")) == [(2, 3), (5, 7)]
    assert split_words([]) == split_words([" "]) == []


@given(st.text("a b", max_size=20))
def test_words_are_those_that_split_finds(text: str) -> None:
    assert [text[begin:end] for begin, end in split_words(list(text))] == text.split()


def test_tokens_and_words_of_an_alignment() -> None:
    clock = Clock(0.1, 0.05, end=2.0)
    tokens = time_tokens(list("ab c"), [1, 3, 5, 9], [2, 4, 6, 12], clock, [0.9, 0.8, 0.7, 0.6])
    assert tokens[1] == Token("b", pytest.approx(0.3), 0.4, 0.8)
    words = join_words(tokens, split_words("ab c"), confidences=[0.8, 0.6])
    assert words == (Word("ab", 0.1, 0.4, 0.8), Word("c", pytest.approx(0.9), pytest.approx(1.2), 0.6))
    assert time_words(tokens, [(0, 2), (3, 4)], clock) == (
        Word("ab", pytest.approx(0.05), pytest.approx(0.45)), Word("c", pytest.approx(0.85), pytest.approx(1.25)),
    )  # fmt: skip
    named = join_words(tokens, [(0, 4)], texts=["all"])
    assert named == (Word("all", 0.1, pytest.approx(1.2)),)


def test_gaps_are_shared() -> None:
    words = (Word("a", 1.0, 2.0), Word("b", 3.0, 4.0), Word("c", 4.0, 5.0))
    assert fill_gaps(words, math.inf, 9.0) == (Word("a", 0.0, 2.5), Word("b", 2.5, 4.0), Word("c", 4.0, 9.0))
    assert fill_gaps(words, 0.25) == (Word("a", 0.75, 2.25), Word("b", 2.75, 4.0), Word("c", 4.0, 5.25))
    assert fill_gaps(words, 0.0, 5.0) == words and fill_gaps((), 1.0) == ()


@given(st.lists(st.floats(0, 100), min_size=2, max_size=20), st.floats(0, 50))
def test_filling_keeps_order_and_never_shrinks(points: list[float], reach: float) -> None:
    points = sorted(points)[: len(points) // 2 * 2]
    words = tuple(Word("w", start, end) for start, end in zip(points[::2], points[1::2], strict=True))
    filled = fill_gaps(words, reach, 100.0)
    for before, after in zip(words, filled, strict=True):
        assert 0 <= after.start <= before.start <= before.end <= after.end <= 100.0
        assert before.start - after.start <= reach + 1e-9 and after.end - before.end <= reach + 1e-9
    assert all(a.end <= b.start for a, b in pairwise(filled))
