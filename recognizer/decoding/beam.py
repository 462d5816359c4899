"""CTC prefix beam search with n-gram models, lexicon and hotwords."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, log

import numpy as np

from recognizer.alphabet import Alphabet
from recognizer.config import DecoderConfig
from recognizer.decoding.beam_kernel import NO_WORD, search_prefixes, trace
from recognizer.decoding.beam_tables import Gram, Phrases, Search, Tree
from recognizer.decoding.emissions import check_log_probs, check_sums
from recognizer.decoding.greedy import greedy
from recognizer.decoding.hotwords import HotwordAutomaton
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.decoding.ngram import UNKNOWN, NgramModel
from recognizer.decoding.parallel import in_threads
from recognizer.decoding.path_sums import label_log_prob
from recognizer.decoding.word_tree import Spellings, WordTree
from recognizer.errors import ConfigError, InputError


@dataclass(frozen=True)
class Models:
    """What a beam search knows besides the log-probs; each may be absent.

    Attributes:
        words: n-gram model of words.
        letters: n-gram model of the symbols of the alphabet.
        tree: the words there are; needed with ``words``.
        spellings: of the words in the tree, where they are not just their characters.
        hotwords: phrases to prefer.
    """

    words: NgramModel | None = None
    letters: NgramModel | None = None
    tree: WordTree | None = None
    spellings: Spellings | None = None
    hotwords: HotwordAutomaton | None = None


class BeamDecoder:
    """A prefix beam search, ready to be used from several threads.

    The score of a prefix is the log probability of all its paths (Graves et al. 2006), plus weighted log probs of the
    n-gram models, plus bonuses (Graves & Jaitly 2014; Hannun et al. 2014). With a closed vocabulary and a bigram it is the
    decoder of Graves et al. 2009.

    Args:
        alphabet: of the log-probs.
        config: widths, thresholds and weights; the files that it names are not read here, see
            :func:`~recognizer.decoding.decoder.load_decoder`.
        models: what they hold.

    Raises:
        ConfigError: models that do not fit the alphabet or each other.
    """

    def __init__(self, alphabet: Alphabet, config: DecoderConfig, models: Models | None = None) -> None:
        self.alphabet, self.config, self.models = alphabet, config, models or Models()
        self.separator = alphabet.encode(" ")[0] if alphabet.level == "characters" and " " in alphabet.symbols else 0
        tree, words, letters = self.models.tree, self.models.words, self.models.letters
        if words is not None and tree is None:
            raise ConfigError("decoder.lm: a word model needs the words spelt (a lexicon, or characters in the alphabet)")
        if tree is not None and not self.separator and not config.closed:
            raise ConfigError("decoder.vocabulary: without a space between words only a closed vocabulary can be told apart")
        self.closed = config.closed
        self._words = _gram(words, config.lm_weight, tree.words if tree is not None else ())
        self._letters = _gram(letters, self._letter_weight(), ("", *alphabet.symbols))
        self._tree = self._make_tree()
        self._symbol_insertion = config.symbol_insertion if tree is not None else 0.0
        self._phrases = _phrases(self.models.hotwords, len(alphabet))
        self._plain = tree is None and words is None and letters is None and self.models.hotwords is None and config.insertion == 0
        skip = log(config.blank_skip) if config.blank_skip < 1 else inf
        self._search = Search(config.width, min(config.labels, len(alphabet)), config.label_threshold, config.score_threshold, skip)

    def decode(self, log_probs: np.ndarray, n_best: int = 1) -> list[Hypothesis]:
        """The likeliest labellings, best first; at least one, at most ``n_best`` and the width of the beam.

        A beam of width 1 without models is greedy decoding: with room for one prefix there is nothing to sum over.

        Args:
            log_probs: natural log probabilities (T, V) as from the network; label 0 is the blank.
            n_best: how many.

        Raises:
            InputError: NaN or +inf, a frame whose probabilities do not sum to one, or another number of labels than the alphabet has.
        """
        log_probs = check_log_probs(log_probs)
        if log_probs.shape[1] != len(self.alphabet):
            raise InputError(f"log-probs have {log_probs.shape[1]} labels, the alphabet has {len(self.alphabet)} with the blank")
        check_sums(log_probs)
        if self._plain and self.config.width == 1:
            return [greedy(log_probs)]
        table = np.ascontiguousarray(log_probs, dtype=np.float64)
        bonuses = self.config.insertion, self._symbol_insertion
        outcome = search_prefixes(table, self._search, self._tree, self._words, self._letters, self._phrases, *bonuses)
        (parent, last, word_at, birth), nodes, scores, final_words, unfinished = outcome
        if len(nodes) == 0:
            found = [self._cut(table, *trace(parent, last, word_at, birth, unfinished))]
        else:
            found = [
                self._read(trace(parent, last, word_at, birth, node), int(word), row)
                for node, row, word in zip(nodes[:n_best], scores[:n_best], final_words[:n_best], strict=True)
            ]
        return found if self.config.words else list(map(without_words, found))

    def decode_all(self, log_probs: Iterable[np.ndarray], n_best: int = 1, threads: int = 0) -> Iterator[list[Hypothesis]]:
        """:meth:`decode` of many utterances, in order, in parallel threads (0: as many as there are processors)."""
        yield from in_threads(lambda table: self.decode(table, n_best), log_probs, threads)

    def with_config(self, config: DecoderConfig) -> BeamDecoder:
        """The same models with other settings."""
        return BeamDecoder(self.alphabet, config, self.models)

    def bonus(self, labels: Sequence[int] | np.ndarray, words: int) -> float:
        """What labels that are so many words get beside their log probs: for insertions and hotwords, in nats."""
        return self.config.insertion * words + self._symbol_insertion * len(labels) + self._phrase_bonus(labels)

    def _letter_weight(self) -> float:
        """A lone model has ``lm_weight`` whatever it is a model of."""
        return self.config.char_lm_weight if self.models.words is not None else self.config.lm_weight

    def _make_tree(self) -> Tree:
        tree = self.models.tree
        if tree is None:
            none = _fixed(np.zeros(2, np.int32))
            return Tree(False, False, 0, 0.0, none, none, none, none, none, _fixed(np.zeros(1)))
        words = self.models.words
        if words is not None and self._words.weight > 0:
            unigrams = np.asarray(words.log_prob[: len(words.symbols)], np.float64)[self._words.ids]  # state 0 has every symbol
            ahead = self._words.weight * tree.outlook(unigrams)
        else:
            ahead = np.zeros(len(tree))
        first, label, child, word_first, word = map(_fixed, (tree.first, tree.label, tree.child, tree.word_first, tree.word))
        return Tree(True, self.closed, self.separator, self.config.unknown, first, label, child, word_first, word, _fixed(ahead))

    def _read(self, traced: tuple[np.ndarray, np.ndarray, np.ndarray], final_word: int, row: np.ndarray) -> Hypothesis:
        labels, words, births = traced
        _, acoustic, by_words, by_letters, bonus = (float(value) for value in row)
        language = self._words.weight * by_words + self._letters.weight * by_letters
        found, spans = self._spell(labels, words, final_word)
        return Hypothesis(
            tuple(labels.tolist()), tuple(births.tolist()), acoustic + language + bonus, acoustic, language, bonus, tuple(found), tuple(spans)
        )

    def _spell(self, labels: np.ndarray, words: np.ndarray, final_word: int) -> tuple[list[str], list[tuple[int, int]]]:
        """Words and their spans; a separator belongs to no word."""
        tree = self.models.tree
        found: list[str] = []
        spans: list[tuple[int, int]] = []
        if tree is None:
            return found, spans
        begin = 0
        ends = [*((i, int(w)) for i, w in enumerate(words) if w != NO_WORD), *([(len(labels), final_word)] if final_word != NO_WORD else [])]
        for end, word in ends:
            stop = end if self.separator else end + 1
            while self.separator and begin < stop and labels[begin] == self.separator:
                begin += 1
            found.append(tree.words[word] if word >= 0 else self.alphabet.decode(labels[begin:stop].tolist()))
            spans.append((begin, stop))
            begin = end + 1
        return found, spans

    def _cut(self, table: np.ndarray, labels: np.ndarray, words: np.ndarray, births: np.ndarray) -> Hypothesis:
        """Where no prefix ends with a word of a closed lexicon: the best one up to its last whole word, scored anew."""
        ends = np.flatnonzero(words != NO_WORD)
        stop = int(ends[-1]) + (0 if self.separator else 1) if len(ends) else 0
        tail = int(words[ends[-1]]) if len(ends) and self.separator else NO_WORD
        labels, births = labels[:stop], births[:stop]
        acoustic = label_log_prob(table, labels)
        found, spans = self._spell(labels, words[:stop], tail)
        language = 0.0
        if self.models.words is not None:
            language += self._words.weight * self.models.words.sentence_log_prob(found)
        if self.models.letters is not None:
            language += self._letters.weight * self.models.letters.sentence_log_prob(self.alphabet.spell(labels.tolist()))
        bonus = self.bonus(labels, len(found))
        return Hypothesis(
            tuple(labels.tolist()), tuple(births.tolist()), acoustic + language + bonus, acoustic, language, bonus, tuple(found), tuple(spans)
        )

    def _phrase_bonus(self, labels: Sequence[int] | np.ndarray) -> float:
        automaton = self.models.hotwords
        if automaton is None:
            return 0.0
        state, bonus = 0, 0.0
        for label in labels:
            bonus += float(automaton.gain[state, label])
            state = int(automaton.target[state, label])
        return bonus + float(automaton.end[state])


def without_words(hypothesis: Hypothesis) -> Hypothesis:
    """The hypothesis as one of symbols only."""
    return replace(hypothesis, words=(), spans=())


def _gram(model: NgramModel | None, weight: float, symbols: Sequence[str]) -> Gram:
    """A model as the kernel reads it; one of weight 0 is none, so that it cannot matter."""
    if model is None or weight == 0:
        integers, reals = _fixed(np.zeros(2, np.int32)), _fixed(np.zeros(2, np.float32))
        return Gram(0.0, 0, 0, _fixed(np.zeros(0, np.int32)), _fixed(np.zeros(2, np.int64)), integers, reals, integers, reals, integers)
    known = model.ids
    ids = np.array([known.get(symbol, UNKNOWN) for symbol in symbols], dtype=np.int32)
    return Gram(weight, model.start, model.id("</s>"), _fixed(ids), *map(_fixed, model.arrays))


def _phrases(automaton: HotwordAutomaton | None, size: int) -> Phrases:
    if automaton is None:
        return Phrases(False, 0.0, _fixed(np.zeros((1, size), np.int32)), _fixed(np.zeros((1, size))), _fixed(np.zeros(1)), 0)
    return Phrases(True, automaton.most, _fixed(automaton.target), _fixed(automaton.gain), _fixed(automaton.end), 0)


def _fixed(array: np.ndarray) -> np.ndarray:
    """A read-only plain view: memory-mapped or not, the kernel is compiled for one type only."""
    view = np.ascontiguousarray(np.asarray(array)).view(np.ndarray)
    view = view[:]
    view.flags.writeable = False
    return view
