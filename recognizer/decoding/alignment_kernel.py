"""The recursion of forced alignment, compiled; apart from its caller so that nobody waits for numba who does not align.

Labels and the blanks around them are kept in pairs: pair i is the blank before label i and label i itself, pair L is the
blank at the end with a label that no other pair and no result depends on.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# How the best path came to a label (2 bits) and to a blank (1 bit).
STAY, FROM_BLANK, FROM_LABEL = 0, 1, 2
BLANK_FROM_LABEL = 4


@njit(cache=True, nogil=True)
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
    blanks, symbols = np.full((2, count + 2), -np.inf), np.full((2, count + 2), -np.inf)  # pair i lies at i + 1
    kept_blanks, kept_symbols = np.empty((segments, width)), np.empty((segments, width))
    back = np.empty((segment, width), np.uint8)
    starts, stops = np.empty(count, np.int64), np.empty(count, np.int64)
    score, pair, on_label = -np.inf, count, False
    for stage in range(2 * segments - 1):
        # forwards through all segments; then back from the last but one, which is entered again from what was kept
        forwards = stage < segments
        part = stage if forwards else 2 * segments - 2 - stage
        begin, end = part * segment, min(frames, (part + 1) * segment)
        if part == 0:
            blanks[:], symbols[:] = -np.inf, -np.inf
            blanks[1, 1] = 0.0  # before the first frame; row t % 2 belongs to frame t
        elif not forwards:
            _restore(blanks, kept_blanks[part], (begin - 1) % 2, first[begin - 1], stop[begin - 1])
            _restore(symbols, kept_symbols[part], (begin - 1) % 2, first[begin - 1], stop[begin - 1])
        elif segments > 1:
            size = stop[begin - 1] - first[begin - 1]
            kept_blanks[part, :size] = blanks[(begin - 1) % 2, first[begin - 1] + 1 : stop[begin - 1] + 1]
            kept_symbols[part, :size] = symbols[(begin - 1) % 2, first[begin - 1] + 1 : stop[begin - 1] + 1]
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
        if forwards and part == segments - 1:
            last = (frames - 1) % 2
            ends_in_label = first[frames - 1] < count and symbols[last, count] > blanks[last, count + 1]
            score = symbols[last, count] if ends_in_label else blanks[last, count + 1]
            if score == -np.inf:
                return score, starts, stops
            if ends_in_label:
                pair, on_label = count - 1, True
                stops[pair] = frames
        if not forwards or part == segments - 1:
            for t in range(end - 1, begin - 1, -1):
                step = back[t - begin, pair - first[t]]
                if on_label:
                    if step & 3 != STAY:
                        starts[pair] = t
                        on_label = step & 3 == FROM_LABEL
                        pair -= on_label
                        if on_label:
                            stops[pair] = t
                elif step & BLANK_FROM_LABEL:
                    pair, on_label = pair - 1, True
                    stops[pair] = t
    return score, starts, stops


@njit(cache=True, nogil=True)
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
        leap = earlier[i] + skip[i]
        entered = max(blanks[i], leap)
        new_symbols[i] += max(symbols[i], entered)
        new_blanks[i] = blank + max(blanks[i], earlier[i])
    for i in range(labels.size):
        leap = earlier[i] + skip[i]
        entered = max(blanks[i], leap)
        back[i] = (entered > symbols[i]) * (FROM_BLANK + (leap > blanks[i])) + BLANK_FROM_LABEL * (earlier[i] > blanks[i])


@njit(cache=True, nogil=True)
def _restore(scores: np.ndarray, kept: np.ndarray, row: int, first: int, stop: int) -> None:
    scores[:] = -np.inf
    scores[row, first + 1 : stop + 1] = kept[: stop - first]
