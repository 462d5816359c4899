"""Forced alignment: in which frames the labels of a known text lie.

Written here since `torchaudio.functional.forced_align` keeps all T x L back-pointers and knows no hints: an hour would not fit into memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recognizer.decoding.hypothesis import check_log_probs
from recognizer.errors import InputError
from recognizer.utils.compiling import compiled
from recognizer.utils.limits import advice, limits

SINGLE_PASS_BYTES = 1 << 26  # back-pointers, a byte each, up to which nothing is computed twice: 64 MiB
MAX_CELLS = limits().align_cells  # frames x labels

# How the best path came to a label (2 bits) and to a blank (1 bit).
STAY, FROM_BLANK, FROM_LABEL = 0, 1, 2
BLANK_FROM_LABEL = 4


@dataclass(frozen=True)
class Alignment:
    """The best path through the frames that reads a given sequence of labels.

    Attributes:
        labels: CTC labels without blanks, in order.
        starts: as many numbers as ``labels``: the first frame of each label's run.
        stops: the frame after the last of each run; ``starts[i] < stops[i] <= starts[i + 1]``.
        score: natural log probability of the path; 0 where there are no frames.
    """

    labels: tuple[int, ...]
    starts: tuple[int, ...]
    stops: tuple[int, ...]
    score: float


def viterbi_align(
    log_probs: np.ndarray, labels: Sequence[int] | np.ndarray, hints: Sequence[int] | np.ndarray | None = None, window: int = 500
) -> Alignment:
    """Find the likeliest path that collapses to ``labels`` (Viterbi over the 2L + 1 states of Graves et al. 2006, section 4.1).

    Time grows with T x L, memory with L x sqrt(T): up to 64 MiB of back-pointers, beyond that 8 x L x sqrt(T) bytes, for
    which the forward pass is run twice (an hour of 120,000 frames and 40,000 labels: 110 MB). Of equally likely ways to reach
    a frame, one is taken that was in the same state before.

    Args:
        log_probs: natural log probabilities (T, V), label 0 the blank; ``-inf`` is a probability of zero.
        labels: (L,) labels >= 1 in the order in which they are read.
        hints: (L,) about the frame in which each label begins, never falling, as a beam search knows them. Paths are then
            looked for only where label i lies no later than ``hints[i] + window`` and no earlier than
            ``hints[i - 1] - window``; time and memory grow with T x the labels within a window instead.
        window: frames on either side of a hint.

    Raises:
        InputError: log-probs that cannot be decoded, a label outside 1..V-1, more labels than the frames can emit, no path of
            a probability above zero, or more than ``MAX_CELLS`` frames x labels.
    """
    log_probs = check_log_probs(log_probs)
    frames, size = log_probs.shape
    wanted = _check_labels(labels, size)  # (L,)
    count = wanted.size
    if count == 0:
        return Alignment((), (), (), _check_score(float(log_probs[:, 0].sum(dtype=np.float64)), None))
    repeats = int(np.count_nonzero(wanted[1:] == wanted[:-1]))
    if count + repeats > frames:
        between = f" and {repeats} blanks between equal ones" if repeats else ""
        raise InputError(f"{count} labels{between} need at least {count + repeats} frames; there are {frames}")
    first, stop = _find_band(frames, count, None if hints is None else _check_hints(hints, count), window)
    width, cells = int((stop - first).max()), int((stop - first).sum())
    if cells > MAX_CELLS:
        size = f"{frames} frames and {count} labels are {cells:.1e} steps, more than {MAX_CELLS:.1e}"
        raise InputError(f"{size}; give hints, or cut the recording, or {advice('align_cells')}")
    segment = frames if frames * width <= SINGLE_PASS_BYTES else segment_frames(frames)
    table = np.require(log_probs, np.float64, ["C", "W"])  # one kind of array, so that the kernel is compiled once
    score, starts, stops = best_path(table, np.append(wanted, 0), first, stop, width, segment)
    score = _check_score(float(score), None if hints is None else window)
    return Alignment(tuple(wanted.tolist()), tuple(starts.tolist()), tuple(stops.tolist()), score)


def segment_frames(frames: int) -> int:
    """Frames a segment that take the least memory: T / segment columns of two doubles are kept, and ``segment`` columns of bytes."""
    return math.isqrt(16 * frames) + 1


def _check_labels(labels: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
    wanted = np.asarray(labels)
    if wanted.size == 0 and wanted.ndim == 1:
        return np.empty(0, np.int64)
    if wanted.ndim != 1 or wanted.dtype.kind not in "iu":
        raise InputError(f"labels to align are a sequence of whole numbers, found shape {wanted.shape} of {wanted.dtype}")
    outside = np.flatnonzero((wanted < 1) | (wanted >= size))
    if outside.size:
        raise InputError(f"label {wanted[outside[0]]} at position {outside[0]} is outside 1..{size - 1}")
    return wanted.astype(np.int64)


def _check_hints(hints: Sequence[int] | np.ndarray, count: int) -> np.ndarray:
    frames = np.asarray(hints)
    if frames.shape != (count,) or frames.dtype.kind not in "iu" or (np.diff(frames.astype(np.int64)) < 0).any():
        raise InputError(f"hints are one frame for each of the {count} labels, never falling; found shape {frames.shape} of {frames.dtype}")
    return frames.astype(np.int64)


def _find_band(frames: int, count: int, hints: np.ndarray | None, window: int) -> tuple[np.ndarray, np.ndarray]:
    """First pair of a blank and a label allowed in each frame, and the one after the last, each (T,)."""
    time = np.arange(frames)
    first = np.maximum(0, count - frames + time)  # later labels need a frame each
    stop = np.minimum(count, time) + 1  # so did earlier ones
    if hints is not None:
        first = np.maximum(first, np.searchsorted(hints + window, time))
        stop = np.minimum(stop, np.searchsorted(hints - window, time, side="right") + 1)
        if (first >= stop).any():
            raise InputError(f"no path within {window} frames of the hints; widen the window")
    return first, stop


def _check_score(score: float, window: int | None) -> float:
    if score == -math.inf:
        where = "" if window is None else f" within {window} frames of the hints"
        raise InputError(f"every path{where} has a probability of zero")
    return score


@compiled
def best_path(
    log_probs: np.ndarray, labels: np.ndarray, first: np.ndarray, stop: np.ndarray, width: int, segment: int
) -> tuple[float, np.ndarray, np.ndarray]:
    """Score of the best path, and the first frame of each label's run and the frame after its last.

    Scores are kept every ``segment`` frames on the way forwards; back-pointers are made anew, one segment at a time, on
    the way back. So memory is T / segment columns of scores and ``segment`` columns of bytes; with a single segment
    nothing is computed twice.

    Args:
        log_probs: (T, V), T >= 1.
        labels: (L + 1,), L >= 1; the last entry is any label; what it scores is not used.
        first, stop: (T,) the pairs allowed in each frame, neither ever falling.
        width: the most pairs allowed in one frame.
        segment: frames a segment.

    Returns:
        The score, ``-inf`` without a path; starts (L,) and stops (L,).
    """
    frames, count = log_probs.shape[0], labels.size - 1
    skip = np.full(count + 1, -np.inf)  # (L + 1,) what it costs to go from one label to the next without a blank
    for i in range(1, count):
        if labels[i] != labels[i - 1]:
            skip[i] = 0.0
    segments = (frames + segment - 1) // segment
    # of pair i at i + 1; row t % 2 belongs to frame t, so that the last row is that before the first frame
    blanks, symbols = np.full((2, count + 2), -np.inf), np.full((2, count + 2), -np.inf)
    blanks[1, 1] = 0.0
    kept_blanks, kept_symbols = np.empty((segments, width)), np.empty((segments, width))
    back = np.empty((segment, width), np.uint8)
    starts, stops = np.empty(count, np.int64), np.empty(count, np.int64)
    for part in range(segments):
        begin = part * segment
        if part > 0:
            size, row = stop[begin - 1] - first[begin - 1], (begin - 1) % 2
            kept_blanks[part, :size] = blanks[row, first[begin - 1] + 1 : stop[begin - 1] + 1]
            kept_symbols[part, :size] = symbols[row, first[begin - 1] + 1 : stop[begin - 1] + 1]
        _run_forward(log_probs, labels, skip, first, stop, begin, min(frames, begin + segment), blanks, symbols, back)
    last = (frames - 1) % 2
    on_label = first[frames - 1] < count and symbols[last, count] > blanks[last, count + 1]
    score = symbols[last, count] if on_label else blanks[last, count + 1]
    if score == -np.inf:
        return score, starts, stops
    pair = count - 1 if on_label else count
    if on_label:
        stops[pair] = frames
    for part in range(segments - 1, -1, -1):
        begin, end = part * segment, min(frames, (part + 1) * segment)
        if part < segments - 1:
            blanks[:], symbols[:] = -np.inf, -np.inf
            if part == 0:
                blanks[1, 1] = 0.0
            else:
                size, row = stop[begin - 1] - first[begin - 1], (begin - 1) % 2
                blanks[row, first[begin - 1] + 1 : stop[begin - 1] + 1] = kept_blanks[part, :size]
                symbols[row, first[begin - 1] + 1 : stop[begin - 1] + 1] = kept_symbols[part, :size]
            _run_forward(log_probs, labels, skip, first, stop, begin, end, blanks, symbols, back)
        pair, on_label = _trace_back(back, first, begin, end, pair, on_label, starts, stops)
    return score, starts, stops


@compiled
def _run_forward(
    log_probs: np.ndarray, labels: np.ndarray, skip: np.ndarray, first: np.ndarray, stop: np.ndarray, begin: int, end: int,
    blanks: np.ndarray, symbols: np.ndarray, back: np.ndarray,
) -> None:  # fmt: skip
    """Scores of the frames from ``begin`` to ``end``, and their back-pointers."""
    for t in range(begin, end):
        old = (t - 1) % 2
        # the pair before the first was left behind; those after the last have not been reached since the row was cleared
        symbols[old, first[t - 1] if t > 0 else 0] = -np.inf
        low, high = first[t], stop[t]
        inside = slice(low + 1, high + 1)
        _advance(
            log_probs[t], labels[low:high], skip[low:high], blanks[old, inside], symbols[old, inside], symbols[old, low:high],
            blanks[t % 2, inside], symbols[t % 2, inside], back[t - begin],
        )  # fmt: skip


@compiled
def _advance(
    row: np.ndarray, labels: np.ndarray, skip: np.ndarray, blanks: np.ndarray, symbols: np.ndarray, earlier: np.ndarray,
    new_blanks: np.ndarray, new_symbols: np.ndarray, back: np.ndarray,
) -> None:  # fmt: skip
    """One frame of N pairs: new scores and back-pointers, from the scores of the pairs and of the ``earlier`` labels before."""
    # Choices without branches and loops from zero: so the compiler can do several pairs at a time.
    for i in range(labels.size):
        new_symbols[i] = row[labels[i]]
    blank = np.float64(row[0])
    for i in range(labels.size):
        entered = max(blanks[i], earlier[i] + skip[i])
        new_symbols[i] += max(symbols[i], entered)
        new_blanks[i] = blank + max(blanks[i], earlier[i])
    for i in range(labels.size):
        leap = earlier[i] + skip[i]
        entered = max(blanks[i], leap)
        back[i] = (entered > symbols[i]) * (FROM_BLANK + (leap > blanks[i])) + BLANK_FROM_LABEL * (earlier[i] > blanks[i])


@compiled
def _trace_back(
    back: np.ndarray, first: np.ndarray, begin: int, end: int, pair: int, on_label: bool, starts: np.ndarray, stops: np.ndarray
) -> tuple[int, bool]:
    """Fill in the runs of the frames from ``end`` back to ``begin``; return where the path is before them."""
    for t in range(end - 1, begin - 1, -1):
        step = back[t - begin, pair - first[t]]
        if on_label and step & 3 != STAY:
            starts[pair] = t
            on_label = step & 3 == FROM_LABEL
            if on_label:
                pair -= 1
                stops[pair] = t
        elif not on_label and step & BLANK_FROM_LABEL:
            pair, on_label = pair - 1, True
            stops[pair] = t
    return pair, on_label
