"""Two recognisers that write the same symbols decide together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import exp, isfinite

import numpy as np

from recognizer.alphabet import Alphabet
from recognizer.config import DecoderConfig
from recognizer.decoding.beam import BeamDecoder
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.decoding.pair import place
from recognizer.decoding.parallel import in_threads
from recognizer.decoding.path_sums import quick_label_log_prob
from recognizer.errors import ConfigError, InputError

POOL = 20  # readings that each recogniser proposes, however many are asked for: the best of them is the same


@dataclass(frozen=True)
class Opinion:
    """What the second recogniser says by itself.

    Attributes:
        table: its log-probs in the order of the first's alphabet, (T, V1) float64.
        readings: that it proposes, best first.
        alone: whether it is so sure that the first need not be asked (``decoder.second_alone``).
    """

    table: np.ndarray
    readings: list[Hypothesis]
    alone: bool


class SpellingPairDecoder:
    """Each of two recognisers proposes readings, and both judge all of them, symbol by symbol.

    As :class:`~recognizer.decoding.pair.PairDecoder`, but for recognisers of the same symbols, so that any words may be written and a model of
    characters may count. One beam searches both tables: what it has said of the language is the same whoever proposed the reading.
    Where one reading has most of the probability of all that the second proposes, ``decoder.second_alone`` or more, it stands.

    Args:
        beam: of the first recogniser's alphabet; ``decoder.second_weight`` of its settings divides the acoustic score.
        second: the other's alphabet. Symbols that only it has are never written.

    Raises:
        ConfigError: the second cannot write all that the first can.
    """

    def __init__(self, beam: BeamDecoder, second: Alphabet) -> None:
        self.beam, self.alphabet = beam, second
        self.config, self.models, self.closed = beam.config, beam.models, beam.closed
        lacking = sorted(set(beam.alphabet.symbols) - set(second.symbols))
        if lacking:
            symbols = ", ".join(map(repr, lacking[:5]))
            raise ConfigError(f"decoder.second: cannot write {symbols}, which the recogniser itself can; take one trained on the same symbols")
        places = {symbol: label for label, symbol in enumerate(second.symbols, start=1)}
        self._order = [0, *(places[symbol] for symbol in beam.alphabet.symbols)]

    def with_config(self, config: DecoderConfig) -> SpellingPairDecoder:
        """As of :class:`~recognizer.decoding.beam.BeamDecoder`."""
        return SpellingPairDecoder(self.beam.with_config(config), self.alphabet)

    def listen(self, log_probs: np.ndarray) -> Opinion:
        """What the second recogniser makes of its own log-probs (T, V2)."""
        table = np.asarray(log_probs, dtype=np.float64)[:, self._order]
        table -= np.logaddexp.reduce(table, axis=1, keepdims=True)  # what only the second can write is out of the question
        table = np.ascontiguousarray(table)
        readings = self.beam.decode(table, POOL)
        share = 1 / sum(exp(reading.score - readings[0].score) for reading in readings)
        return Opinion(table, readings, self.config.second_alone < 1 and share >= self.config.second_alone)

    def decode(self, log_probs: np.ndarray, n_best: int = 1, opinion: Opinion | None = None) -> list[Hypothesis]:
        """The likeliest readings, best first.

        Args:
            log_probs: (T, V1 + V2), those of both recognisers side by side.
            n_best: how many; there are at most twice as many as each proposes.
            opinion: what :meth:`listen` has given for the second's, if it was asked before.

        Raises:
            InputError: as :meth:`~recognizer.decoding.beam.BeamDecoder.decode`.
        """
        columns = len(self.beam.alphabet) + len(self.alphabet)
        if log_probs.shape[1] != columns:
            raise InputError(f"log-probs have {log_probs.shape[1]} columns, both recognisers together {columns}")
        opinion = opinion or self.listen(log_probs[:, len(self.beam.alphabet) :])
        if opinion.alone:
            return opinion.readings[:n_best]
        tables = (np.ascontiguousarray(log_probs[:, : len(self.beam.alphabet)], dtype=np.float64), opinion.table)
        first = self.beam.decode(tables[0], POOL)
        pool = {hypothesis.labels: replace(hypothesis, frames=()) for hypothesis in opinion.readings}
        pool |= {hypothesis.labels: hypothesis for hypothesis in first}
        probs = [np.exp(table) for table in tables]
        judged = [self._judge(hypothesis, probs) for hypothesis in pool.values()]
        possible = sorted((hypothesis for hypothesis in judged if isfinite(hypothesis.score)), key=lambda hypothesis: -hypothesis.score)
        if not possible:  # so few frames that what one can read is too unlikely for the other
            possible = first
        return [place(hypothesis, tables[0]) for hypothesis in possible[:n_best]]

    def decode_all(self, log_probs: Iterable[np.ndarray], n_best: int = 1, threads: int = 0) -> Iterator[list[Hypothesis]]:
        """:meth:`decode` of many lines, in order, in parallel threads (0: as many as there are processors)."""
        yield from in_threads(lambda table: self.decode(table, n_best), log_probs, threads)

    def _judge(self, hypothesis: Hypothesis, probs: list[np.ndarray]) -> Hypothesis:
        labels, share = np.array(hypothesis.labels, np.int64), self.config.second_weight
        one, other = (float(quick_label_log_prob(table, labels)) for table in probs)
        acoustic = (1 - share) * one + share * other
        return replace(hypothesis, score=acoustic + hypothesis.language + hypothesis.bonus, acoustic=acoustic)
