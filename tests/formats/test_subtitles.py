"""Subtitles: lines short enough to read, cut where people pause, in order."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.errors import ConfigError
from recognizer.formats.base import choose_writers
from recognizer.formats.subtitles import MAX_SECONDS, PAUSE_SECONDS, Cue, CueLayout, Srt, Vtt, cut_cues
from recognizer.types import Transcript, Word

ONE_LINE = CueLayout(max_line_count=1)


def spoken(text: str, each: float = 0.3) -> list[Word]:
    return [Word(word, n * each, (n + 1) * each) for n, word in enumerate(text.split())]


def test_both_formats() -> None:
    words = (Word("a", 0.48, 0.6), Word('"b"', 0.6, 1.25), Word("<c", 3660.0, 3661.0004))
    transcript = Transcript("in/talk.wav", 'a "b" <c', seconds=3661.5, words=words)
    assert Srt().render(transcript).split("\n") == [
        "1", "00:00:00,480 --> 00:00:01,480", 'a "b"', "", "2", "01:01:00,000 --> 01:01:01,000", "<c"]  # fmt: skip
    assert Vtt().render(transcript).split("\n") == [
        "WEBVTT", "", "00:00:00.480 --> 00:00:01.480", 'a "b"', "", "01:01:00.000 --> 01:01:01.000", "&lt;c"]  # fmt: skip


def test_a_short_sentence_is_one_line_that_stays_a_while() -> None:
    assert cut_cues(spoken("so it is"), 5.0) == [Cue(0.0, 1.0, "so it is")]
    assert cut_cues(spoken("so it is"), 0.95) == [Cue(0.0, 0.95, "so it is")]
    assert cut_cues([]) == []


def test_a_pause_begins_a_new_line() -> None:
    words = [Word("one", 0.0, 0.4), Word("two", 0.9, 1.2), Word("three", 1.9, 2.5)]
    assert [cue.text for cue in cut_cues(words)] == ["one two", "three"]
    close = [Word("one", 0.0, 0.4), Word("two", 0.4 + PAUSE_SECONDS, 1.2)]
    assert cut_cues(close) == [Cue(0.0, 1.0, "one"), Cue(1.0, 2.0, "two")]  # the first stays until the second


def test_long_speech_is_cut_evenly_and_at_the_ends_of_sentences() -> None:
    text = "This is the end. And here begins another one"
    assert len(text) > ONE_LINE.max_line_width
    assert [cue.text for cue in cut_cues(spoken(text), layout=ONE_LINE)] == ["This is the end.", "And here begins another one"]
    assert [cue.text for cue in cut_cues(spoken(text))] == ["This is the end.\nAnd here begins another one"]
    lengths = [len(cue.text) for cue in cut_cues(spoken("abcd " * 36, 0.1), layout=ONE_LINE)]
    assert len(lengths) == 5 and min(lengths) >= 34


def test_two_lines_a_cue_and_no_more() -> None:
    cues = cut_cues(spoken("abcd " * 36, 0.1))
    assert [cue.text.count("\n") for cue in cues] == [1, 1, 1] and all(len(line) <= 42 for cue in cues for line in cue.text.split("\n"))


def test_words_in_a_line_are_counted() -> None:
    cues = cut_cues(spoken("a b c d e f g", 0.2), layout=CueLayout(max_words_per_line=2))
    assert sorted(len(line.split()) for cue in cues for line in cue.text.split("\n")) == [1, 2, 2, 2] and len(cues) == 2


def test_options_reach_the_writers() -> None:
    srt, txt = choose_writers("srt,txt", "audio", max_line_width=10, max_line_count=1, max_words_per_line=None)
    transcript = Transcript("a.wav", "one two three four", seconds=2.0, words=tuple(spoken("one two three four", 0.1)))
    assert srt.render(transcript).splitlines()[2::4] == ["one two", "three four"] and txt.render(transcript) == "one two three four"
    assert len(Srt().render(transcript).splitlines()) == 3
    with pytest.raises(ConfigError, match="--max-line-width: 0 is not a number of 1 or more"):
        choose_writers("vtt", max_line_width=0)


def test_slow_speech_is_cut_by_time() -> None:
    cues = cut_cues(spoken("a b c d e f g h", each=2.0))
    assert sorted(len(cue.text.split()) for cue in cues) == [2, 3, 3]
    assert cut_cues([Word("x" * 60, 0.0, 9.0)]) == [Cue(0.0, 9.0, "x" * 60)]


@given(
    shapes=st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1), st.floats(0.01, 9)), max_size=40),
    width=st.integers(1, 60), count=st.integers(1, 3), most=st.none() | st.integers(1, 6),
)  # fmt: skip
def test_nothing_is_lost_and_nothing_overlaps(shapes, width: int, count: int, most: int | None) -> None:
    words, now = [], 0.0
    for n, (length, gap, lasting) in enumerate(shapes):
        words.append(Word(f"{n % 10}" * length, now + gap, now + gap + lasting))
        now += gap + lasting
    cues = cut_cues(words, now, CueLayout(width, count, most))
    assert " ".join(cue.text.replace("\n", " ") for cue in cues) == " ".join(word.text for word in words)
    for cue in cues:
        lines = cue.text.split("\n")
        assert len(lines) <= count and all(" " not in line or len(line) <= width for line in lines)
        assert most is None or all(len(line.split()) <= most for line in lines)
        assert len(cue.text.split()) == 1 or cue.end - cue.start <= MAX_SECONDS + 1e-9
        assert cue.start < cue.end <= now + 1e-9
    for a, b in pairwise(cues):
        assert a.end <= b.start + 1e-9 and (a.end - a.start >= 0.999 or a.end == pytest.approx(b.start))


def test_control_characters_are_replaced() -> None:
    transcript = Transcript("a.wav", "a\x1b \x00b", seconds=1.0, words=(Word("a\x1b", 0.0, 0.4), Word("\x00b", 0.4, 1.0)))
    assert [writer.render(transcript).splitlines()[-1] for writer in (Srt(), Vtt())] == 2 * ["a\ufffd \ufffdb"]
