"""Text while somebody speaks: samples are fed piece by piece, and what is certain of an utterance comes out before it has ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
import soxr
import torch

from recognizer.audio.io import MAX_RATE, MIN_RATE, check_samples
from recognizer.audio.utterances import PAUSE_SECONDS, UtteranceDetector, UtterancePart
from recognizer.config import AudioFeatures
from recognizer.decoding.confidence import DEPTH
from recognizer.decoding.decoder import GreedyDecoder
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.decoding.segments import SILENT, find_segments, join, join_n_best, silence
from recognizer.decoding.timing import WORD_REACH_SECONDS, FrameTimes
from recognizer.errors import ConfigError, InputError
from recognizer.inference.runner import Emission
from recognizer.models.streaming import NetworkStream, check_streams
from recognizer.types import Token, Transcript, Word
from recognizer.utils.device import mixed_precision

if TYPE_CHECKING:
    from recognizer.inference.recognizer import Recognizer

Timed = TypeVar("Timed", Token, Word)

NAME = "stream"  # what transcripts and messages call the recording
# Samples are looked at so many at a time, however many are fed, so that the result does not depend on it: two frames of the speech detector.
# Shorter pieces cost more time of the processor than they save.
BLOCK_SECONDS = 0.064
WINDOW_SECONDS = 9.0  # of the end of an utterance that a beam search may still revise
BY_UTTERANCE = "or take it utterance by utterance, each recognized when a pause has ended it: by_utterance=True"


@dataclass(frozen=True)
class StreamEvent:
    """What is known of an utterance.

    Attributes:
        kind: "partial" while it goes on, "final" when a pause has ended it.
        transcript: of what there is of it, with tokens and words; all times are seconds from the start of the stream.
        stable: the beginning of the text that no later event of the utterance changes: all of it by greedy decoding and in the end, with a beam
            what lies more than some seconds back.
        start, end: seconds of the stream at which the utterance begins, and up to which it is known; of a final event, where it ends.
    """

    kind: Literal["partial", "final"]
    transcript: Transcript
    stable: str
    start: float
    end: float

    @property
    def text(self) -> str:
        """The text of the utterance so far."""
        return self.transcript.text


class StreamSession:
    """One recording that goes on; made by :meth:`~recognizer.inference.recognizer.Recognizer.open_stream`.

    Args:
        recognizer: that is used; its network must be able to stream unless ``by_utterance``.
        sample_rate: of the samples to come, Hz; None: the recognizer's own.
        by_utterance: recognize each utterance as a whole when it has ended: there are no partial events then, and any recognizer will do.
        pause_seconds: silence that ends an utterance.

    Raises:
        ConfigError: the recognizer does not read recordings or cannot stream; the message names the setting.
        InputError: a sample rate outside 4 to 768 kHz.
    """

    def __init__(
        self, recognizer: Recognizer, sample_rate: int | None = None, by_utterance: bool = False, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        features = recognizer.config.features
        if not isinstance(features, AudioFeatures):
            raise ConfigError(f"features.kind: {features.kind}: this recognizer reads no recordings, so that there is nothing to stream")
        try:
            if not by_utterance:
                check_recognizer(recognizer)
        except ConfigError as error:
            raise ConfigError(f"{error}; {BY_UTTERANCE}") from None
        self._recognizer, self._by_utterance, self._rate = recognizer, by_utterance, features.sample_rate
        rate = sample_rate or self._rate
        if not MIN_RATE <= rate <= MAX_RATE:
            raise InputError(f"{NAME}: a sample rate of {rate} Hz; expected {MIN_RATE // 1000} to {MAX_RATE // 1000} kHz")
        self._resampler = None if rate == self._rate else soxr.ResampleStream(rate, self._rate, 1, dtype="float32", quality="HQ")
        self._detector = UtteranceDetector(self._rate, pause_seconds)
        self._block = round(BLOCK_SECONDS * self._rate)
        self._rest = np.empty(0, dtype=np.float32)
        self._utterance: _Streamed | _Collected | None = None
        self._finished = False

    def feed(self, samples: np.ndarray) -> list[StreamEvent]:
        """What samples (N,) float in [-1, 1], which follow those before, make known; often nothing.

        Raises:
            InputError: not such samples, or the stream was finished.
        """
        samples = np.asarray(samples)
        if samples.ndim != 1 or samples.dtype.kind != "f":
            raise InputError(f"{NAME}: expected float samples (N,), found shape {samples.shape} of {samples.dtype}")
        check_samples(samples, NAME)
        return self._take(samples.astype(np.float32, copy=False), False)

    def finish(self) -> list[StreamEvent]:
        """What is still to be said when nothing follows; the session cannot be fed any more."""
        return self._take(np.empty(0, dtype=np.float32), True)

    def _take(self, samples: np.ndarray, last: bool) -> list[StreamEvent]:
        if self._finished:
            raise InputError(f"{NAME}: it is finished; open another for what follows")
        self._finished = last
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(np.ascontiguousarray(samples), last=last)
        known = np.concatenate([self._rest, samples.clip(-1.0, 1.0)])
        whole = len(known) // self._block * self._block
        events: list[StreamEvent] = []
        for begin in range(0, whole, self._block):
            events += self._follow(known[begin : begin + self._block], False)
        self._rest = known[whole:]
        return events + self._follow(self._rest, True) if last else events

    def _follow(self, block: np.ndarray, last: bool) -> list[StreamEvent]:
        """The events of a block."""
        events: list[StreamEvent] = []
        for part in self._detector.feed(block, last):
            if part.begins:
                make = _Collected if self._by_utterance else _Streamed
                self._utterance = make(self._recognizer, part.start)
            assert self._utterance is not None
            event = self._utterance.feed(part)
            events += [] if event is None else [event]
        return events


def check_recognizer(recognizer: Recognizer) -> None:
    """Refuse a recognizer that writes nothing before the end of an utterance.

    Raises:
        ConfigError: which names the setting.
    """
    check_streams(recognizer.config)
    if recognizer.bundle.graph is not None:
        raise ConfigError(f"{recognizer.bundle.graph}: was exported, and its graph takes whole utterances; name the bundle that it was exported from")
    if len(recognizer.bundles) > 1 or recognizer.backend.num_units:
        raise ConfigError("decoder.combine_with: two recognizers are not streamed together; add decoder.combine_with=null")


class _Streamed:
    """An utterance on its way through a network that streams."""

    def __init__(self, recognizer: Recognizer, start: int) -> None:
        self._recognizer, self._start = recognizer, start
        self._features = recognizer.config.features
        self._network = NetworkStream(recognizer.config, recognizer.network)
        self._rate: int = self._features.sample_rate  # type: ignore[union-attr]
        self._held: list[np.ndarray] = []
        self._table = np.empty((0, recognizer.network.num_labels), dtype=np.float32)
        self._decoded: list[tuple[int, list[Hypothesis]]] = []  # of segments that are not revised any more
        self._cut = 0  # frame behind them
        self._labels: tuple[int, ...] = ()

    def feed(self, part: UtterancePart) -> StreamEvent | None:
        """The event of a part, if the text has become another or is final; none for an utterance without text."""
        self._held.append(part.samples)
        ends = part.stop is not None
        if not ends and sum(map(len, self._held)) < BLOCK_SECONDS * self._rate:
            return None
        samples, self._held = torch.from_numpy(np.concatenate(self._held)), []
        with mixed_precision(self._recognizer.network.device, self._recognizer.precision):
            found = self._network.feed(samples, last=ends)
        self._table = np.concatenate([self._table, found.float().cpu().numpy()])
        if not ends and not len(found):
            return None
        return self._decode(part.start + len(part.samples) if part.stop is None else part.stop, ends)

    def _decode(self, reached: int, ends: bool) -> StreamEvent | None:
        decoder, separator = self._recognizer.decoder, getattr(self._recognizer.decoder, "separator", 0)
        revised = not isinstance(decoder, GreedyDecoder)
        depth = DEPTH if ends and revised else 1
        limit = round(WINDOW_SECONDS * self._rate / self._recognizer.runner.step)
        while revised and len(self._table) - self._cut > limit:
            window = self._table[self._cut :]
            spaces = window[:, separator] > SILENT if separator else np.zeros(len(window), bool)
            stop = self._cut + find_segments(silence(window, separator), spaces, limit)[1]
            self._decoded.append((self._cut, decoder.decode(self._table[self._cut : stop], DEPTH)))
            self._cut = stop
        hypotheses = decoder.decode(self._table[self._cut :], depth)
        if self._decoded:
            hypotheses = join_n_best([*self._decoded, (self._cut, hypotheses)], separator, depth, lambda hypothesis: hypothesis.labels)
        if hypotheses[0].labels == self._labels and not (ends and self._labels):
            return None
        self._labels = hypotheses[0].labels
        start, end = self._start / self._rate, reached / self._rate
        times = FrameTimes(self._recognizer.runner.step / self._rate, WORD_REACH_SECONDS, start, end)
        emission = Emission(NAME, self._table, self._table, seconds=end - start, frame_times=times)
        transcript = self._recognizer.write_transcript(emission, hypotheses, 1, True)
        stable = transcript.text if ends or not revised else self._recognizer.text(join([(n, found[0]) for n, found in self._decoded], separator)[0])
        return StreamEvent("final" if ends else "partial", transcript, stable, start, end)


class _Collected:
    """An utterance that is recognized when it has ended."""

    def __init__(self, recognizer: Recognizer, start: int) -> None:
        self._recognizer, self._start = recognizer, start
        self._samples: list[np.ndarray] = []

    def feed(self, part: UtterancePart) -> StreamEvent | None:
        """The final event, None before it and for an utterance without text."""
        self._samples.append(part.samples)
        if part.stop is None:
            return None
        rate = self._recognizer.config.features.sample_rate  # type: ignore[union-attr]
        samples = np.concatenate(self._samples)[: part.stop - self._start]
        (transcript,) = self._recognizer.transcribe([samples], times=True)
        if not transcript.text and transcript.error is None:
            return None
        start = self._start / rate
        transcript = replace(transcript, source=NAME, tokens=_shift(transcript.tokens, start), words=_shift(transcript.words, start))
        return StreamEvent("final", transcript, transcript.text, start, part.stop / rate)


def _shift(parts: tuple[Timed, ...], seconds: float) -> tuple[Timed, ...]:
    """The same so much later."""
    return tuple(replace(part, start=part.start + seconds, end=part.end + seconds) for part in parts)


def stream(session: StreamSession, chunks: Iterator[np.ndarray]) -> Iterator[StreamEvent]:
    """The events of a session that is fed these pieces of a recording, to its end."""
    for chunk in chunks:
        yield from session.feed(chunk)
    yield from session.finish()
