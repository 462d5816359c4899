"""Run networks over inputs: short ones together in batches, long recordings by the stretches in which somebody speaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from recognizer.audio.stream import SpeechWindows, Window
from recognizer.config import AudioFeatures, Features, LineFeatures, StrokeFeatures
from recognizer.data.batching import pad_arrays
from recognizer.decoding.timing import WORD_REACH_HEIGHTS, WORD_REACH_SECONDS, FrameTimes
from recognizer.errors import ConfigError, InputError
from recognizer.inference.backend import Backend
from recognizer.inference.inputs import InputLoader, LoadedInput, Source, describe_failure

READ_AHEAD = 64  # inputs read and sorted by length before batches are formed; the more, the less padding
STRETCHES_FIRST, STRETCHES = 8, 32  # of a long recording that are put through the networks together; few at first, so that text comes soon
STRETCH_FRAMES = 8000  # most feature frames in a padded batch of them: larger ones are no faster on a CPU
RARE = 1e-6  # probability of each symbol in frames between the stretches, where the networks did not run
READ_AHEAD_LINES = 192  # a line of text takes about 70 kB as it is read, a recording up to 2 MB


@dataclass(frozen=True)
class Emission:
    """What a recognizer's networks give for one input.

    Attributes:
        source: the path, or ``array N``.
        log_probs: CTC log-probs (T, V) float32; None where ``error`` is set, or the recognizer has no CTC output.
        decoder_input: what the decoder takes (T, C) float32: the log-probs and, beside them, those of a second recognizer if there is one; of
            other objectives than CTC what their head says of each frame. None where ``error`` is set.
        error: why the input could not be used.
        seconds: duration of a recording; ``width``: columns of a prepared line, or points of a prepared pen trace.
        frame_times: what a frame is in seconds, in pixels of the picture, or in points of the prepared trace.
        start: of a stretch of a long recording, how many frames lie before it.
        partial: whether this is such a stretch. What follows belongs to the same recording, up to an emission without frames, which has
            the duration of the whole, or ``error`` set.
    """

    source: str
    log_probs: np.ndarray | None = None
    decoder_input: np.ndarray | None = None
    error: str | None = None
    seconds: float | None = None
    width: int | None = None
    frame_times: FrameTimes | None = None
    start: int = 0
    partial: bool = False


@dataclass
class _Job:
    """An input, or a window of one, on its way through the networks, and its log-probs (T, V)."""

    loaded: LoadedInput
    pieces: list[np.ndarray] = field(default_factory=list)


@dataclass(frozen=True)
class _Piece:
    """An array to put through the networks, and which of its frames to keep."""

    job: _Job
    array: np.ndarray
    first: int = 0
    stop: int | None = None


class BatchRunner:
    """Runs one network, or two side by side, over inputs and gives log-probs in input order.

    Args:
        networks: ready for use; all of the same features and stride.
        features: what they take.
        batch_frames: most feature frames (10 ms, pixel columns) in a padded batch; bounds memory.

    Raises:
        ConfigError: the networks' frames are not of the same length.

    Attributes:
        silent: what the decoder takes of a frame in which nothing is said (C,).
    """

    def __init__(self, networks: Sequence[Backend], features: Features, batch_frames: int) -> None:
        first = networks[0]
        for other in networks[1:]:
            if other.stride != first.stride:
                which = f"its frames are {other.stride} features long, those of the recognizer itself {first.stride}"
                raise ConfigError(f"decoder.combine_with: {which}; name another model")
        self.networks, self.features, self.batch_frames = networks, features, batch_frames
        self.silent = np.concatenate([network.silent_frame(RARE) for network in networks])  # (C,)
        # samples of a recording that a frame of log-probs stands for
        self.step = features.hop * first.stride if isinstance(features, AudioFeatures) else 1
        self.loader = InputLoader(features, batch_frames, self.step)

    def run(self, sources: Iterable[Source], sample_rate: int | None = None) -> Iterator[list[Emission]]:
        """Log-probs of inputs, in order, a list whenever some are done; of an input that cannot be used, the error.

        Args:
            sources: files and arrays.
            sample_rate: of arrays of samples, Hz; None: that of the features.
        """
        numbered = ((number, source, sample_rate) for number, source in enumerate(sources))
        ahead = READ_AHEAD_LINES if isinstance(self.features, LineFeatures) else READ_AHEAD
        with ThreadPoolExecutor(max_workers=2) as pool:
            upcoming = [pool.submit(self.loader.load, *entry) for entry in islice(numbered, READ_AHEAD)]  # few, so that the first text comes soon
            while upcoming:
                # the next inputs are read while these go through the networks
                following = [pool.submit(self.loader.load, *entry) for entry in islice(numbered, ahead)]
                yield from self._run_jobs([_Job(future.result()) for future in upcoming])
                upcoming = following

    def _run_jobs(self, jobs: list[_Job]) -> Iterator[list[Emission]]:
        """Short inputs together, sorted by length; long ones by their stretches, so that one at most is held."""
        short = [_Piece(job, job.loaded.content) for job in jobs if isinstance(job.loaded.content, np.ndarray)]
        short.sort(key=lambda piece: len(piece.array))
        for batch in self._batches(iter(short), self.batch_frames):
            self._infer(batch)
        ready: list[Emission] = []
        for job in jobs:
            content = job.loaded.content
            if content is None or isinstance(content, np.ndarray):
                ready.append(self._finish(job))
                continue
            if ready:
                yield ready
                ready = []
            yield from self._run_recording(job.loaded, content)
        if ready:
            yield ready

    def _run_recording(self, loaded: LoadedInput, windows: SpeechWindows) -> Iterator[list[Emission]]:
        """The emissions of the stretches of a long recording, whenever some are done, and at last the one that ends them."""
        coming = iter(windows)
        begun: list[np.ndarray] = []  # tables of the stretch that goes on, and the sample at which it begins
        count, start = STRETCHES_FIRST, 0
        try:
            while group := list(islice(coming, count)):
                ready = []
                for window, table in zip(group, self._run_windows(loaded, group), strict=True):
                    start = start if begun else window.start
                    begun.append(table)
                    if not window.continues:
                        ready.append(self._stretch(loaded.name, begun, start, window.start + window.inside))
                        begun = []
                yield ready
                count = STRETCHES
            if begun:
                yield [self._stretch(loaded.name, begun, start, windows.length)]
        except InputError as error:
            loaded.error = str(error)
        except Exception as error:
            loaded.error = describe_failure(loaded.name, error)
        loaded.length = windows.length
        frames = self.networks[0].frames(self.networks[0].feature_frames(windows.length))
        yield [replace(self._finish(_Job(loaded)), start=frames)]

    def _stretch(self, name: str, tables: Sequence[np.ndarray], start: int, stop: int) -> Emission:
        """The emission of a stretch of a recording from one sample to another."""
        combined = np.concatenate(tables)
        return self._emission(name, combined, stop / self.features.sample_rate, start // self.step, partial=True)  # type: ignore[union-attr]

    def _run_windows(self, loaded: LoadedInput, windows: Sequence[Window]) -> list[np.ndarray]:
        """Log-probs (T, V) of some windows without their context."""
        pieces = []
        for window in windows:
            first = window.before // self.step
            pieces.append(_Piece(_Job(loaded), window.samples, first, first + window.inside // self.step if window.continues else None))
        for batch in self._batches(iter(sorted(pieces, key=lambda piece: len(piece.array))), min(self.batch_frames, STRETCH_FRAMES)):
            self._infer(batch)
        return [piece.job.pieces[0] for piece in pieces]

    def _batches(self, pieces: Iterator[_Piece], budget: int) -> Iterator[list[_Piece]]:
        """Batches of pieces within a budget of frames, in the order they come."""
        batch: list[_Piece] = []
        longest = 0
        for piece in pieces:
            frames = self.networks[0].feature_frames(len(piece.array))
            if batch and max(longest, frames) * (len(batch) + 1) > budget:
                yield batch
                batch, longest = [], 0
            batch.append(piece)
            longest = max(longest, frames)
        if batch:
            yield batch

    def _infer(self, batch: list[_Piece]) -> None:
        inputs, lengths = pad_arrays([piece.array for piece in batch])
        outputs = [network.run(inputs, lengths) for network in self.networks]
        tables, frames = np.concatenate([table for table, _ in outputs], axis=2), outputs[0][1]
        for piece, row, count in zip(batch, tables, frames.tolist(), strict=True):
            piece.job.pieces.append(row[piece.first : count if piece.stop is None else min(count, piece.stop)].copy())

    def _finish(self, job: _Job) -> Emission:
        loaded = job.loaded
        if loaded.error is not None:
            return Emission(loaded.name, error=loaded.error)
        combined = np.concatenate(job.pieces) if job.pieces else np.empty((0, len(self.silent)), dtype=np.float32)
        job.pieces = []
        if isinstance(self.features, AudioFeatures):
            return self._emission(loaded.name, combined, loaded.length / self.features.sample_rate)
        if isinstance(self.features, StrokeFeatures):
            times = FrameTimes(self.networks[0].stride, WORD_REACH_HEIGHTS / self.features.spacing, end=loaded.length)
        else:
            place = loaded.columns
            times = FrameTimes.of_line(self.networks[0].stride, self.features.height, loaded.length, place.offset, place.scale)
        return Emission(loaded.name, self.networks[0].ctc_log_probs(combined), combined, width=loaded.length, frame_times=times)

    def _emission(self, name: str, combined: np.ndarray, seconds: float, start: int = 0, partial: bool = False) -> Emission:
        """The emission of a recording, or of a stretch of it that ends after so many seconds."""
        step = self.step / self.features.sample_rate  # type: ignore[union-attr]
        times = FrameTimes(step, WORD_REACH_SECONDS, start * step, seconds)
        log_probs = self.networks[0].ctc_log_probs(combined)
        return Emission(name, log_probs, combined, seconds=seconds, frame_times=times, start=start, partial=partial)
