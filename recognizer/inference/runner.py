"""Run networks over inputs: short ones together in batches, long recordings window by window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch

from recognizer.audio.stream import Window
from recognizer.config import AudioFeatures, Features, LineFeatures, StrokeFeatures
from recognizer.data.batching import pad
from recognizer.decoding.timing import WORD_REACH_HEIGHTS, FrameTimes
from recognizer.errors import ConfigError, InputError
from recognizer.inference.inputs import InputLoader, LoadedInput, Source, describe_failure
from recognizer.models.network import Network

READ_AHEAD = 64  # inputs read and sorted by length before batches are formed; the more, the less padding
READ_AHEAD_LINES = 192  # a line of text takes about 70 kB as it is read, a recording up to 2 MB


@dataclass(frozen=True)
class Emission:
    """What a recognizer's networks give for one input.

    Attributes:
        source: the path, or ``array N``.
        log_probs: (T, V) float32; None where ``error`` is set.
        combined_log_probs: what the decoder takes: the log-probs and, beside them, those of a second recognizer if there is one, (T, V + V2).
        error: why the input could not be used.
        seconds: duration of a recording; ``width``: columns of a prepared line, or points of a prepared pen trace.
        frame_times: what a frame is in seconds, in pixels of the picture, or in points of the prepared trace.
    """

    source: str
    log_probs: np.ndarray | None = None
    combined_log_probs: np.ndarray | None = None
    error: str | None = None
    seconds: float | None = None
    width: int | None = None
    frame_times: FrameTimes | None = None


@dataclass
class _Job:
    """An input on its way through the networks, and its log-probs (T, V) so far, one window after the other."""

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
        networks: on their device, ready for use; all of the same features and stride.
        features: what they take.
        precision: "float32" or "bf16".
        batch_frames: most feature frames (10 ms, pixel columns) in a padded batch; bounds memory.

    Raises:
        ConfigError: the networks' frames are not of the same length.
    """

    def __init__(self, networks: Sequence[Network], features: Features, precision: str, batch_frames: int) -> None:
        first = networks[0]
        for other in networks[1:]:
            if other.stride != first.stride:
                which = f"its frames are {other.stride} features long, those of the recognizer itself {first.stride}"
                raise ConfigError(f"decoder.combine_with: {which}; name another model")
        self.networks, self.features, self.precision, self.batch_frames = networks, features, precision, batch_frames
        # samples of a recording that a frame of log-probs stands for
        self.step = int(first.features.hop) * first.stride if isinstance(features, AudioFeatures) else 1  # type: ignore[arg-type]
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
        """Short inputs together, sorted by length; long ones window by window and yielded by themselves, so that one at most is held."""
        short = [_Piece(job, job.loaded.content) for job in jobs if isinstance(job.loaded.content, np.ndarray)]
        short.sort(key=lambda piece: len(piece.array))
        for batch in self._batches(iter(short)):
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
            self._run_windows(job, content)
            yield [self._finish(job)]
        if ready:
            yield ready

    def _run_windows(self, job: _Job, windows: Iterator[Window]) -> None:
        try:
            for batch in self._batches(self._window_pieces(job, windows)):
                self._infer(batch)
        except InputError as error:
            job.loaded.error = str(error)
        except Exception as error:
            job.loaded.error = describe_failure(job.loaded.name, error)

    def _window_pieces(self, job: _Job, windows: Iterator[Window]) -> Iterator[_Piece]:
        for window in windows:
            job.loaded.length += window.inside
            first = window.before // self.step
            yield _Piece(job, window.samples, first, None if window.last else first + window.inside // self.step)

    def _batches(self, pieces: Iterator[_Piece]) -> Iterator[list[_Piece]]:
        """Batches of pieces within the budget of frames, in the order they come."""
        batch: list[_Piece] = []
        longest = 0
        for piece in pieces:
            frames = self.networks[0].features.frames(len(piece.array))
            if batch and max(longest, frames) * (len(batch) + 1) > self.batch_frames:
                yield batch
                batch, longest = [], 0
            batch.append(piece)
            longest = max(longest, frames)
        if batch:
            yield batch

    def _infer(self, batch: list[_Piece]) -> None:
        inputs, lengths = pad([piece.array for piece in batch])
        device = self.networks[0].device
        inputs, lengths = inputs.to(device), lengths.to(device)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            outputs = [network(inputs, lengths) for network in self.networks]
        log_probs, frames = torch.cat([table for table, _ in outputs], dim=2), outputs[0][1]
        for piece, row, count in zip(batch, log_probs.cpu().numpy(), frames.tolist(), strict=True):
            piece.job.pieces.append(row[piece.first : count if piece.stop is None else min(count, piece.stop)].copy())

    def _finish(self, job: _Job) -> Emission:
        loaded = job.loaded
        if loaded.error is not None:
            return Emission(loaded.name, error=loaded.error)
        columns = [network.num_labels for network in self.networks]
        combined = np.concatenate(job.pieces) if job.pieces else np.empty((0, sum(columns)), dtype=np.float32)
        job.pieces = []
        log_probs = combined[:, : columns[0]]
        if isinstance(self.features, AudioFeatures):
            seconds = loaded.length / self.features.sample_rate
            times = FrameTimes.of_audio(self.step / self.features.sample_rate, seconds)
            return Emission(loaded.name, log_probs, combined, seconds=seconds, frame_times=times)
        if isinstance(self.features, StrokeFeatures):
            times = FrameTimes(self.networks[0].stride, WORD_REACH_HEIGHTS / self.features.spacing, end=loaded.length)
        else:
            place = loaded.columns
            times = FrameTimes.of_line(self.networks[0].stride, self.features.height, loaded.length, place.offset, place.scale)
        return Emission(loaded.name, log_probs, combined, width=loaded.length, frame_times=times)
