"""The models of a beam search as flat arrays, as :mod:`recognizer.decoding.beam_kernel` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from recognizer.config import DecoderConfig
from recognizer.decoding.hotwords import HotwordAutomaton
from recognizer.decoding.lexicon_trie import LexiconTrie
from recognizer.lm.ngram import UNKNOWN, NgramModel


class SearchLimits(NamedTuple):
    """What is kept in each frame."""

    beam_size: int  # prefixes
    beam_size_token: int  # labels a frame may append; the likeliest ones
    token_threshold: float  # nats below the likeliest label of the frame
    beam_threshold: float  # nats below the best prefix
    blank_skip: float  # log prob of the blank from which on a frame appends nothing


class NgramArrays(NamedTuple):
    """An n-gram model (:class:`~recognizer.lm.ngram.NgramModel`); without ``ids`` there is none."""

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


class TrieArrays(NamedTuple):
    """The words there are (:class:`~recognizer.decoding.lexicon_trie.LexiconTrie`)."""

    on: bool  # whether words are known at all
    closed: bool  # only words of the trie
    separator: int  # label between words; 0: words follow each other without one
    unk_score: float  # added for a word outside the trie
    first: np.ndarray
    label: np.ndarray
    child: np.ndarray
    word_first: np.ndarray
    word: np.ndarray
    lookahead_scores: np.ndarray  # (N,) float64: weighted log prob of the likeliest word below each node, 0 at the root


class HotwordArrays(NamedTuple):
    """Phrases to prefer (:class:`~recognizer.decoding.hotwords.HotwordAutomaton`)."""

    on: bool
    max_gain: float  # largest gain of one label
    target: np.ndarray
    gain: np.ndarray
    end: np.ndarray


class ModelArrays(NamedTuple):
    """All that scores a prefix besides the log-probs."""

    words: NgramArrays  # over the words of the trie
    tokens: NgramArrays  # over labels
    trie: TrieArrays
    hotwords: HotwordArrays
    word_score: float  # added for every word where there is a trie, else for every label
    token_score: float  # added for every label


def ngram_arrays(model: NgramModel | None, weight: float, symbols: Sequence[str]) -> NgramArrays:
    """A model over ``symbols`` (labels or words, by number); one of weight 0 is none, so that it cannot matter."""
    if model is None or weight == 0:
        integers, reals = plain(np.zeros(2, np.int32)), plain(np.zeros(2, np.float32))
        return NgramArrays(0.0, 0, 0, plain(np.zeros(0, np.int32)), plain(np.zeros(2, np.int64)), integers, reals, integers, reals, integers)
    known = model.ids
    ids = np.array([known.get(symbol, UNKNOWN) for symbol in symbols], dtype=np.int32)
    return NgramArrays(weight, model.start, model.id("</s>"), plain(ids), *map(plain, model.arrays))


def trie_arrays(trie: LexiconTrie | None, separator: int, config: DecoderConfig, words: NgramModel | None, ngram: NgramArrays) -> TrieArrays:
    """A lexicon with the lookahead scores of the model of its words, which ``ngram`` holds."""
    if trie is None:
        none = plain(np.zeros(2, np.int32))
        return TrieArrays(False, False, 0, 0.0, none, none, none, none, none, plain(np.zeros(1)))
    lookahead = np.zeros(len(trie))
    if words is not None and ngram.weight > 0:
        unigrams = np.asarray(words.log_prob[: len(words.symbols)], np.float64)[ngram.ids]  # state 0 has every symbol
        lookahead = ngram.weight * trie.lookahead_scores(unigrams)
    arrays = map(plain, (trie.first, trie.label, trie.child, trie.word_first, trie.word, lookahead))
    return TrieArrays(True, config.closed, separator, config.unk_score, *arrays)


def hotword_arrays(automaton: HotwordAutomaton | None, size: int) -> HotwordArrays:
    """Hotwords over ``size`` labels."""
    if automaton is None:
        return HotwordArrays(False, 0.0, plain(np.zeros((1, size), np.int32)), plain(np.zeros((1, size))), plain(np.zeros(1)))
    return HotwordArrays(True, automaton.max_gain, plain(automaton.target), plain(automaton.gain), plain(automaton.end))


def plain(array: np.ndarray) -> np.ndarray:
    """A read-only plain view: memory-mapped or not, the kernel is compiled for one type only."""
    view = np.ascontiguousarray(np.asarray(array)).view(np.ndarray)[:]
    view.flags.writeable = False
    return view
