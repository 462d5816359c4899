"""Two recognizers decide together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from math import isfinite

import numpy as np

from recognizer.config import DecoderConfig
from recognizer.decoding.alignment import viterbi_align
from recognizer.decoding.beam import BeamDecoder
from recognizer.decoding.ctc_score import choose_ways, quick_label_log_prob
from recognizer.decoding.hypothesis import Hypothesis, check_log_probs, check_sums
from recognizer.decoding.segments import SegmentDecoder, silence, take_distinct
from recognizer.errors import ConfigError, InputError
from recognizer.text.alphabet import Alphabet

WORD_PROPOSALS = 30  # hypotheses that each recognizer proposes, or as many as are asked for
TOKEN_PROPOSALS = 20  # likewise, however many are asked for: the best of them is the same

Tables = tuple[np.ndarray, np.ndarray]  # log-probs of the two recognizers


class SystemCombination(SegmentDecoder):
    """Each of two recognizers proposes hypotheses, and both score all of them (N-best rescoring by several systems: Ostendorf et al. 1991).

    Two that differ in what they read err in different places. The acoustic score of a hypothesis is the weighted mean of its log
    probabilities by both, each summed over all paths; the language model counts once.

    Args:
        first: its alphabet is that of the hypotheses; ``decoder.combine_weight`` of its settings is the share of the second.
        second: alphabet of the other.
    """

    def __init__(self, first: BeamDecoder, second: Alphabet) -> None:
        self.first, self.sizes = first, (len(first.alphabet), len(second))
        self.config, self.models, self.closed = first.config, first.models, first.closed
        self.separator, self.writes_words = first.separator, first.writes_words
        self._second_separator = second.encode(" ")[0] if second.level == "characters" and " " in second.symbols else 0

    @abstractmethod
    def with_config(self, config: DecoderConfig) -> SystemCombination:
        """The same recognizers with other settings."""

    @abstractmethod
    def _propose(self, tables: Tables, probs: Tables, n_best: int) -> Iterable[tuple[Hypothesis, Sequence[int]]]:
        """The hypotheses of both, each once: in labels of the first with language score and bonus, and its labels by the second."""

    def _divide(self, log_probs: np.ndarray) -> Tables:
        """The log-probs of each recognizer, float64."""
        own, other = log_probs[:, : self.sizes[0]], log_probs[:, self.sizes[0] :]
        return np.ascontiguousarray(own, dtype=np.float64), np.ascontiguousarray(other, dtype=np.float64)

    def _check(self, log_probs: np.ndarray) -> np.ndarray:
        log_probs = check_log_probs(log_probs)
        if log_probs.shape[1] != sum(self.sizes):
            raise InputError(f"log-probs have {log_probs.shape[1]} columns, both recognizers together {sum(self.sizes)}")
        for table in (log_probs[:, : self.sizes[0]], log_probs[:, self.sizes[0] :]):
            check_sums(table)
        return log_probs

    def _silence(self, log_probs: np.ndarray) -> np.ndarray:
        own, other = log_probs[:, : self.sizes[0]], log_probs[:, self.sizes[0] :]
        return np.minimum(silence(own, self.separator), silence(other, self._second_separator))

    def _decode_segment(self, log_probs: np.ndarray, n_best: int) -> list[Hypothesis]:
        tables = self._divide(log_probs)
        probs = np.exp(tables[0]), np.exp(tables[1])
        scored = [self._score(hypothesis, other, probs) for hypothesis, other in self._propose(tables, probs, n_best)]
        possible = sorted((hypothesis for hypothesis in scored if isfinite(hypothesis.score)), key=lambda hypothesis: -hypothesis.score)
        # none in so few frames that what one can read is too long or too unlikely for the other
        best = take_distinct(possible or self.first.search(tables[0]), self._reading, n_best)
        return [_place(hypothesis, tables[0]) for hypothesis in best]

    def _score(self, hypothesis: Hypothesis, other: Sequence[int], probs: Tables) -> Hypothesis:
        own, others = (
            float(quick_label_log_prob(table, np.array(labels, np.int64))) for table, labels in zip(probs, (hypothesis.labels, other), strict=True)
        )
        acoustic = (1 - self.config.combine_weight) * own + self.config.combine_weight * others
        return replace(hypothesis, score=acoustic + hypothesis.language + hypothesis.bonus, acoustic=acoustic)


def _place(hypothesis: Hypothesis, table: np.ndarray) -> Hypothesis:
    """With frames by the first recognizer's log-probs (T, V), where only the second has found it."""
    if len(hypothesis.frames) == len(hypothesis.labels):
        return hypothesis
    return replace(hypothesis, frames=viterbi_align(table, hypothesis.labels).starts)


class TokenCombination(SystemCombination):
    """Of two recognizers that write the same symbols: any words may be written, and a model of characters may count.

    One beam searches both tables, so that language score and bonus are the same whoever proposed the hypothesis. Symbols that only the
    second knows are never written.

    Raises:
        ConfigError: the second cannot write all that the first can.
    """

    def __init__(self, first: BeamDecoder, second: Alphabet) -> None:
        super().__init__(first, second)
        self.second = second
        lacking = sorted(set(first.alphabet.symbols) - set(second.symbols))
        if lacking:
            symbols = ", ".join(map(repr, lacking[:5]))
            raise ConfigError(f"decoder.combine_with: cannot write {symbols}, which the recognizer itself can; take one trained on the same symbols")
        places = {symbol: label for label, symbol in enumerate(second.symbols, start=1)}
        self._order = [0, *(places[symbol] for symbol in first.alphabet.symbols)]

    def with_config(self, config: DecoderConfig) -> TokenCombination:
        """The same recognizers with other settings."""
        return TokenCombination(self.first.with_config(config), self.second)

    def _divide(self, log_probs: np.ndarray) -> Tables:
        own, other = super()._divide(log_probs)
        other = other[:, self._order]  # in the order of the first's alphabet, without symbols that only the second knows
        return own, np.ascontiguousarray(other - np.logaddexp.reduce(other, axis=1, keepdims=True))

    def _propose(self, tables: Tables, probs: Tables, n_best: int) -> Iterable[tuple[Hypothesis, Sequence[int]]]:
        own, other = (list(islice(self.first.search(table), TOKEN_PROPOSALS)) for table in tables)
        pool = {hypothesis.labels: replace(hypothesis, frames=()) for hypothesis in other}
        pool |= {hypothesis.labels: hypothesis for hypothesis in own}
        return ((hypothesis, hypothesis.labels) for hypothesis in pool.values())


class WordCombination(SystemCombination):
    """Of two recognizers of the words of one closed list, such as one of characters and one of phones.

    Where a beam has not found a hypothesis of the other, its words are spelt in the likeliest of their ways.

    Raises:
        ConfigError: models that do not fit together.
    """

    def __init__(self, first: BeamDecoder, second: BeamDecoder) -> None:
        super().__init__(first, second.alphabet)
        if not first.closed or first.models.words is None or first.models.tokens is not None:
            raise ConfigError("decoder.combine_with: needs decoder.lm, a model of words, and a closed vocabulary, and goes without decoder.char_lm")
        self.first, self.second = (_with_words(decoder) for decoder in (first, second))
        self._spellers = [_Speller(decoder) for decoder in (self.first, self.second)]

    def with_config(self, config: DecoderConfig) -> WordCombination:
        """The same recognizers with other settings."""
        return WordCombination(self.first.with_config(config), self.second.with_config(config))

    def _propose(self, tables: Tables, probs: Tables, n_best: int) -> Iterable[tuple[Hypothesis, Sequence[int]]]:
        pool: dict[tuple[str, ...], list[Hypothesis | None]] = {}
        language: dict[tuple[str, ...], float] = {}  # the same in both
        for which, decoder in enumerate((self.first, self.second)):
            for hypothesis in islice(decoder.search(tables[which]), max(n_best, WORD_PROPOSALS)):
                found = pool.setdefault(hypothesis.words, [None, None])
                language[hypothesis.words] = hypothesis.language
                if found[which] is None and self._spellers[which].is_exact(hypothesis):
                    found[which] = hypothesis
        for words, both in pool.items():
            own, other = (
                known or speller.spell(words, table) for known, table, speller in zip(both, probs, self._spellers, strict=True)
            )
            bonus = self.first.bonus(own.labels, len(words))
            yield replace(own, language=language[words], bonus=bonus), other.labels


def _with_words(decoder: BeamDecoder) -> BeamDecoder:
    """The decoder with words in its hypotheses, by which they are pooled."""
    return decoder if decoder.config.words else decoder.with_config(replace(decoder.config, words=True))


class _Speller:
    """Spells words in the labels of one recognizer."""

    def __init__(self, decoder: BeamDecoder) -> None:
        assert decoder.models.spellings is not None
        self._separator, self._alphabet, self._spellings = decoder.separator, decoder.alphabet, decoder.models.spellings
        self._labels: dict[str, list[list[int]]] = {}  # of the words met so far, each of their ways

    def is_exact(self, hypothesis: Hypothesis) -> bool:
        """Whether its labels are the words and one separator between any two, and no more."""
        return not self._separator or hypothesis.labels == self._join([self._ways(word)[0] for word in hypothesis.words]).labels

    def spell(self, words: Sequence[str], probs: np.ndarray) -> Hypothesis:
        """A hypothesis without frames and scores: of each word the likeliest way, the others being as they are."""
        ways = [self._ways(word) for word in words]
        best = [each[0] for each in ways]
        if max(map(len, ways), default=1) > 1 and len(probs):
            best = self._choose(ways, probs)
        return replace(self._join(best), words=tuple(words))

    def _choose(self, ways: Sequence[list[list[int]]], probs: np.ndarray) -> list[list[int]]:
        before = [self._separator] if self._separator else []
        flat = [way if place == 0 else before + way for place, each in enumerate(ways) for way in each]
        stops = (np.cumsum([len(each) for each in each_list]) for each_list in (flat, ways))
        chosen = choose_ways(probs, np.array([label for way in flat for label in way], np.int64), *stops).tolist()
        if chosen:
            return [each[number] for each, number in zip(ways, chosen, strict=True)]
        best = [each[0] for each in ways]
        score = self._score(best, probs)
        for place, each in enumerate(ways):
            for way in each[1:]:
                tried = [*best[:place], way, *best[place + 1 :]]
                if (gained := self._score(tried, probs)) > score:
                    best, score = tried, gained
        return best

    def _score(self, ways: Sequence[Sequence[int]], probs: np.ndarray) -> float:
        return float(quick_label_log_prob(probs, np.array(self._join(ways).labels, np.int64)))

    def _join(self, ways: Sequence[Sequence[int]]) -> Hypothesis:
        labels: list[int] = []
        spans: list[tuple[int, int]] = []
        for way in ways:
            if self._separator and labels:
                labels.append(self._separator)
            spans.append((len(labels), len(labels) + len(way)))
            labels += way
        return Hypothesis(tuple(labels), (), 0.0, spans=tuple(spans))

    def _ways(self, word: str) -> list[list[int]]:
        if word not in self._labels:
            spelt = self._spellings[word]
            self._labels[word] = [self._alphabet.encode(way if self._alphabet.level == "units" else "".join(way)) for way in spelt]
        return self._labels[word]
