"""Times: frames become seconds or pixels, words are told apart, and gaps are shared without overlap."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.decoding.timing import FrameTimes, fill_gaps, split_words, time_tokens, time_words
from recognizer.types import Token, Word


def test_seconds_of_a_recording() -> None:
    times = FrameTimes.of_audio(0.03, 1.0)
    assert [times.at(frame) for frame in (0, 10, 33, 34)] == pytest.approx([0.0, 0.3, 0.99, 1.0])  # the last frame reaches beyond the end


def test_pixels_of_a_line() -> None:
    assert FrameTimes.of_line(4, 64, 200).at(10) == 40.0
    times = FrameTimes.of_line(4, 64, 200, offset=15, scale=1.5)
    assert [times.at(frame) for frame in (0, 10, 50, 51)] == [15.0, 75.0, 315.0, 315.0]
    assert times.reach == pytest.approx(1.5 * FrameTimes.of_line(4, 64, 200).reach)
    assert FrameTimes.of_line(4, 64, 200, offset=-3).at(0) == 0.0  # a deslanted picture begins left of what it was


@given(st.text("a b", max_size=20))
def test_words_are_those_between_spaces(text: str) -> None:
    assert [text[begin:end] for begin, end in split_words(list(text))] == text.split()


def test_tokens_and_words_of_an_alignment() -> None:
    times = FrameTimes(0.1, 0.05, end=2.0)
    tokens = time_tokens(list("ab c"), [1, 3, 5, 9], [2, 4, 6, 12], times, [0.9, 0.8, 0.7, 0.6])
    assert tokens[1] == Token("b", pytest.approx(0.3), 0.4, 0.8)
    assert time_tokens(["a"], [1], [2], times) == (Token("a", 0.1, 0.2, None),)
    words = time_words(tokens, split_words("ab c"), times, confidences=[0.8, 0.6])
    assert words == (
        Word("ab", pytest.approx(0.05), pytest.approx(0.45), 0.8), Word("c", pytest.approx(0.85), pytest.approx(1.25), 0.6),
    )  # fmt: skip
    assert time_words(tokens, [(0, 4)], FrameTimes(0.1, 0.0), texts=["all"]) == (Word("all", 0.1, pytest.approx(1.2)),)


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
