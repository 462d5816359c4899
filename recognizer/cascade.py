"""Two recognisers of which the first is asked only where the second is in doubt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from recognizer.decoding.hypothesis import Hypothesis
from recognizer.decoding.parallel import in_threads
from recognizer.decoding.spelling_pair import Opinion, SpellingPairDecoder
from recognizer.emitter import Emitter
from recognizer.source import Source
from recognizer.transcript import Emission


class Cascade:
    """Reads line images or pen traces with the second network, and with the first those that :attr:`Opinion.alone` does not settle.

    What is read is what :class:`SpellingPairDecoder` reads in the log-probs of both; only the time differs.

    Args:
        first: of the first network.
        second: of the second, which keeps what it was given.
        decoder: of both.
    """

    def __init__(self, first: Emitter, second: Emitter, decoder: SpellingPairDecoder) -> None:
        self.first, self.second, self.decoder = first, second, decoder

    def read(self, sources: Iterable[Source], n_best: int, threads: int) -> Iterator[tuple[Emission, list[Hypothesis]]]:
        """Emissions in order, each with its readings, best first; of a source that cannot be used, none.

        The log-probs of an emission are those of the network that was asked last, in the order of the first's alphabet.
        """
        for emissions in self.second.emit(sources):
            read = self._read_heard([emission for emission in emissions if emission.table is not None], n_best, threads)
            for emission in emissions:
                yield (emission, []) if emission.table is None else next(read)

    def _read_heard(self, heard: list[Emission], n_best: int, threads: int) -> Iterator[tuple[Emission, list[Hypothesis]]]:
        opinions = list(in_threads(self._listen, heard, threads))
        doubtful = [number for number, opinion in enumerate(opinions) if not opinion.alone]
        tables = dict(zip(doubtful, self.first.run([heard[number].content for number in doubtful]), strict=True))

        def decide(number: int) -> tuple[Emission, list[Hypothesis]]:
            return self._decide(heard[number], opinions[number], tables.get(number), n_best)

        yield from in_threads(decide, range(len(heard)), threads)

    def _listen(self, emission: Emission) -> Opinion:
        return self.decoder.listen(emission.table)

    def _decide(self, emission: Emission, opinion: Opinion, first: np.ndarray | None, n_best: int) -> tuple[Emission, list[Hypothesis]]:
        if first is None:
            return replace(emission, log_probs=opinion.table.astype(np.float32), content=None), opinion.readings[:n_best]
        table = np.hstack([first, emission.table])
        return replace(emission, log_probs=first, table=table, content=None), self.decoder.decode(table, n_best, opinion)
