"""CTC prefix beam search with n-gram models, a lexicon and hotwords."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, log

import numpy as np

from recognizer.config import DecoderConfig
from recognizer.decoding.beam_arrays import ModelArrays, SearchLimits, hotword_arrays, ngram_arrays, trie_arrays
from recognizer.decoding.beam_kernel import NO_WORD, search_prefixes, trace
from recognizer.decoding.ctc_score import label_log_prob
from recognizer.decoding.decoder import Models
from recognizer.decoding.greedy import greedy
from recognizer.decoding.hypothesis import Hypothesis, check_log_probs, check_sums
from recognizer.decoding.segments import SegmentDecoder, silence, take_distinct
from recognizer.errors import ConfigError, InputError
from recognizer.text.alphabet import Alphabet

Traced = tuple[np.ndarray, np.ndarray, np.ndarray]  # labels of a prefix, the words that end with them, the frames they were appended in


class BeamDecoder(SegmentDecoder):
    """A prefix beam search, ready to be used from several threads.

    The score of a prefix is the log probability of all its paths (Graves et al. 2006), plus weighted log probs of the
    n-gram models, plus bonuses (Graves & Jaitly 2014; Hannun et al. 2014). With a closed vocabulary and a bigram it is the
    decoder of Graves et al. 2009.

    Args:
        alphabet: of the log-probs.
        config: beam sizes, thresholds and weights; the files that it names are not read here, see
            :func:`~recognizer.decoding.decoder.load_decoder`.
        models: what they hold.

    Raises:
        ConfigError: models that do not fit the alphabet or each other.
    """

    def __init__(self, alphabet: Alphabet, config: DecoderConfig, models: Models | None = None) -> None:
        self.alphabet, self.config, self.models, self.closed = alphabet, config, models or Models(), config.closed
        self.separator = alphabet.encode(" ")[0] if alphabet.level == "characters" and " " in alphabet.symbols else 0
        trie, words, tokens = self.models.trie, self.models.words, self.models.tokens
        self.writes_words = alphabet.level == "units" and trie is not None and config.words
        if words is not None and trie is None:
            raise ConfigError("decoder.lm: a word model needs the words spelt (a lexicon, or characters in the alphabet)")
        if trie is not None and not self.separator and not config.closed:
            raise ConfigError("decoder.vocabulary: without a space between words only a closed vocabulary can be told apart")
        by_words = ngram_arrays(words, config.lm_weight, trie.words if trie is not None else ())
        # a model alone has lm_weight whatever it is a model of
        by_tokens = ngram_arrays(tokens, config.lm_weight if words is None else config.char_lm_weight, ("", *alphabet.symbols))
        by_trie, hotwords = trie_arrays(trie, self.separator, config, words, by_words), hotword_arrays(self.models.hotwords, len(alphabet))
        token_score = config.token_score if trie is not None else 0.0
        self._arrays = ModelArrays(by_words, by_tokens, by_trie, hotwords, config.word_score, token_score)
        self._is_greedy = config.beam_size == 1 and self.models == Models() and config.word_score == 0
        if self._is_greedy:
            self.whole_frames = None  # the likeliest path needs no cuts
        skip = log(config.blank_skip) if config.blank_skip < 1 else inf
        tokens_kept = min(config.beam_size_token, len(alphabet))
        self._limits = SearchLimits(config.beam_size, tokens_kept, config.token_threshold, config.beam_threshold, skip)

    def search(self, log_probs: np.ndarray) -> Iterator[Hypothesis]:
        """All that the search has found, best first, one at least; texts may come twice, by other words or pronunciations.

        A beam of size 1 without models is greedy decoding: with room for one prefix there is nothing to sum over.

        Args:
            log_probs: (T, V) that have been checked.
        """
        if self._is_greedy:
            yield greedy(log_probs)
            return
        table = np.ascontiguousarray(log_probs, dtype=np.float64)
        prefixes, nodes, scores, last_words, best = search_prefixes(table, self._limits, self._arrays)
        if len(nodes) == 0:
            yield self._cut_words(table, trace(prefixes, best))
        for node, row, word in zip(nodes, scores[:, 1:].tolist(), last_words.tolist(), strict=True):
            yield self._make_hypothesis(trace(prefixes, node), word, *row)

    def _check(self, log_probs: np.ndarray) -> np.ndarray:
        log_probs = check_log_probs(log_probs)
        if log_probs.shape[1] != len(self.alphabet):
            raise InputError(f"log-probs have {log_probs.shape[1]} labels, the alphabet has {len(self.alphabet)} with the blank")
        check_sums(log_probs)
        return log_probs

    def _silence(self, log_probs: np.ndarray) -> np.ndarray:
        return silence(log_probs, self.separator)

    def _decode_segment(self, log_probs: np.ndarray, n_best: int) -> list[Hypothesis]:
        return take_distinct(self.search(log_probs), self._reading, n_best)

    def with_config(self, config: DecoderConfig) -> BeamDecoder:
        """The same models with other settings."""
        return BeamDecoder(self.alphabet, config, self.models)

    def bonus(self, labels: Sequence[int] | np.ndarray, words: int) -> float:
        """What labels that are so many words get beside their log probs: for words, tokens and hotwords, in nats."""
        bonus = self._arrays.word_score * words + self._arrays.token_score * len(labels)
        automaton = self.models.hotwords
        return bonus if automaton is None else bonus + automaton.score(labels)

    def _make_hypothesis(self, traced: Traced, last_word: int, acoustic: float, by_words: float, by_tokens: float, bonus: float) -> Hypothesis:
        labels, words, frames = traced
        language = self._arrays.words.weight * by_words + self._arrays.tokens.weight * by_tokens
        score = acoustic + language + bonus
        found, spans = self._find_words(labels, words, last_word)
        return Hypothesis(tuple(labels.tolist()), tuple(frames.tolist()), score, acoustic, language, bonus, tuple(found), tuple(spans))

    def _find_words(self, labels: np.ndarray, words: np.ndarray, last_word: int) -> tuple[list[str], list[tuple[int, int]]]:
        """Words and their spans; a separator belongs to no word."""
        trie = self.models.trie
        found: list[str] = []
        spans: list[tuple[int, int]] = []
        if trie is None:
            return found, spans
        begin = 0
        for end, word in [*enumerate(words.tolist()), (len(labels), last_word)]:
            if word == NO_WORD:
                continue
            stop = end if self.separator else end + 1
            while self.separator and begin < stop and labels[begin] == self.separator:
                begin += 1
            found.append(trie.words[word] if word >= 0 else self.alphabet.decode(labels[begin:stop].tolist()))
            spans.append((begin, stop))
            begin = end + 1
        return found, spans

    def _cut_words(self, table: np.ndarray, traced: Traced) -> Hypothesis:
        """Where no prefix ends with a word of a closed lexicon: the best one up to its last whole word, scored anew."""
        ends = np.flatnonzero(traced[1] != NO_WORD)
        stop = int(ends[-1]) + (0 if self.separator else 1) if len(ends) else 0
        last = int(traced[1][ends[-1]]) if len(ends) and self.separator else NO_WORD
        labels, words, frames = (part[:stop] for part in traced)
        found, _ = self._find_words(labels, words, last)
        by_words = 0.0 if self.models.words is None else self.models.words.sentence_log_prob(found)
        by_tokens = 0.0 if self.models.tokens is None else self.models.tokens.sentence_log_prob(self.alphabet.spell(labels.tolist()))
        acoustic = label_log_prob(table, labels)
        return self._make_hypothesis((labels, words, frames), last, acoustic, by_words, by_tokens, self.bonus(labels, len(found)))
