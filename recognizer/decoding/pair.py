"""Two recognisers of the same language decide together what was said or written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import isfinite

import numpy as np

from recognizer.config import DecoderConfig
from recognizer.decoding.alignment import viterbi_align
from recognizer.decoding.beam import BeamDecoder, without_words
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.decoding.parallel import in_threads
from recognizer.decoding.path_sums import quick_label_log_prob
from recognizer.errors import ConfigError

POOL = 30  # readings that each recogniser proposes


class PairDecoder:
    """Each of two recognisers proposes readings, and both judge all of them.

    One that spells and one that hears phones err in different places. The readings of both beams are pooled by their words; the
    acoustic score of each is the weighted sum of its log probabilities in both, over all paths and, where a beam has not found it,
    by the likeliest pronunciations; the language model counts once (N-best lists rescored by several systems: Ostendorf et al. 1991).

    Args:
        first: its alphabet is that of the hypotheses; ``decoder.second_weight`` of its settings divides the acoustic score.
        second: of the same words.

    Raises:
        ConfigError: models that do not fit together.
    """

    def __init__(self, first: BeamDecoder, second: BeamDecoder) -> None:
        self.first, self.second = (_with_words(decoder) for decoder in (first, second))
        self.config, self.models, self.closed = first.config, first.models, first.closed
        if not first.closed or first.models.words is None or first.models.letters is not None:
            raise ConfigError("decoder.second: needs decoder.lm, a model of words, and a closed vocabulary, and goes without decoder.char_lm")
        self._spellers = [_Speller(decoder) for decoder in (self.first, self.second)]

    def with_config(self, config: DecoderConfig) -> PairDecoder:
        """As of :class:`~recognizer.decoding.beam.BeamDecoder`."""
        return PairDecoder(self.first.with_config(config), self.second.with_config(config))

    def decode(self, log_probs: np.ndarray, n_best: int = 1) -> list[Hypothesis]:
        """The likeliest readings, best first, in labels of the first recogniser.

        Args:
            log_probs: (T, V1 + V2), those of both recognisers side by side.
            n_best: how many.

        Raises:
            InputError: as :meth:`~recognizer.decoding.beam.BeamDecoder.decode`.
        """
        columns = len(self.first.alphabet)
        tables = [np.ascontiguousarray(part, dtype=np.float64) for part in (log_probs[:, :columns], log_probs[:, columns:])]
        pool: dict[tuple[str, ...], list[Hypothesis | None]] = {}
        language: dict[tuple[str, ...], float] = {}  # the same in both
        for which, decoder in enumerate((self.first, self.second)):
            for hypothesis in decoder.decode(tables[which], max(n_best, POOL)):
                readings = pool.setdefault(hypothesis.words, [None, None])
                language[hypothesis.words] = hypothesis.language
                if readings[which] is None and self._spellers[which].is_clean(hypothesis):
                    readings[which] = hypothesis
        probs = [np.exp(table) for table in tables]
        judged = [self._judge(words, readings, probs, language[words]) for words, readings in pool.items()]
        possible = sorted((hypothesis for hypothesis in judged if isfinite(hypothesis.score)), key=lambda hypothesis: -hypothesis.score)
        if not possible:  # so few frames that what one can read is too long for the other
            possible = self.first.decode(tables[0], n_best)
        placed = [place(hypothesis, tables[0]) for hypothesis in possible[:n_best]]
        return placed if self.config.words else list(map(without_words, placed))

    def decode_all(self, log_probs: Iterable[np.ndarray], n_best: int = 1, threads: int = 0) -> Iterator[list[Hypothesis]]:
        """:meth:`decode` of many utterances, in order, in parallel threads (0: as many as there are processors)."""
        yield from in_threads(lambda table: self.decode(table, n_best), log_probs, threads)

    def _judge(
        self, words: Sequence[str], readings: Sequence[Hypothesis | None], probs: Sequence[np.ndarray], language: float
    ) -> Hypothesis:
        found = [
            reading or speller.read(words, table) for reading, table, speller in zip(readings, probs, self._spellers, strict=True)
        ]
        scores = [quick_label_log_prob(table, np.array(each.labels, np.int64)) for each, table in zip(found, probs, strict=True)]
        share = self.config.second_weight
        acoustic = (1 - share) * scores[0] + share * scores[1]
        bonus = self.first.bonus(found[0].labels, len(words))
        return replace(found[0], score=acoustic + language + bonus, acoustic=acoustic, language=language, bonus=bonus)


def place(hypothesis: Hypothesis, table: np.ndarray) -> Hypothesis:
    """With frames by the first recogniser's log-probs (T, V), where only the second has found it."""
    if len(hypothesis.frames) == len(hypothesis.labels):
        return hypothesis
    return replace(hypothesis, frames=viterbi_align(table, hypothesis.labels).starts)


def _with_words(decoder: BeamDecoder) -> BeamDecoder:
    """The decoder with words in its hypotheses, by which they are pooled."""
    return decoder if decoder.config.words else decoder.with_config(replace(decoder.config, words=True))


class _Speller:
    """Spells words in the labels of one recogniser."""

    def __init__(self, decoder: BeamDecoder) -> None:
        assert decoder.models.spellings is not None
        self._separator, self._alphabet, self._spellings = decoder.separator, decoder.alphabet, decoder.models.spellings
        self._labels: dict[str, list[list[int]]] = {}  # of the words met so far, each of their ways

    def is_clean(self, hypothesis: Hypothesis) -> bool:
        """Whether its labels are the words and one separator between any two, and no more."""
        return not self._separator or hypothesis.labels == self._join([self._ways(word)[0] for word in hypothesis.words]).labels

    def read(self, words: Sequence[str], probs: np.ndarray) -> Hypothesis:
        """A reading of words without frames and scores: of each word the likeliest way, the others being as they are."""
        ways = [self._ways(word) for word in words]
        best = [each[0] for each in ways]
        if max(map(len, ways), default=1) > 1:
            score = self._score(best, probs)
            for place, each in enumerate(ways):
                for way in each[1:]:
                    tried = [*best[:place], way, *best[place + 1 :]]
                    if (gained := self._score(tried, probs)) > score:
                        best, score = tried, gained
        return replace(self._join(best), words=tuple(words))

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
        ways = self._labels.get(word)
        if ways is None:
            spelt = self._spellings[word]
            ways = [self._alphabet.encode(way if self._alphabet.level == "units" else "".join(way)) for way in spelt]
            self._labels[word] = ways
        return ways
