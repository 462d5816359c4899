"""Log probability of a labeling, summed over its paths; compiled by numba."""

from __future__ import annotations

from math import exp, inf, log, log1p

import numpy as np

from recognizer.utils.compiling import compiled


@compiled(inline="always")
def log_add(a: float, b: float) -> float:
    """log(exp(a) + exp(b)), exact where either is -inf."""
    if a < b:
        a, b = b, a
    if b < a - 40.0:  # beyond the digits of a double; also every case of b = -inf but a = -inf
        return a
    if b == -inf:
        return a
    return a + log1p(exp(b - a))


@compiled
def label_log_prob(log_probs: np.ndarray, labels: np.ndarray) -> float:
    """Log probability of a labeling summed over its paths (Graves et al. 2006, equation 8); log-probs (T, V) float64, labels (L,)."""
    frames, count = log_probs.shape[0], labels.shape[0]
    states = 2 * count + 1
    forward = np.full(states, -inf)
    forward[0] = 0.0  # before the first frame; state 1 is entered from here
    if frames == 0:
        return 0.0 if count == 0 else -inf
    for t in range(frames):
        for s in range(states - 1, -1, -1):
            label = labels[s // 2] if s % 2 else 0
            value = forward[s]
            if t == 0:
                value = 0.0 if s < 2 else -inf
            else:
                if s > 0:
                    value = log_add(value, forward[s - 1])
                if s > 2 and s % 2 and labels[s // 2] != labels[s // 2 - 1]:
                    value = log_add(value, forward[s - 2])
            forward[s] = value + log_probs[t, label]
    return log_add(forward[states - 1], forward[states - 2]) if count else forward[0]


@compiled
def quick_label_log_prob(probs: np.ndarray, labels: np.ndarray) -> float:
    """:func:`label_log_prob` from probabilities (T, V) float64, several times faster, for many labelings of one table.

    The forward variables are scaled to a sum of one in each frame (Rabiner 1989, section V.A). Where the labeling is so unlikely
    beside its beginnings that it falls below the smallest double, the answer is -inf.
    """
    frames, count = probs.shape[0], labels.shape[0]
    states = 2 * count + 1
    if frames == 0:
        return 0.0 if count == 0 else -inf
    forward = np.zeros(states)
    forward[0] = probs[0, 0]
    if count:
        forward[1] = probs[0, labels[0]]
    total = 0.0
    for t in range(1, frames):
        scale = forward.sum()
        if scale == 0.0:
            return -inf
        total += log(scale)
        blank = probs[t, 0] / scale
        for s in range(states - 1, -1, -1):
            value = forward[s]
            if s > 0:
                value += forward[s - 1]
            if s % 2 == 0:
                forward[s] = value * blank
                continue
            if s > 2 and labels[s // 2] != labels[s // 2 - 1]:
                value += forward[s - 2]
            forward[s] = value * probs[t, labels[s // 2]] / scale
    ends = forward[states - 1] + (forward[states - 2] if count else 0.0)
    return total + log(ends) if ends > 0.0 else -inf


@compiled
def choose_ways(probs: np.ndarray, labels: np.ndarray, way_stops: np.ndarray, word_stops: np.ndarray) -> np.ndarray:
    """Which way of each word makes a labeling likelier than the first way does: word by word, with the ways chosen so far before it and
    the first ways of all words after it. The time is that of a few scores of one labeling, however many words and ways there are.

    Paths are summed over the frames in which they enter the next word: those up to there go on from the word before, those from there on
    are known from one backward pass.

    Args:
        probs: probabilities (T, V) float64, T >= 1.
        labels: of all ways, one after the other; those of all words but the first begin with the separator, if there is one.
        way_stops: where each way ends in ``labels``; no way is empty.
        word_stops: (W,) where the ways of each word end in ``way_stops``.

    Returns:
        (W,) the number of the way among those of its word; empty where the first ways are too unlikely to compare anything with them.
    """
    frames, count = probs.shape[0], word_stops.shape[0]
    first = np.zeros(count, np.int64)  # the way that each word begins with
    first[1:] = word_stops[:-1]
    starts = np.zeros(count + 1, np.int64)  # of the words in the labeling of first ways
    for w in range(count):
        starts[w + 1] = starts[w] + way_stops[first[w]] - (way_stops[first[w] - 1] if first[w] > 0 else 0)
    plain = np.empty(starts[count], np.int64)
    for w in range(count):
        plain[starts[w] : starts[w + 1]] = labels[way_stops[first[w]] - (starts[w + 1] - starts[w]) : way_stops[first[w]]]
    scale, before = _scale_frames(probs, plain)
    if before[frames - 1] == -inf:
        return np.empty(0, np.int64)
    entry, after = _enter_later(probs, plain, starts)
    # paths that have read all words before, and are in a blank or in the last label
    blanks, ends, last = np.empty(frames), np.zeros(frames), np.int64(-1)
    value = 1.0
    for t in range(frames):
        value *= probs[t, 0] / scale[t]
        blanks[t] = value
    chosen = np.zeros(count, np.int64)
    new_blanks, new_ends, kept_blanks, kept_ends = np.empty(frames), np.empty(frames), np.empty(frames), np.empty(frames)
    for w in range(count):
        best, usual = -inf, -inf
        for way in range(first[w], word_stops[w]):
            read = labels[way_stops[way - 1] if way > 0 else 0 : way_stops[way]]
            _read_word(probs, scale, read, blanks, ends, last, new_blanks, new_ends)
            if w == count - 1:
                total = new_blanks[frames - 1] + new_ends[frames - 1]
                score = log(total) + before[frames - 1] if total > 0.0 else -inf
            else:
                score = _meet(new_blanks, new_ends, read[-1] != plain[starts[w + 1]], entry[w + 1], before, after)
            if way == first[w]:
                usual = score
            if way == first[w] or score > best:
                best, chosen[w] = score, way - first[w]
                kept_blanks, new_blanks, kept_ends, new_ends = new_blanks, kept_blanks, new_ends, kept_ends
        gain = exp(min(best - usual, 700.0)) if usual > -inf else 1.0  # kept out of the columns, which would overflow after many words
        blanks[:], ends[:] = kept_blanks / gain, kept_ends / gain
        way = first[w] + chosen[w]
        last = labels[way_stops[way] - 1]
    return chosen


@compiled
def _scale_frames(probs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The factor by which each frame's forward variables of a labeling are divided, and the log of all up to each; -inf at the end if it is too
    unlikely."""
    frames, states = probs.shape[0], 2 * labels.shape[0] + 1
    scale, before, forward = np.ones(frames), np.full(frames, -inf), np.zeros(states)
    total = 0.0
    for t in range(frames):
        for s in range(states - 1, -1, -1):
            label = labels[s // 2] if s % 2 else 0
            if t == 0:
                value = 1.0 if s < 2 else 0.0
            else:
                value = forward[s]
                if s > 0:
                    value += forward[s - 1]
                if s > 2 and s % 2 and label != labels[s // 2 - 1]:
                    value += forward[s - 2]
            forward[s] = value * probs[t, label]
        scale[t] = forward.sum()
        if scale[t] == 0.0:
            return scale, np.full(frames, -inf)
        forward /= scale[t]
        total += log(scale[t])
        before[t] = total
    if forward[states - 1] + forward[states - 2] == 0.0:
        before[frames - 1] = -inf
    return scale, before


@compiled
def _enter_later(probs: np.ndarray, labels: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scaled probability (W, T) of all that follows from the first label of each word on, if it is read in a frame; and the log (T,) of the
    scale."""
    frames, states = probs.shape[0], 2 * labels.shape[0] + 1
    entry, after, backward = np.zeros((starts.shape[0] - 1, frames)), np.full(frames, -inf), np.zeros(states)
    total = 0.0
    for t in range(frames - 1, -1, -1):
        for s in range(states):
            label = labels[s // 2] if s % 2 else 0
            if t == frames - 1:
                value = 1.0 if s >= states - 2 else 0.0
            else:
                value = backward[s]
                if s + 1 < states:
                    value += backward[s + 1]
                if s % 2 and s + 2 < states and label != labels[s // 2 + 1]:
                    value += backward[s + 2]
            backward[s] = value * probs[t, label]
        scale = backward.sum()
        if scale == 0.0:
            break
        backward /= scale
        total += log(scale)
        after[t] = total
        for w in range(starts.shape[0] - 1):
            entry[w, t] = backward[2 * starts[w] + 1]
    return entry, after


@compiled
def _read_word(
    probs: np.ndarray, scale: np.ndarray, labels: np.ndarray, blanks: np.ndarray, ends: np.ndarray, last: int, new_blanks: np.ndarray,
    new_ends: np.ndarray,
) -> None:  # fmt: skip
    """From the paths that have read all words before, those that have read one more, both (T,) in a blank and in the last label."""
    count = labels.shape[0]
    in_label, in_blank = np.zeros(count), np.zeros(count)
    for t in range(probs.shape[0]):
        for i in range(count - 1, -1, -1):
            label = labels[i]
            if i > 0:
                entered = in_blank[i - 1] + (in_label[i - 1] if label != labels[i - 1] else 0.0)
            elif t == 0:
                entered = 1.0 if last < 0 else 0.0
            else:
                entered = blanks[t - 1] + (ends[t - 1] if label != last else 0.0)
            in_blank[i] = (in_blank[i] + in_label[i]) * probs[t, 0] / scale[t]
            in_label[i] = (in_label[i] + entered) * probs[t, label] / scale[t]
        new_blanks[t], new_ends[t] = in_blank[count - 1], in_label[count - 1]


@compiled
def _meet(blanks: np.ndarray, ends: np.ndarray, direct: bool, entry: np.ndarray, before: np.ndarray, after: np.ndarray) -> float:
    """Log probability of all paths that enter the next word in some frame; ``direct``: also without a blank between."""
    total = -inf
    for t in range(blanks.shape[0] - 1):
        product = (blanks[t] + (ends[t] if direct else 0.0)) * entry[t + 1]
        if product > 0.0:
            total = log_add(total, log(product) + before[t] + after[t + 1])
    return total
