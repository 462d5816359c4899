"""Forced alignment against all paths of small inputs, against torchaudio, and against itself in segments and within hints."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recognizer.decoding import alignment as module
from recognizer.decoding.alignment import Alignment, viterbi_align
from recognizer.decoding.greedy import ctc_collapse, greedy
from recognizer.errors import InputError
from tests.decoding import brute


def random_log_probs(seed: int, frames: int, size: int, sharpness: float = 2.0) -> np.ndarray:
    return brute.random_log_probs(seed, frames, size, sharpness).astype(np.float32)


def path_of(alignment: Alignment, frames: int) -> list[int]:
    path = [0] * frames
    for label, start, stop in zip(alignment.labels, alignment.starts, alignment.stops, strict=True):
        path[start:stop] = [label] * (stop - start)
    return path


def score_of(path: list[int], log_probs: np.ndarray) -> float:
    return float(log_probs[np.arange(len(path)), path].sum(dtype=np.float64))


def needed(labels: list[int]) -> int:
    return len(labels) + sum(a == b for a, b in itertools.pairwise(labels))


@pytest.mark.parametrize("frames", range(1, 7))
def test_best_of_all_paths(frames: int) -> None:
    paths = [list(path) for path in itertools.product(range(3), repeat=frames)]
    for count in range(frames + 1):
        for number, labels in enumerate(itertools.product((1, 2), repeat=count)):
            log_probs = random_log_probs(1000 * count + number, frames, 3)
            fitting = [path for path in paths if ctc_collapse(path) == list(labels)]
            if not fitting:
                with pytest.raises(InputError, match=f"need at least {needed(list(labels))} frames; there are {frames}"):
                    viterbi_align(log_probs, labels)
                continue
            best = max(fitting, key=lambda path: score_of(path, log_probs))
            found = viterbi_align(log_probs, labels)
            assert path_of(found, frames) == best and found.labels == labels
            assert found.score == pytest.approx(score_of(best, log_probs), abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.lists(st.integers(1, 3), min_size=1, max_size=20))
@settings(max_examples=150, deadline=None)
def test_runs_are_in_order_and_read_the_labels(seed: int, frames: int, labels: list[int]) -> None:
    assume(needed(labels) <= frames)
    log_probs = random_log_probs(seed, frames, 4, 4.0)
    found = viterbi_align(log_probs, labels)
    assert all(start < stop for start, stop in zip(found.starts, found.stops, strict=True))
    assert all(stop <= start for stop, start in zip(found.stops, found.starts[1:], strict=False))
    assert found.starts[0] >= 0 and found.stops[-1] <= frames
    path = path_of(found, frames)
    assert ctc_collapse(path) == labels and found.score == pytest.approx(score_of(path, log_probs), rel=1e-6)
    assert all(type(number) is int for number in found.starts + found.stops + found.labels)
    assert viterbi_align(log_probs.astype(np.float64), labels) == found


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_torchaudio(seed: int) -> None:
    import torch
    from torchaudio.functional import forced_align

    generator = np.random.default_rng(seed)
    labels = generator.integers(1, 12 if seed % 2 else 3, int(generator.integers(1, 60)))
    frames = needed(labels.tolist()) + int(generator.integers(0, 80))
    log_probs = random_log_probs(seed, frames, 12)
    path, scores = forced_align(torch.from_numpy(log_probs)[None], torch.from_numpy(labels)[None].int(), blank=0)
    found = viterbi_align(log_probs, labels)
    assert path_of(found, frames) == path[0].tolist()
    assert found.score == pytest.approx(float(scores.sum()), abs=1e-2)


def test_the_greedy_path_is_found_again() -> None:
    log_probs = random_log_probs(1, 200, 6)
    hypothesis = greedy(log_probs)
    found = viterbi_align(log_probs, hypothesis.labels)
    assert found.starts == hypothesis.frames and found.score == pytest.approx(hypothesis.score)
    assert path_of(found, 200) == log_probs.argmax(axis=1).tolist()


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.lists(st.integers(1, 3), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_segments_change_nothing(seed: int, frames: int, labels: list[int]) -> None:
    assume(needed(labels) <= frames)
    log_probs = random_log_probs(seed, frames, 4)
    whole = viterbi_align(log_probs, labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SINGLE_PASS_BYTES", 0)
        for segment in (1, 2, 7):
            patch.setattr(module, "segment_frames", lambda frames, segment=segment: segment)
            assert viterbi_align(log_probs, labels) == whole


def test_right_hints_change_nothing_but_the_work() -> None:
    labels = np.random.default_rng(2).integers(1, 30, 600)
    log_probs = random_log_probs(2, 3000, 30)
    whole = viterbi_align(log_probs, labels)
    longest = max(stop - start for start, stop in zip(whole.starts, whole.stops, strict=True))
    assert viterbi_align(log_probs, labels, whole.starts, window=longest - 1) == whole
    assert viterbi_align(log_probs, labels, np.maximum(np.array(whole.starts) - 40, 0), window=40 + longest) == whole


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 3), min_size=1, max_size=8), st.integers(0, 6))
@settings(max_examples=100, deadline=None)
def test_hints_keep_labels_within_their_window(seed: int, labels: list[int], window: int) -> None:
    frames = 24
    log_probs = random_log_probs(seed, frames, 4)
    hints = np.sort(np.random.default_rng(seed).integers(0, frames, len(labels)))
    try:
        found = viterbi_align(log_probs, labels, hints, window)
    except InputError as error:
        assert f"within {window} frames of the hints" in str(error)
        return
    assert ctc_collapse(path_of(found, frames)) == labels
    assert found.score <= viterbi_align(log_probs, labels).score
    assert all(stop - 1 <= hint + window for stop, hint in zip(found.stops, hints, strict=True))
    assert all(start >= hint - window for start, hint in zip(found.starts[1:], hints[:-1], strict=True))


def test_a_window_begins_and_ends_where_it_says() -> None:
    log_probs = np.full((12, 3), -1.0)
    log_probs[[0, 3], [1, 2]] = 0.0
    assert viterbi_align(log_probs, [1, 2], [5, 9], 2).score == pytest.approx(-10.0)  # 2 may begin in frame 5 - 2
    assert viterbi_align(log_probs, [1, 2], [6, 9], 2).score == pytest.approx(-11.0)
    log_probs[[3, 8], 2] = -1.0, 0.0
    assert viterbi_align(log_probs, [1, 2], [0, 6], 2).score == pytest.approx(-10.0)  # and last until frame 6 + 2
    assert viterbi_align(log_probs, [1, 2], [0, 5], 2).score == pytest.approx(-11.0)


@pytest.mark.slow
def test_an_hour_within_hints_takes_little(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_CELLS", 120_000 * 210)
    generator = np.random.default_rng(3)
    frames, count = 120_000, 40_000
    labels = generator.integers(1, 8, count)
    hints = np.arange(count) * 3
    log_probs = np.full((frames, 8), -5.0, np.float32)
    log_probs[:, 0] = -1.0
    log_probs[hints, labels] = -0.1
    assert viterbi_align(log_probs, labels, hints, 300).starts == tuple(hints.tolist())


def test_nothing_to_align() -> None:
    log_probs = random_log_probs(0, 5, 3)
    assert viterbi_align(log_probs, []) == Alignment((), (), (), pytest.approx(score_of([0] * 5, log_probs)))
    assert viterbi_align(np.zeros((0, 3)), []) == Alignment((), (), (), 0.0)
    with pytest.raises(InputError, match="1 labels need at least 1 frames; there are 0"):
        viterbi_align(np.zeros((0, 3)), [1])


def test_impossible_labels_are_avoided_or_refused() -> None:
    log_probs = np.array([[-1.0, -0.1, -math.inf], [-0.1, -math.inf, -2.0], [-1.0, -math.inf, -0.2]])
    assert viterbi_align(log_probs, [1, 2]).starts == (0, 2)
    for table, labels in ((log_probs, [2, 1]), (np.full((2, 3), -math.inf), [])):
        with pytest.raises(InputError, match="every path has a probability of zero"):
            viterbi_align(table, labels)
    log_probs[1, 0] = math.nan
    with pytest.raises(InputError, match="NaN or \\+inf in 1 of 3 frames, the first is frame 1"):
        viterbi_align(log_probs, [1])


def test_repeats_need_a_blank_between() -> None:
    log_probs = np.full((3, 2), -1.0)
    found = viterbi_align(log_probs, [1, 1])
    assert (found.starts, found.stops) == ((0, 2), (1, 3))
    with pytest.raises(InputError, match=r"3 labels and 2 blanks between equal ones need at least 5 frames; there are 3"):
        viterbi_align(log_probs, [1, 1, 1])


@pytest.mark.parametrize(
    ("labels", "hints", "words"),
    [
        ([0], None, "label 0 at position 0 is outside 1..2"),
        ([1, 3], None, "label 3 at position 1"),
        ([[1]], None, "whole numbers"),
        ([1.0], None, "whole numbers"),
        *(([1, 2], hints, "one frame for each of the 2 labels, never falling") for hints in ([1], [2, 1], [0.5, 1.0])),
    ],
)
def test_wrong_labels_and_hints_are_refused(labels, hints, words: str) -> None:
    with pytest.raises(InputError, match=words):
        viterbi_align(np.zeros((4, 3)), labels, hints)


def test_too_much_is_refused_with_its_numbers(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_CELLS", 100)
    with pytest.raises(InputError, match=r"40 frames and 10 labels are 3\.\de\+02 steps, more than 1\.0e\+02; give hints"):
        viterbi_align(np.zeros((40, 3)), [1, 2] * 5)


def test_any_layout_of_memory_will_do() -> None:
    log_probs = random_log_probs(5, 30, 5)
    expected = viterbi_align(log_probs, [1, 2, 2])
    frozen = log_probs.copy()
    frozen.flags.writeable = False
    for other in (np.asfortranarray(log_probs), np.repeat(log_probs, 2, axis=0)[::2], frozen):
        assert viterbi_align(other, np.array([1, 2, 2], np.int32)) == expected
    assert viterbi_align(log_probs.astype(np.float16), [1, 2, 2]).labels == (1, 2, 2)
