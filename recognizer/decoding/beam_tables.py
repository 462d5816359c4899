"""What the beam search reads, laid out for compiled code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Search(NamedTuple):
    """What is kept in each frame."""

    width: int  # prefixes
    labels: int  # labels a frame may append; the likeliest ones
    label_threshold: float  # nats below the likeliest label of the frame
    score_threshold: float  # nats below the best prefix
    blank_skip: float  # log prob of the blank from which on a frame appends nothing


class Gram(NamedTuple):
    """An n-gram model as the kernel reads it."""

    weight: float
    start: int
    end: int  # id of </s>
    ids: np.ndarray  # (labels or words,) int32: id of each in the model
    first: np.ndarray
    symbol: np.ndarray
    log_prob: np.ndarray
    target: np.ndarray
    backoff: np.ndarray
    fallback: np.ndarray


class Tree(NamedTuple):
    """Words as a prefix tree over labels; node 0 is the root. Without nodes below it there are no words."""

    on: bool
    closed: bool  # only words of the tree
    separator: int  # label between words; 0: words follow each other without one
    unknown: float  # added for a word outside the tree
    first: np.ndarray  # (N + 1,) int32: children of node n are first[n] .. first[n + 1]
    label: np.ndarray  # (children,) int32, ascending within a node
    child: np.ndarray  # (children,) int32
    word_first: np.ndarray  # (N + 1,) int32
    word: np.ndarray  # int32: words that end at a node
    ahead: np.ndarray  # (N,) float64: weighted log prob of the likeliest word below, 0 at the root


class Phrases(NamedTuple):
    """Hotwords as an automaton over labels; state 0 stands at the beginning of a word."""

    on: bool
    most: float  # largest gain of one step
    target: np.ndarray  # (states, V) int32
    gain: np.ndarray  # (states, V) float64
    end: np.ndarray  # (states,) float64: gain where the utterance ends
    start: int
