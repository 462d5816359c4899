"""Best-path decoding against the definition, all paths of a small alphabet, and a slow loop."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from recognizer.decoding.greedy import ctc_collapse, greedy
from recognizer.errors import InputError
from tests.decoding.brute import collapse_path


def test_collapse_agrees_with_the_definition_on_all_short_paths():
    for length in range(7):
        for path in itertools.product(range(3), repeat=length):
            assert ctc_collapse(path) == ctc_collapse(np.array(path, np.int32)) == list(collapse_path(path)), path


def test_collapse_of_the_example_of_graves_2006():
    a, b, blank = 1, 2, 0
    assert ctc_collapse([a, blank, a, b, blank]) == ctc_collapse([blank, a, a, blank, blank, a, b, b]) == [a, a, b]


@pytest.mark.parametrize("path", [[[1, 2]], [0.5, 1.0], [1, -1], 3, ["a"]])
def test_collapse_refuses_what_is_no_path(path):
    with pytest.raises(InputError, match="a path is a sequence of labels"):
        ctc_collapse(path)


def test_greedy_by_hand():
    path = [0, 2, 2, 0, 2, 1, 1, 0]
    log_probs = np.log(np.full((8, 3), 0.1))
    log_probs[np.arange(8), path] = np.log(0.8)
    hypothesis = greedy(log_probs)
    assert (hypothesis.labels, hypothesis.frames) == ((2, 2, 1), (1, 4, 5))
    assert hypothesis.score == pytest.approx(8 * math.log(0.8))


def test_greedy_is_the_best_of_all_paths():
    generator = np.random.default_rng(3)
    for _ in range(20):
        log_probs = np.log(generator.dirichlet(np.ones(3), size=4))
        best = max(itertools.product(range(3), repeat=4), key=lambda p: sum(log_probs[t, v] for t, v in enumerate(p)))
        hypothesis = greedy(log_probs)
        assert hypothesis.labels == collapse_path(best)
        assert hypothesis.score == pytest.approx(sum(log_probs[t, v] for t, v in enumerate(best)))


# Values of a few kinds only, so that many frames have ties.
@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12), elements=st.sampled_from([-math.inf, -3.0, -1.0])))
def test_greedy_agrees_with_a_loop_and_ties_go_to_the_lowest_label(log_probs):
    labels, frames, previous = [], [], 0
    for t, row in enumerate(log_probs.tolist()):
        label = row.index(max(row))
        if label not in (0, previous):
            labels.append(label)
            frames.append(t)
        previous = label
    hypothesis = greedy(log_probs)
    assert (list(hypothesis.labels), list(hypothesis.frames)) == (labels, frames)
    assert hypothesis.score == sum(max(row) for row in log_probs.tolist())
    assert all(type(n) is int for n in hypothesis.labels + hypothesis.frames) and type(hypothesis.score) is float


def test_score_of_many_float32_frames_is_summed_in_double():
    log_probs = np.full((200_000, 2), -0.1, np.float32)
    assert greedy(log_probs).score == pytest.approx(200_000 * float(np.float32(-0.1)), rel=1e-12)


def test_no_frames_give_an_empty_hypothesis():
    hypothesis = greedy(np.zeros((0, 5), np.float32))
    assert (hypothesis.labels, hypothesis.frames, hypothesis.score) == ((), (), 0.0)


def frame_of(value: float) -> np.ndarray:
    log_probs = np.full((6, 3), -1.0)
    log_probs[4, 2] = value
    return log_probs


@pytest.mark.parametrize(
    ("log_probs", "message"),
    [
        *((np.zeros(shape), "two axes") for shape in ((3,), (2, 3, 4), (0,), ())),
        *((np.zeros((frames, 1)), "at least two labels") for frames in (0, 3)),
        *((frame_of(value), "1 of 6 frames, the first is frame 4") for value in (math.nan, math.inf)),
    ],
)
def test_impossible_log_probs_are_refused(log_probs, message):
    with pytest.raises(InputError, match=message):
        greedy(log_probs)
