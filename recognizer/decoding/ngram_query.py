"""The probability of a symbol after a context, in compiled code that holds no lock."""

from __future__ import annotations

import numpy as np
from numba import njit

# No signatures: memory-mapped arrays are read-only, which is another type to the compiler than arrays made in memory.


@njit(cache=True, nogil=True)
def query(first, symbol, log_prob, target, backoff, fallback, state, id):
    """Natural log probability (float64) of a symbol in a state, and the state (int64) after it.

    The first six arguments are ``NgramModel.arrays``. ``id`` must be a symbol of the model, ``state`` one of its states.
    """
    here = np.int64(state)
    total = 0.0
    while here > 0:
        low = first[here]
        end = first[here + 1]
        high = end
        while low < high:
            middle = (low + high) >> 1
            if symbol[middle] < id:
                low = middle + 1
            else:
                high = middle
        if low < end and symbol[low] == id:
            return total + np.float64(log_prob[low]), np.int64(target[low])
        total += np.float64(backoff[here])
        here = np.int64(fallback[here])
    return total + np.float64(log_prob[id]), np.int64(target[id])


@njit(cache=True, nogil=True)
def query_many(first, symbol, log_prob, target, backoff, fallback, states, ids):
    """``query`` for pairs of states and ids, (N,) each: log probs (N,) float64 and states (N,) int64."""
    log_probs = np.empty(len(ids), np.float64)
    after = np.empty(len(ids), np.int64)
    for i in range(len(ids)):
        log_probs[i], after[i] = query(first, symbol, log_prob, target, backoff, fallback, states[i], ids[i])
    return log_probs, after


@njit(cache=True, nogil=True)
def score_text(first, symbol, log_prob, target, backoff, fallback, start, ids):
    """Natural log probability of each token, (N,) float64; the token after ``</s>`` (id 2) begins a sentence in ``start``."""
    log_probs = np.empty(len(ids), np.float64)
    state = np.int64(start)
    for i in range(len(ids)):
        log_probs[i], state = query(first, symbol, log_prob, target, backoff, fallback, state, ids[i])
        if ids[i] == 2:
            state = np.int64(start)
    return log_probs
