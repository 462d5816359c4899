"""Development items put through the network once, for many settings of the decoder to be tried on."""

from __future__ import annotations

from collections.abc import Sequence

import editdistance
import numpy as np

from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item
from recognizer.decoding.decoder import Decoder, raise_failures
from recognizer.errors import ConfigError, ManifestError
from recognizer.evaluation.edits import characters, units, words
from recognizer.evaluation.evaluate import choose_references
from recognizer.inference.recognizer import Recognizer
from recognizer.tuning.calibrate import Reference
from recognizer.utils.progress import Progress


class TuningData:
    """Log-probs and transcripts of the items that can be used.

    Args:
        recognizer: with a beam decoder.
        items: with transcripts; those that cannot be used are named and left out.
        metric: CER, WER or UER; by default WER where the decoder knows words, else the rate of the alphabet's symbols.
        progress: told how far it is.

    Attributes:
        items: those that can be used, N of them.
        tables: log-probs of each as the decoder takes them, (T, V): of the recognizer, and beside them those of a second one if there is one.
        references: transcript of each, as `evaluate` scores it, units separated by spaces; ``level``: what they are made of.
        totals: reference tokens of each by the metric, (N,) int64.

    Raises:
        ConfigError: a greedy decoder, or a metric that does not fit.
        ManifestError: no item can be used.
    """

    def __init__(self, recognizer: Recognizer, items: Sequence[Item], metric: str | None = None, progress: Progress | None = None) -> None:
        if recognizer.decoding.kind == "greedy":
            raise ConfigError("tune: the bundle decodes greedily, which has nothing to tune; name a model with decoder.lm=FILE, or decoder=beam")
        self.recognizer, self.decoder = recognizer, recognizer.decoder
        level, by_words = recognizer.alphabet.level, recognizer.knows_words
        self.metric = metric or ("WER" if by_words else "CER" if level == "characters" else "UER")
        cut = {"CER": characters, "WER": words, "UER": units}.get(self.metric)
        if cut is None or (self.metric == "UER") != (level == "units" and not by_words):
            raise ConfigError(f"--metric {self.metric}: does not fit an alphabet of {level}" + (" and a lexicon" if by_words else ""))
        self._cut = cut
        self._errors: dict[DecoderConfig, np.ndarray] = {}  # of each item that the settings were tried on, elsewhere -1
        self._compute_log_probs(items, progress or Progress(quiet=True))
        self._tokens = [cut(reference) for reference in self.references]
        self.totals = np.array([len(tokens) for tokens in self._tokens])

    @classmethod
    def pool(cls, parts: Sequence[TuningData]) -> TuningData:
        """The items of several, each decoded by the recognizer of its part: those of folds, say, that differ in weights or models alone."""
        return parts[0] if len(parts) == 1 else _PooledData(parts)

    def __len__(self) -> int:
        """The number of items that can be used."""
        return len(self.items)

    def _compute_log_probs(self, items: Sequence[Item], progress: Progress) -> None:
        self.items: list[Item] = []
        self.tables: list[np.ndarray] = []
        self.references: list[str] = []
        self.level, references = choose_references(self.recognizer, items)
        for item, reference, emission in zip(items, references, self.recognizer.emissions(item.source for item in items), strict=True):
            if reference is None or emission.decoder_input is None:
                progress.line(f"left out: {item.id}: {emission.error or 'has no transcript'}")
                continue
            self.items.append(item)
            self.tables.append(emission.decoder_input)
            self.references.append(reference)
            progress.update(f"log-probs: {len(self.items)}/{len(items)}")
        if not self.items:
            raise ManifestError("no item could be used for tuning")

    def calibration_references(self) -> list[Reference]:
        """What calibration needs of the items."""
        config = self.recognizer.config
        return [Reference.of(item, config.text, config.features) for item in self.items]

    def decode(self, config: DecoderConfig, members: Sequence[int]) -> list[str]:
        """The texts of some of the items with these settings of the beam."""
        return self._decode(self.decoder.with_config(config), [self.tables[n] for n in members])

    def decode_greedily(self) -> list[str] | None:
        """The texts of all items without a beam; None where a lexicon makes words of units, which cannot be had without one."""
        alphabet = self.recognizer.alphabet
        if alphabet.level != self.level:
            return None
        heads = self.recognizer.backend.head is not None
        tables = self.tables if heads else [table[:, : len(alphabet)] for table in self.tables]
        return self._decode(self.recognizer.load_decoder(DecoderConfig()), tables)

    def _decode(self, decoder: Decoder, tables: Sequence[np.ndarray]) -> list[str]:
        return [self.recognizer.text(best) for best, *_ in raise_failures(decoder.decode_all(tables, threads=self.recognizer.threads))]

    def errors(self, config: DecoderConfig, members: Sequence[int]) -> np.ndarray:
        """Errors of some of the items, (M,) int64; each is decoded with the same settings once."""
        known = self._errors.setdefault(config, np.full(len(self), -1))
        missing = [n for n in members if known[n] < 0]
        if missing:
            known[missing] = self.count_errors(self.decode(config, missing), missing)
        return known.take(members)

    def count_errors(self, texts: Sequence[str], members: Sequence[int]) -> np.ndarray:
        """Errors of texts against the transcripts of some of the items, (M,) int64."""
        return np.array([editdistance.eval(self._tokens[n], self._cut(text)) for n, text in zip(members, texts, strict=True)])

    def rate(self, errors: np.ndarray, members: Sequence[int]) -> float:
        """Errors per reference token of some of the items."""
        return float(errors.sum() / max(1, self.totals[np.asarray(members)].sum()))


class _PooledData(TuningData):
    """Items of several recognizers of one kind."""

    def __init__(self, parts: Sequence[TuningData]) -> None:
        first = parts[0]
        self.recognizer, self.decoder, self.metric, self.level, self._cut = first.recognizer, first.decoder, first.metric, first.level, first._cut
        self._errors = {}
        self.items = [item for part in parts for item in part.items]
        self.tables = [table for part in parts for table in part.tables]
        self.references = [reference for part in parts for reference in part.references]
        self._tokens = [tokens for part in parts for tokens in part._tokens]
        self.totals = np.concatenate([part.totals for part in parts])
        self._parts = [(part, number) for part in parts for number in range(len(part))]

    def decode(self, config: DecoderConfig, members: Sequence[int]) -> list[str]:
        """The texts of some of the items, each by the decoder of its part with these settings."""
        texts = [""] * len(members)
        places: dict[int, list[int]] = {}
        for place, member in enumerate(members):
            places.setdefault(id(self._parts[member][0]), []).append(place)
        for own in places.values():
            part = self._parts[members[own[0]]][0]
            for place, text in zip(own, part.decode(config, [self._parts[members[place]][1] for place in own]), strict=True):
                texts[place] = text
        return texts
