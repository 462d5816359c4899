"""Where long log-probs are cut, and what becomes of the hypotheses of the segments."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from recognizer.config import DecoderConfig
from recognizer.decoding.beam import BeamDecoder
from recognizer.decoding.greedy import greedy
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.decoding.segments import find_segments, join, join_n_best
from recognizer.text.alphabet import Alphabet
from tests.decoding.brute import peaked, random_log_probs

NO_SPACES = np.zeros(1000, bool)


def silence(frames: int, *runs: tuple[int, int]) -> np.ndarray:
    """Log probs of silence: sure within the runs."""
    values = np.full(frames, -5.0)
    for begin, stop in runs:
        values[begin:stop] = -0.01
    return values


def test_cuts_lie_in_the_longest_pause_that_a_segment_can_reach() -> None:
    assert find_segments(silence(300, (20, 45), (60, 66), (70, 80), (90, 95), (140, 150), (230, 240)), NO_SPACES, 100) == [0, 75, 145, 235, 300]


def test_cuts_lie_behind_spaces() -> None:
    spaces = np.zeros(150, bool)
    spaces[[72, 77]] = True
    assert find_segments(silence(150, (70, 80)), spaces, 100) == [0, 78, 150]
    spaces[79] = True  # at the end of the pause: the next word begins with it
    assert find_segments(silence(150, (70, 80)), spaces, 100) == [0, 78, 150]


def test_without_a_pause_the_most_silent_frame_is_cut() -> None:
    values = silence(150)
    values[[40, 66]] = -1.0
    assert find_segments(values, NO_SPACES, 100) == [0, 66, 150]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_no_segment_is_empty_or_longer_than_the_limit(limit: int) -> None:
    for frames in (0, 1, limit, limit + 1, 2 * limit + 1, 200):
        values = random_log_probs(frames, max(frames, 1))[:frames, 0]
        bounds = find_segments(values, NO_SPACES[:frames], limit)
        assert bounds[0] == 0 and bounds[-1] == frames
        assert frames == 0 or all(0 < stop - begin <= limit for begin, stop in pairwise(bounds))


def said(labels: tuple[int, ...], score: float, words: tuple[str, ...] = (), spans: tuple[tuple[int, int], ...] = ()) -> Hypothesis:
    return Hypothesis(labels, tuple(range(len(labels))), score, score - 1, 0.75, 0.25, words, spans)


def test_words_are_joined_with_one_separator_and_labels_without() -> None:
    first, third = said((2, 3), -1.0, ("ab",), ((0, 2),)), said((3, 1), -2.0, ("b",), ((0, 1),))
    parts = [(0, first), (10, said((), -0.5)), (20, third), (30, said((2,), -4.0, ("a",), ((0, 1),)))]
    joined, places = join(parts, 1)
    assert joined.labels == (2, 3, 1, 3, 1, 2) and joined.frames == (0, 1, 20, 20, 21, 30) and places == [0, 2, 3, 5]
    assert joined.words == ("ab", "b", "a") and joined.spans == ((0, 2), (3, 4), (5, 6))
    assert (joined.score, joined.acoustic, joined.language, joined.bonus) == (-7.5, -11.5, 3.0, 1.0)
    assert join(parts, 0)[0].labels == (2, 3, 3, 1, 2)


def test_alternatives_differ_in_one_segment_and_none_comes_twice() -> None:
    first = [said((1,), -1.0), said((1, 2), -3.0), said((3,), -9.0)]
    second = [said((2,), -1.0), said((2, 2), -1.5), said((), -6.0)]
    found = join_n_best([(0, first), (5, second)], 0, 4, lambda h: h.labels)
    assert [(h.labels, h.score) for h in found] == [((1, 2), -2.0), ((1, 2, 2), -2.5), ((1,), -7.0), ((3, 2), -10.0)]  # 1 2 + 2 is 1 + 2 2
    assert [segment.place for segment in found[0].segments] == [0, 1] and found[0].segments[1].hypotheses == tuple(second)
    assert all(h.segments == () for h in found[1:])


def test_a_beam_search_is_cut_and_a_greedy_one_is_not() -> None:
    alphabet = Alphabet(("a", "b", "c"))
    table = np.concatenate([peaked([1, 0, 2, 2, 0, 3, 0, 0, 0, 0], 4)] * 10)
    beam, best_path = (BeamDecoder(alphabet, DecoderConfig(kind="beam", beam_size=size)) for size in (8, 1))
    whole = beam.decode(table)[0]
    beam.whole_frames = best_path.whole_frames = 25
    cut = beam.decode(table, 3)[0]
    assert len(cut.segments) == 5 and cut.labels == whole.labels == (1, 2, 3) * 10 and cut.frames == whole.frames
    assert cut.score == pytest.approx(whole.score, abs=1e-3)
    assert list(beam.decode_all([table, table[:20]], 3, threads=3)) == [beam.decode(table, 3), beam.decode(table[:20], 3)]
    assert BeamDecoder(alphabet, DecoderConfig(kind="beam", beam_size=1)).decode(np.tile(table, (11, 1))) == [greedy(np.tile(table, (11, 1)))]
