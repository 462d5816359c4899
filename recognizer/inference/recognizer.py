"""A bundle in use: from files or arrays to text."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast, overload

import numpy as np

from recognizer.audio.utterances import PAUSE_SECONDS
from recognizer.bundle.io import Bundle, load_bundle
from recognizer.bundle.registry import find_bundle, find_partner
from recognizer.config import UNITS, DecoderConfig
from recognizer.decoding.decoder import Decoder, load_decoder
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.decoding.timing import time_tokens, time_words
from recognizer.errors import ConfigError, InputError, RecognizerError
from recognizer.inference.backend import TorchBackend, open_backends
from recognizer.inference.given import Given, hold, hold_all, is_one
from recognizer.inference.inputs import Source, describe_failure
from recognizer.inference.reading_order import order_symbols, order_tokens
from recognizer.inference.runner import BatchRunner, Emission
from recognizer.inference.stretches import join_transcripts, merge_emissions, note_empty
from recognizer.text.alphabet import Alphabet
from recognizer.text.bidi import to_visual
from recognizer.types import Alternative, Token, Transcript, Word
from recognizer.utils.device import prepare_host

if TYPE_CHECKING:
    from recognizer.inference.stream import StreamEvent, StreamSession
    from recognizer.models.network import Network

One: TypeAlias = "Given | Source"  # one input
OnSegment: TypeAlias = Callable[[Transcript], None]


class Recognizer:
    """A bundle loaded for use.

    Args:
        bundle: what :func:`~recognizer.bundle.io.load_bundle` gives.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "float32", or "bf16" for about twice the speed on processors made for it; others compute in float32.
        batch_frames: most feature frames (10 ms, pixel columns) in a padded batch; bounds memory.
        decoder: other settings of decoding than the bundle's.
        hotwords: weight in nats of phrases to prefer; needs a beam.
        threads: that decode in parallel, 0: one for each processor.

    Raises:
        BundleError: weights that do not fit the settings.
        ConfigError, InputError: from :func:`~recognizer.decoding.decoder.load_decoder`.

    Attributes:
        bundles: the bundle, and that of the second recognizer if its settings name one.
        backend: what runs the network of the bundle.
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
        self.config, self.alphabet = bundle.config, bundle.alphabet
        self.precision = precision
        self.threads = threads
        self.decoding = decoder or bundle.config.decoder
        second = load_partner(self.decoding, bundle)
        self.bundles = (bundle,) if second is None else (bundle, second)
        units = self.decoding.kind == "beam" and self.decoding.combine_with == UNITS
        if units and not bundle.config.model.units_layer:
            raise ConfigError("decoder.combine_with: units is the second output of a network (model.units_layer); this one has none")
        backends = open_backends(self.bundles, device, precision, threads, units)
        self.backend = backends[0]
        self.decoder = self.load_decoder(self.decoding, hotwords)
        self.runner = BatchRunner(backends, bundle.config.features, batch_frames)

    @property
    def network(self) -> Network:
        """The network of the bundle.

        Raises:
            BundleError: there is none, as it was exported.
        """
        self.bundle.require_weights()
        assert isinstance(self.backend, TorchBackend)
        return self.backend.network

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
        """Open a bundle by its folder, or by its name if it ships with the package; ``threads`` of the CPU, 0 for all cores.

        Raises:
            BundleError: it is missing, damaged, altered or too new.
        """
        opened = load_bundle(find_bundle(bundle))
        prepare_host(threads if opened.graph is None else 0)
        return cls(opened, device, precision, decoder=decoder, hotwords=hotwords, threads=threads)

    def load_decoder(self, config: DecoderConfig, hotwords: Mapping[str, float] | None = None) -> Decoder:
        """A decoder of this recognizer with other settings; see :func:`~recognizer.decoding.decoder.load_decoder`."""
        visual = self.config.visual_order
        if hotwords and visual:
            hotwords = {to_visual(phrase): weight for phrase, weight in hotwords.items()}
        second = self._second_alphabet() if config.combine_with is not None else None
        return load_decoder(config, self.alphabet, self.bundle.folder, hotwords, second, visual, self.backend.head)

    def _second_alphabet(self) -> Alphabet | None:
        """Of the other log-probs that the decoder takes, if there are any."""
        if self.backend.num_units:
            return Alphabet(self.config.model.units, "units")
        return self.bundles[1].alphabet if len(self.bundles) > 1 else None

    @overload
    def transcribe(  # type: ignore[overload-overlap]  # a path is a string, and a string an iterable of strings
        self, source: One, n_best: int = 1, times: bool = False, sample_rate: int | None = None, on_segment: OnSegment | None = None
    ) -> Transcript: ...

    @overload
    def transcribe(
        self, source: Iterable[One], n_best: int = 1, times: bool = False, sample_rate: int | None = None, on_segment: OnSegment | None = None
    ) -> Iterator[Transcript]: ...

    def transcribe(
        self,
        source: One | Iterable[One],
        n_best: int = 1,
        times: bool = False,
        sample_rate: int | None = None,
        on_segment: OnSegment | None = None,
    ) -> Transcript | Iterator[Transcript]:
        """Recognize one input, or many.

        An input is a path; the bytes of a file, or a file opened for reading bytes; samples (N,) float, a line image (H, W) uint8 gray, or
        pen points (N, 4) float (:meth:`~recognizer.strokes.io.Trace.of_array`) as a numpy array or a torch tensor; a picture of Pillow's.

        Of one input this returns the transcript. Of a list, a tuple or an iterator of inputs it gives an iterator of transcripts, one for
        each, in order, each as soon as it and all before it are done: they are recognized together, which is several times faster. There an
        input that cannot be used gives a transcript with ``error`` set and costs the others nothing.

        Args:
            source: one input or many.
            n_best: how many hypotheses; those after the first become ``alternatives``.
            times: whether to align tokens and words and to give them confidences.
            sample_rate: of arrays and tensors of samples, Hz; None: the recognizer's own.
            on_segment: called with the transcript of each stretch of speech of a recording of more than 30 s as soon as it is decoded; its
                times are those of the recording.

        Raises:
            InputError: the one input cannot be used.
        """
        if not is_one(source):
            return self._transcribe_all(hold_all(cast("Iterable[One]", source)), n_best, times, sample_rate, on_segment)
        held = hold(0, source)
        (transcript,) = self._transcribe_all([held], n_best, times, sample_rate, on_segment)
        if transcript.error is not None:
            raise InputError(transcript.error)
        return replace(transcript, given=(held, sample_rate or getattr(self.config.features, "sample_rate", None)))

    def _transcribe_all(
        self, sources: Iterable[Source], n_best: int, times: bool, sample_rate: int | None, on_segment: OnSegment | None
    ) -> Iterator[Transcript]:
        segments: list[Transcript] = []  # of the long recording that is being recognized
        depth = n_best
        if times:
            from recognizer.decoding.confidence import DEPTH

            depth = max(n_best, DEPTH)  # confidence is computed from several hypotheses
        for emissions in self.runner.run(sources, sample_rate):
            decoded = self.decoder.decode_all([e.decoder_input for e in emissions if e.decoder_input is not None], depth, self.threads)
            for emission in emissions:
                if emission.decoder_input is None:
                    transcript = Transcript(emission.source, error=emission.error)
                else:
                    transcript = self.write_transcript(emission, next(decoded), n_best, times)
                if emission.partial:
                    segments.append(transcript)
                    if on_segment is not None and transcript.error is None:
                        on_segment(transcript)
                    continue
                if segments:
                    transcript = join_transcripts(segments, transcript, self.alphabet, n_best)
                note_empty(transcript, emission)
                yield transcript
                segments = []

    def emissions(self, sources: Iterable[One], sample_rate: int | None = None) -> Iterator[Emission]:
        """The log-probs of each input, or what else its decoder takes, in order; of one that cannot be used, the error."""
        parts: list[Emission] = []  # of the long recording that is being read
        for emissions in self.runner.run(hold_all(sources), sample_rate):
            for emission in emissions:
                if emission.partial:
                    parts.append(emission)
                    continue
                yield merge_emissions(parts, emission, self.runner.silent) if parts else emission
                parts = []

    @overload
    def log_probs(self, source: One, sample_rate: int | None = None) -> np.ndarray: ...  # type: ignore[overload-overlap]

    @overload
    def log_probs(self, source: Iterable[One], sample_rate: int | None = None) -> Iterator[np.ndarray]: ...

    def log_probs(self, source: One | Iterable[One], sample_rate: int | None = None) -> np.ndarray | Iterator[np.ndarray]:
        """CTC log-probs (T, V) float32 of one input, or of each of many, in order; inputs are those of :meth:`transcribe`.

        Raises:
            InputError: an input cannot be used.
            ConfigError: the recognizer has no CTC output.
        """
        if not self.backend.has_ctc:
            raise ConfigError(f"a recognizer of objective={self.config.objective.kind} has no CTC output, so that there are no log-probs of frames")
        if is_one(source):
            return next(self._log_probs([cast("One", source)], sample_rate))
        return self._log_probs(cast("Iterable[One]", source), sample_rate)

    def _log_probs(self, sources: Iterable[One], sample_rate: int | None) -> Iterator[np.ndarray]:
        for emission in self.emissions(sources, sample_rate):
            if emission.log_probs is None:
                raise InputError(emission.error)
            yield emission.log_probs

    def align(self, source: One, text: str | Sequence[str], sample_rate: int | None = None) -> Transcript:
        """Where the words and symbols of a known text lie in one input of :meth:`transcribe`; see :func:`recognizer.inference.align.align`.

        Args:
            source: one input.
            text: what is said or written in it: a text, or symbols where the recognizer writes units such as phones.
            sample_rate: of samples, Hz; None: the recognizer's own.

        Raises:
            InputError: the input cannot be used, the alphabet cannot spell the text, or it is too long for the input.
        """
        from recognizer.inference.align import align_one

        return align_one(self, source, text, sample_rate)

    def open_stream(self, sample_rate: int | None = None, by_utterance: bool = False, pause_seconds: float = PAUSE_SECONDS) -> StreamSession:
        """Begin with a recording that goes on, whose samples are then fed piece by piece; arguments and errors are those of the session."""
        from recognizer.inference.stream import StreamSession

        return StreamSession(self, sample_rate, by_utterance, pause_seconds)

    def stream(
        self, chunks: Iterable[np.ndarray], sample_rate: int | None = None, by_utterance: bool = False, pause_seconds: float = PAUSE_SECONDS
    ) -> Iterator[StreamEvent]:
        """Recognize a recording while it goes on: from pieces of samples (N,) of any length to events, each as soon as it is known.

        Arguments as of :meth:`open_stream`, which also says what is raised.
        """
        from recognizer.inference.stream import stream

        return stream(self.open_stream(sample_rate, by_utterance, pause_seconds), iter(chunks))

    def decode(self, inputs: np.ndarray) -> Hypothesis:
        """The best hypothesis for an :class:`Emission`'s ``decoder_input``."""
        return self.decoder.decode(inputs)[0]

    @property
    def knows_words(self) -> bool:
        """Whether a lexicon or word model says what a word is, and words are wanted."""
        return self.decoder.models.trie is not None and self.decoding.words

    def text(self, hypothesis: Hypothesis) -> str:
        """What a hypothesis says: the words of a lexicon where the symbols are units, else the symbols."""
        if hypothesis.words and self.alphabet.level == "units":
            return " ".join(hypothesis.words)
        return ("" if self.alphabet.level == "characters" else " ").join(self.spell(hypothesis.labels))

    def spell(self, labels: Sequence[int]) -> list[str]:
        """The symbols of labels, in the order in which they are read."""
        symbols = self.alphabet.spell(labels)
        return order_symbols(symbols) if self.config.visual_order else symbols

    def write_transcript(self, emission: Emission, decoded: list[Hypothesis] | Exception, n_best: int, times: bool) -> Transcript:
        """What hypotheses for an emission come to as a transcript, with tokens and words if ``times``; a failure becomes its ``error``."""
        try:
            if isinstance(decoded, Exception):
                raise decoded
            tokens, words = self._time(emission, decoded) if times else ((), ())
        except RecognizerError as error:
            return Transcript(emission.source, error=f"{emission.source}: {error}")
        except Exception as error:  # whatever strikes one input costs the others nothing
            return Transcript(emission.source, error=describe_failure(emission.source, error))
        best = decoded[0]
        return Transcript(
            emission.source,
            self.text(best),
            tuple(self.spell(best.labels)),
            best.score,
            best.acoustic,
            best.language,
            best.bonus,
            emission.seconds,
            emission.width,
            tokens=tokens,
            words=words,
            alternatives=tuple(Alternative(self.text(other), other.score) for other in decoded[1:n_best]),
        )

    def _time(self, emission: Emission, hypotheses: list[Hypothesis]) -> tuple[tuple[Token, ...], tuple[Word, ...]]:
        """Tokens and words where the decoder's alignment puts them; the search's own frames keep it within bounds."""
        from recognizer.decoding.confidence import combine, find_words, label_posteriors, word_peaks, word_posteriors

        assert emission.decoder_input is not None and emission.frame_times is not None
        best = hypotheses[0]
        alignment = self.decoder.align(emission.decoder_input, best.labels, best.frames)
        calibration = self.decoding.calibration
        peak = self.decoder.peaks(emission.decoder_input, alignment)
        confidences = combine(label_posteriors(hypotheses), peak, calibration.tokens if calibration else None)
        texts, spans = find_words(self.alphabet, best)
        by_word = combine(word_posteriors(self.alphabet, hypotheses), word_peaks(peak, spans), calibration.words if calibration else None)
        symbols = self.alphabet.spell(best.labels)
        tokens = time_tokens(symbols, alignment.starts, alignment.stops, emission.frame_times, confidences.tolist())
        words = time_words(tokens, spans, emission.frame_times, texts, by_word.tolist())
        return order_tokens(tokens, words, spans, emission.frame_times) if self.config.visual_order else (tokens, words)


def _after_fork() -> None:
    """In a process forked from one whose OpenMP threads are at work torch would wait for these for ever; it goes on with one thread."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def load_partner(config: DecoderConfig, bundle: Bundle) -> Bundle | None:
    """The bundle of the second recognizer that settings of a beam name, None where they name none.

    Raises:
        ConfigError: it takes other features.
        BundleError: it is missing, damaged, altered or too new.
    """
    if config.partner is None or config.kind == "greedy":
        return None
    second = load_bundle(find_partner(config.partner, bundle.folder))
    one, other = bundle.config, second.config
    if one.features != other.features:
        raise ConfigError(f"decoder.combine_with: {config.partner} takes other features than the recognizer itself")
    return second
