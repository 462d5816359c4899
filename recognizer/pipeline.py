"""The recogniser in use: from files or arrays to text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch

from recognizer.bundle import Bundle, load_bundle
from recognizer.bundles import find_bundle
from recognizer.config import DecoderConfig
from recognizer.decoding.decoder import load_decoder
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.decoding.timing import Token, Word, time_tokens, time_words
from recognizer.emitter import Emitter
from recognizer.errors import BundleError, ConfigError, InputError
from recognizer.host import choose_device, prepare_host
from recognizer.models.network import Network
from recognizer.models.network_pair import NetworkPair
from recognizer.source import WINDOW_SECONDS, Source
from recognizer.transcript import Alternative, Emission, Transcript

__all__ = ["WINDOW_SECONDS", "Alternative", "Emission", "Recognizer", "Source", "Transcript"]


class Recognizer:
    """A bundle loaded for use.

    Args:
        bundle: what :func:`~recognizer.bundle.load_bundle` gives.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "float32", or "bf16" for about twice the speed on processors made for it.
        batch_frames: most feature frames (10 ms, pixel columns) in a padded batch; bounds memory.
        decoder: other settings of decoding than the bundle's.
        hotwords: weight in nats of phrases to prefer; needs a beam.
        threads: that decode in parallel, 0: one a processor.

    Raises:
        BundleError: weights that do not fit the settings.
        ConfigError, InputError: from :func:`~recognizer.decoding.decoder.load_decoder`.

    Attributes:
        bundles: the bundle, and that of the second recogniser if its settings name one.
        network: of the bundle.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str = "auto",
        precision: str = "float32",
        batch_frames: int = 16_000,
        decoder: DecoderConfig | None = None,
        hotwords: Mapping[str, float] | None = None,
        threads: int = 0,
    ) -> None:
        self.bundle = bundle
        self.recipe, self.alphabet = bundle.recipe, bundle.alphabet
        self.device = choose_device(device)
        self.precision = precision
        self.threads = threads
        self.decoding = decoder or bundle.recipe.decoder
        second = load_second(self.decoding, bundle)
        self.bundles = (bundle,) if second is None else (bundle, second)
        alphabet = second.alphabet if second is not None else None
        self.decoder = load_decoder(self.decoding, bundle.alphabet, bundle.folder, hotwords, alphabet)
        self.network = _load_network(bundle, self.device)
        networks = self.network if second is None else NetworkPair(self.network, _load_network(second, self.device))
        emitter = partial(Emitter, features=bundle.recipe.features, precision=precision, batch_frames=batch_frames)
        self.emitter = emitter(networks)
        self.cascade = None
        if isinstance(networks, NetworkPair) and self.decoding.second_alone < 1 and self.recipe.modality != "audio":
            from recognizer.cascade import Cascade  # a recogniser alone need not wait for it

            self.cascade = Cascade(emitter(networks.first), emitter(networks.second, keep=True), self.decoder)

    @classmethod
    def load(
        cls,
        bundle: str | Path,
        device: str = "auto",
        precision: str = "float32",
        threads: int = 0,
        decoder: DecoderConfig | None = None,
        hotwords: Mapping[str, float] | None = None,
    ) -> Recognizer:
        """Open a bundle by its folder, or by its name if it is in the box; ``threads`` of the CPU, 0 for all cores.

        Raises:
            BundleError: it is missing, damaged, altered or too new.
        """
        prepare_host(threads)
        return cls(load_bundle(find_bundle(bundle)), device, precision, decoder=decoder, hotwords=hotwords, threads=threads)

    def transcribe(self, sources: Iterable[Source] | Source, n_best: int = 1, times: bool = False) -> Iterator[Transcript]:
        """Recognise paths, samples (N,) float at the recogniser's sample rate, line images (H, W) uint8 grey,
        or pen points (N, 4) float (:meth:`~recognizer.features.trace.Trace.of_array`), as the recogniser takes them.

        Yields one transcript a source, in order, as soon as it and all before it are done. A source that cannot be used
        gives a transcript with ``error`` set and costs the others nothing.

        Args:
            sources: one or many.
            n_best: how many hypotheses; those after the first become ``alternatives``.
            times: whether to align tokens and words and to say how far they can be trusted.
        """
        depth = n_best
        if times:
            from recognizer.decoding.confidence import DEPTH

            depth = max(n_best, DEPTH)  # confidence looks at other readings
        for emission, hypotheses in self._read([sources] if isinstance(sources, (str, Path, np.ndarray)) else sources, depth):
            if emission.log_probs is None:
                yield Transcript(emission.source, error=emission.error)
            else:
                yield self._transcript(emission, hypotheses, n_best, times)

    def emissions(self, sources: Iterable[Source]) -> Iterator[Emission]:
        """The log-probs of each source, in order; of one that cannot be used, the error."""
        for emissions in self.emitter.emit(sources):
            yield from emissions

    def log_probs(self, sources: Iterable[Source]) -> Iterator[np.ndarray]:
        """Log-probs (T, V) float32 of each source, in order.

        Raises:
            InputError: a source cannot be used.
        """
        for emission in self.emissions(sources):
            if emission.log_probs is None:
                raise InputError(emission.error)
            yield emission.log_probs

    def decode(self, table: np.ndarray) -> Hypothesis:
        """The best hypothesis for an :class:`Emission`'s table: log-probs (T, V), beside them those of a second recogniser if there is one."""
        return self.decoder.decode(table)[0]

    @property
    def knows_words(self) -> bool:
        """Whether a lexicon or word model says what a word is, and words are wanted."""
        models = getattr(self.decoder, "models", None)
        return models is not None and models.tree is not None and self.decoding.words

    def text(self, hypothesis: Hypothesis) -> str:
        """What a hypothesis says: the words of a lexicon where the symbols are units, else the symbols."""
        if hypothesis.words and self.alphabet.level == "units":
            return " ".join(hypothesis.words)
        return self.alphabet.decode(hypothesis.labels)

    def _read(self, sources: Iterable[Source], depth: int) -> Iterator[tuple[Emission, list[Hypothesis]]]:
        """What is heard of each source and how it is read; of one that cannot be used, nothing."""
        if self.cascade is not None:
            yield from self.cascade.read(sources, depth, self.threads)
            return
        for emissions in self.emitter.emit(sources):
            decoded = self.decoder.decode_all([e.table for e in emissions if e.table is not None], depth, self.threads)
            for emission in emissions:
                yield emission, [] if emission.table is None else next(decoded)

    def _transcript(self, emission: Emission, hypotheses: list[Hypothesis], n_best: int, times: bool) -> Transcript:
        best = hypotheses[0]
        tokens, words = self._time(emission, hypotheses) if times else ((), ())
        return Transcript(
            emission.source,
            self.text(best),
            tuple(self.alphabet.spell(best.labels)),
            best.score,
            best.acoustic,
            best.language,
            best.bonus,
            emission.seconds,
            emission.width,
            tokens=tokens,
            words=words,
            alternatives=tuple(Alternative(self.text(other), other.score) for other in hypotheses[1:n_best]),
        )

    def _time(self, emission: Emission, hypotheses: list[Hypothesis]) -> tuple[tuple[Token, ...], tuple[Word, ...]]:
        """Tokens and words where Viterbi alignment puts them; the search's own frames keep it within bounds."""
        from recognizer.decoding.alignment import viterbi_align
        from recognizer.decoding.confidence import confidence, find_words, word_confidence

        assert emission.log_probs is not None and emission.clock is not None
        best = hypotheses[0]
        alignment = viterbi_align(emission.log_probs, best.labels, np.maximum.accumulate(np.array(best.frames, np.int64)))
        calibration = self.decoding.calibration
        trusts = confidence([(h.labels, h.score) for h in hypotheses], emission.log_probs, alignment, calibration)
        readings = [find_words(self.alphabet, h) for h in hypotheses]
        texts, spans = readings[0]
        scored = [(words, h.score) for (words, _), h in zip(readings, hypotheses, strict=True)]
        by_word = word_confidence(scored, emission.log_probs, alignment, spans, calibration)
        symbols = self.alphabet.spell(best.labels)
        tokens = time_tokens(symbols, alignment.starts, alignment.stops, emission.clock, trusts.tolist())
        return tokens, time_words(tokens, spans, emission.clock, texts, by_word.tolist())


def load_second(config: DecoderConfig, bundle: Bundle) -> Bundle | None:
    """The bundle of the second recogniser that settings of a beam name, None where they name none.

    Raises:
        ConfigError: it takes other features.
        BundleError: it is missing, damaged, altered or too new.
    """
    if config.second is None or config.kind == "greedy":
        return None
    near = bundle.folder / config.second
    second = load_bundle(near if near.is_dir() else find_bundle(config.second))
    one, other = bundle.recipe, second.recipe
    if one.features != other.features:
        raise ConfigError(f"decoder.second: {config.second} takes other features than the recogniser itself")
    return second


def _load_network(bundle: Bundle, device: torch.device) -> Network:
    network = Network(bundle.recipe, len(bundle.alphabet))
    try:
        network.load_state_dict(dict(bundle.weights))
    except RuntimeError as error:
        raise BundleError(f"{bundle.folder}: the weights do not fit the settings ({str(error).splitlines()[-1].strip()})") from None
    return network.to(device).eval()
