"""The recogniser in use: from files or arrays to text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from recognizer.bundle import Bundle, load_bundle
from recognizer.bundles import find_bundle
from recognizer.config import AudioFeatures, DecoderConfig, StrokeFeatures
from recognizer.data.padding import pad
from recognizer.decoding.decoder import load_decoder
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.decoding.timing import WORD_REACH_HEIGHTS, Clock, Token, Word, time_tokens, time_words
from recognizer.errors import BundleError, InputError
from recognizer.features.audio_file import audio_seconds, check_samples, load_audio
from recognizer.features.audio_stream import Window, cut_windows, stream_audio
from recognizer.features.image_file import load_image
from recognizer.features.line import Placement, place_line
from recognizer.features.reading import is_empty
from recognizer.features.stroke_file import load_trace
from recognizer.features.strokes import prepare_strokes
from recognizer.features.trace import Trace
from recognizer.host import choose_device, prepare_host
from recognizer.models.network import Network

Source = str | Path | np.ndarray

WINDOW_SECONDS = 30.0  # longer recordings are recognised in stretches of this length
CONTEXT_SECONDS = 3.0  # heard on either side of a stretch, since both directions of the network need a run-up
READ_AHEAD = 64  # sources read and sorted by length before batches are formed


@dataclass(frozen=True)
class Alternative:
    """Another reading of a source: its text and total score."""

    text: str
    score: float


@dataclass(frozen=True)
class Transcript:
    """What was recognised in one source.

    Attributes:
        source: the path, or ``array N`` for the N-th array.
        text: characters run together, or units separated by spaces, or the words that a lexicon makes of units; empty where
            ``error`` is set.
        units: the recognised symbols.
        score: total log score, ``acoustic + language + bonus`` (:class:`~recognizer.decoding.hypothesis.Hypothesis`).
        acoustic, language, bonus: its parts.
        seconds: duration of a recording; ``width``: columns of a prepared line, or points of a prepared pen trace.
        error: why the source could not be used, one line that names it; None where it could.
        tokens, words: symbols and words with times, where these were asked for.
        alternatives: the other hypotheses of an N-best list, best first.
    """

    source: str
    text: str = ""
    units: tuple[str, ...] = ()
    score: float = 0.0
    acoustic: float = 0.0
    language: float = 0.0
    bonus: float = 0.0
    seconds: float | None = None
    width: int | None = None
    error: str | None = None
    tokens: tuple[Token, ...] = ()
    words: tuple[Word, ...] = ()
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class Emission:
    """What the network says about one source.

    Attributes:
        source: the path, or ``array N``.
        log_probs: (T, V) float32; None where ``error`` is set.
        error: why the source could not be used.
        seconds: duration of a recording; ``width``: columns of a prepared line, or points of a prepared pen trace.
        clock: what a frame is in seconds, in pixels of the picture, or in points of the prepared trace.
    """

    source: str
    log_probs: np.ndarray | None
    error: str | None = None
    seconds: float | None = None
    width: int | None = None
    clock: Clock | None = None


@dataclass
class _Job:
    """A source on its way through the network."""

    name: str
    length: int = 0  # samples, columns or points
    placement: Placement = field(default_factory=lambda: Placement(0.0, 1.0))  # of columns in the picture
    pieces: list[np.ndarray] = field(default_factory=list)  # log-probs (T, V), one after the other
    error: str | None = None


@dataclass(frozen=True)
class _Piece:
    """Something to put through the network, and which of its frames to keep."""

    job: _Job
    array: np.ndarray
    first: int = 0
    stop: int | None = None


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
        self.batch_frames = batch_frames
        self.threads = threads
        self.decoding = decoder or bundle.recipe.decoder
        self.decoder = load_decoder(self.decoding, bundle.alphabet, bundle.folder, hotwords)
        self.network = Network(bundle.recipe, len(bundle.alphabet))
        try:
            self.network.load_state_dict(dict(bundle.weights))
        except RuntimeError as error:
            raise BundleError(f"{bundle.folder}: the weights do not fit the settings ({str(error).splitlines()[-1].strip()})") from None
        self.network.to(self.device).eval()

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
        for emissions in self._recognise([sources] if isinstance(sources, (str, Path, np.ndarray)) else sources):
            decoded = self.decoder.decode_all([e.log_probs for e in emissions if e.log_probs is not None], depth, self.threads)
            for emission in emissions:
                if emission.log_probs is None:
                    yield Transcript(emission.source, error=emission.error)
                else:
                    yield self._transcript(emission, next(decoded), n_best, times)

    def emissions(self, sources: Iterable[Source]) -> Iterator[Emission]:
        """The log-probs of each source, in order; of one that cannot be used, the error."""
        for emissions in self._recognise(sources):
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

    def decode(self, log_probs: np.ndarray) -> Hypothesis:
        """The best hypothesis for log-probs (T, V)."""
        return self.decoder.decode(log_probs)[0]

    @property
    def knows_words(self) -> bool:
        """Whether a lexicon or word model says what a word is."""
        models = getattr(self.decoder, "models", None)
        return models is not None and models.tree is not None

    def text(self, hypothesis: Hypothesis) -> str:
        """What a hypothesis says: the words of a lexicon where the symbols are units, else the symbols."""
        if hypothesis.words and self.alphabet.level == "units":
            return " ".join(hypothesis.words)
        return self.alphabet.decode(hypothesis.labels)

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

    def _recognise(self, sources: Iterable[Source]) -> Iterator[list[Emission]]:
        numbered = iter(enumerate(sources))
        with ThreadPoolExecutor(max_workers=2) as pool:
            upcoming = [pool.submit(self._open, *entry) for entry in islice(numbered, READ_AHEAD)]
            while upcoming:
                # the next sources are read while these go through the network
                following = [pool.submit(self._open, *entry) for entry in islice(numbered, READ_AHEAD)]
                yield from self._run([future.result() for future in upcoming])
                upcoming = following

    def _run(self, opened: list[tuple[_Job, np.ndarray | Iterator[Window] | None]]) -> Iterator[list[Emission]]:
        """Put some sources through the network: short ones together, sorted by length; long ones window by window.

        Long ones are yielded by themselves, so that the log-probs of one at most are held.
        """
        short = [_Piece(job, content) for job, content in opened if isinstance(content, np.ndarray)]
        short.sort(key=lambda piece: len(piece.array))
        for batch in self._pack(iter(short)):
            self._infer(batch)
        ready: list[Emission] = []
        for job, content in opened:
            long = content is not None and not isinstance(content, np.ndarray)
            if long and ready:
                yield ready
                ready = []
            if content is not None and not isinstance(content, np.ndarray):
                self._run_long(job, content)
            ready.append(self._finish(job))
            if long:
                yield ready
                ready = []
        if ready:
            yield ready

    def _finish(self, job: _Job) -> Emission:
        if job.error is not None:
            return Emission(job.name, None, job.error)
        log_probs = np.concatenate(job.pieces) if job.pieces else np.empty((0, len(self.alphabet)), dtype=np.float32)
        job.pieces = []
        features = self.recipe.features
        if isinstance(features, AudioFeatures):
            seconds = job.length / features.sample_rate
            return Emission(job.name, log_probs, seconds=seconds, clock=Clock.of_audio(self._samples_per_frame() / features.sample_rate, seconds))
        if isinstance(features, StrokeFeatures):
            reach = WORD_REACH_HEIGHTS / features.spacing
            return Emission(job.name, log_probs, width=job.length, clock=Clock(self.network.stride, reach, end=job.length))
        clock = Clock.of_line(self.network.stride, features.height, job.length, job.placement.offset, job.placement.scale)
        return Emission(job.name, log_probs, width=job.length, clock=clock)

    def _run_long(self, job: _Job, windows: Iterator[Window]) -> None:
        try:
            for batch in self._pack(self._cut(job, windows)):
                self._infer(batch)
        except InputError as error:
            job.error = str(error)

    def _cut(self, job: _Job, windows: Iterator[Window]) -> Iterator[_Piece]:
        samples_per_frame = self._samples_per_frame()
        for window in windows:
            job.length += window.inside
            first = window.before // samples_per_frame
            yield _Piece(job, window.samples, first, None if window.last else first + window.inside // samples_per_frame)

    def _pack(self, pieces: Iterator[_Piece]) -> Iterator[list[_Piece]]:
        """Batches of pieces within the budget of frames, in the order they come."""
        batch: list[_Piece] = []
        longest = 0
        for piece in pieces:
            frames = self.network.features.frames(len(piece.array))
            if batch and max(longest, frames) * (len(batch) + 1) > self.batch_frames:
                yield batch
                batch, longest = [], 0
            batch.append(piece)
            longest = max(longest, frames)
        if batch:
            yield batch

    def _infer(self, batch: list[_Piece]) -> None:
        inputs, lengths = pad([piece.array for piece in batch])
        autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")
        with torch.inference_mode(), autocast:
            log_probs, frames = self.network(inputs.to(self.device), lengths.to(self.device))
        for piece, row, count in zip(batch, log_probs.cpu().numpy(), frames.tolist(), strict=True):
            piece.job.pieces.append(row[piece.first : count if piece.stop is None else min(count, piece.stop)].copy())

    def _open(self, number: int, source: Source) -> tuple[_Job, np.ndarray | Iterator[Window] | None]:
        """Read a source: its array, windows of it if it is a long recording, or None if there is nothing to recognise."""
        job = _Job(f"array {number}" if isinstance(source, np.ndarray) else str(source))
        try:
            content = self._read(job, source)
        except InputError as error:
            job.error = str(error)
            return job, None
        if isinstance(content, np.ndarray):
            job.length = len(content)
            if is_empty(content):
                return job, None
        return job, content

    def _read(self, job: _Job, source: Source) -> np.ndarray | Iterator[Window]:
        settings = self.recipe.features
        if isinstance(settings, StrokeFeatures):
            trace = Trace.of_array(source, job.name) if isinstance(source, np.ndarray) else load_trace(source)
            points = prepare_strokes(trace, settings, job.name)
            if len(points) > self.batch_frames:
                raise InputError(f"{job.name}: {len(points)} points at {settings.spacing:g} of the letters' height; is this one line of text?")
            return points
        if not isinstance(settings, AudioFeatures):
            grey = load_image(source) if not isinstance(source, np.ndarray) else _checked(source, 2, job.name)
            strip, job.placement = place_line(grey, settings)
            columns = np.ascontiguousarray(strip.T)
            if len(columns) > self.batch_frames:
                raise InputError(f"{job.name}: {len(columns)} columns wide at {settings.height} rows; is this one line of text? Cut it")
            return columns
        if isinstance(source, np.ndarray):
            samples = _checked(source, 1, job.name).astype(np.float32)
            if len(samples) <= WINDOW_SECONDS * settings.sample_rate:
                return samples
            blocks = iter([samples])
        elif audio_seconds(source) <= WINDOW_SECONDS:
            return load_audio(source, settings.sample_rate)
        else:
            blocks = stream_audio(source, settings.sample_rate)
        step = self._samples_per_frame()
        inside, context = (round(seconds * settings.sample_rate / step) * step for seconds in (WINDOW_SECONDS, CONTEXT_SECONDS))
        return cut_windows(blocks, inside, context)

    def _samples_per_frame(self) -> int:
        return int(self.network.features.hop) * self.network.stride  # type: ignore[arg-type, union-attr]


def _checked(array: np.ndarray, rank: int, name: str) -> np.ndarray:
    kind = "float samples (N,)" if rank == 1 else "a grey line image (H, W) uint8"
    if array.ndim != rank or array.size == 0 or (array.dtype.kind != "f" if rank == 1 else array.dtype != np.uint8):
        raise InputError(f"{name}: expected {kind}, found shape {array.shape} of {array.dtype}")
    if rank == 1:
        check_samples(array, name)
    return array
