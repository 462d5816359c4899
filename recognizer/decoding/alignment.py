"""Forced alignment: in which frames the labels of a known text lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recognizer.decoding.emissions import check_log_probs
from recognizer.errors import InputError

SINGLE_PASS = 1 << 26  # back-pointers, a byte each, up to which nothing is computed twice: 64 MiB
MOST_CELLS = 1 << 34  # frames x labels that are aligned; about half a minute of one processor


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
            a probability above zero, or more than ``MOST_CELLS`` frames x labels.
    """
    log_probs = check_log_probs(log_probs)
    frames, size = log_probs.shape
    wanted = _check_labels(labels, size)  # (L,)
    count = wanted.size
    if count == 0:
        return Alignment((), (), (), _finite(float(log_probs[:, 0].sum(dtype=np.float64)), None))
    repeats = int(np.count_nonzero(wanted[1:] == wanted[:-1]))
    if count + repeats > frames:
        between = f" and {repeats} blanks between equal ones" if repeats else ""
        raise InputError(f"{count} labels{between} need at least {count + repeats} frames; there are {frames}")
    first, stop = _band(frames, count, None if hints is None else _check_hints(hints, count), window)
    width, cells = int((stop - first).max()), int((stop - first).sum())
    if cells > MOST_CELLS:
        raise InputError(
            f"{frames} frames and {count} labels are {cells:.1e} steps, more than {MOST_CELLS:.1e}; give hints, or cut the recording"
        )
    from recognizer.decoding.alignment_kernel import best_path

    segment = frames if frames * width <= SINGLE_PASS else segment_frames(frames)
    table = np.require(log_probs, np.float64, ["C", "W"])  # one kind of array, so that the kernel is compiled once
    score, starts, stops = best_path(table, np.append(wanted, 0), first, stop, width, segment)
    score = _finite(float(score), None if hints is None else window)
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


def _band(frames: int, count: int, hints: np.ndarray | None, window: int) -> tuple[np.ndarray, np.ndarray]:
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


def _finite(score: float, window: int | None) -> float:
    if score == -math.inf:
        where = "" if window is None else f" within {window} frames of the hints"
        raise InputError(f"every path{where} has a probability of zero")
    return score
