"""From sources to log-probs: short ones through the network together, long recordings window by window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch

from recognizer.config import AudioFeatures, Features, LineFeatures, StrokeFeatures
from recognizer.data.padding import pad
from recognizer.decoding.timing import WORD_REACH_HEIGHTS, Clock
from recognizer.errors import InputError
from recognizer.features.audio_stream import Window
from recognizer.models.network import Network
from recognizer.models.network_pair import NetworkPair
from recognizer.source import Opened, Source, SourceReader
from recognizer.transcript import Emission

READ_AHEAD = 64  # sources read and sorted by length before batches are formed; the more, the less padding
READ_AHEAD_LINES = 192  # a line of text takes about 70 kB as it is read, a recording up to 2 MB


@dataclass
class _Job:
    """A source on its way through the network, and its log-probs (T, V) so far, one stretch after the other."""

    opened: Opened
    pieces: list[np.ndarray] = field(default_factory=list)


@dataclass(frozen=True)
class _Piece:
    """Something to put through the network, and which of its frames to keep."""

    job: _Job
    array: np.ndarray
    first: int = 0
    stop: int | None = None


class Emitter:
    """Puts sources through a network.

    Args:
        network: on its device, as it is used.
        features: what it takes.
        precision: "float32" or "bf16".
        batch_frames: most feature frames (10 ms, pixel columns) in a padded batch; bounds memory.
        keep: whether an emission holds what the network was given (not of long recordings), for another to be given it, too.
    """

    def __init__(self, network: Network | NetworkPair, features: Features, precision: str, batch_frames: int, keep: bool = False) -> None:
        self.network, self.features, self.precision, self.batch_frames, self.keep = network, features, precision, batch_frames, keep
        # samples of a recording that a frame of log-probs stands for
        self.step = int(network.features.hop) * network.stride if isinstance(features, AudioFeatures) else 1  # type: ignore[arg-type, union-attr]
        self.reader = SourceReader(features, batch_frames, self.step)

    def emit(self, sources: Iterable[Source]) -> Iterator[list[Emission]]:
        """What the network says about sources, in order, a list whenever some are done; of one that cannot be used, the error."""
        numbered = iter(enumerate(sources))
        ahead = READ_AHEAD_LINES if isinstance(self.features, LineFeatures) else READ_AHEAD
        with ThreadPoolExecutor(max_workers=2) as pool:
            upcoming = [pool.submit(self.reader.open, *entry) for entry in islice(numbered, READ_AHEAD)]  # few, so that the first text comes soon
            while upcoming:
                # the next sources are read while these go through the network
                following = [pool.submit(self.reader.open, *entry) for entry in islice(numbered, ahead)]
                yield from self._run([_Job(future.result()) for future in upcoming])
                upcoming = following

    def run(self, arrays: Iterable[np.ndarray]) -> list[np.ndarray]:
        """Log-probs (T, V) of what :attr:`Emission.content` of another emitter holds."""
        jobs = [_Job(Opened("", array)) for array in arrays]
        return [emission.table for ready in self._run(jobs) for emission in ready if emission.table is not None]

    def _run(self, jobs: list[_Job]) -> Iterator[list[Emission]]:
        """Put some sources through the network: short ones together, sorted by length; long ones window by window.

        Long ones are yielded by themselves, so that the log-probs of one at most are held.
        """
        short = [_Piece(job, job.opened.content) for job in jobs if isinstance(job.opened.content, np.ndarray)]
        short.sort(key=lambda piece: len(piece.array))
        for batch in self._pack(iter(short)):
            self._infer(batch)
        ready: list[Emission] = []
        for job in jobs:
            content = job.opened.content
            if content is None or isinstance(content, np.ndarray):
                ready.append(self._finish(job))
                continue
            if ready:
                yield ready
                ready = []
            self._run_long(job, content)
            yield [self._finish(job)]
        if ready:
            yield ready

    def _run_long(self, job: _Job, windows: Iterator[Window]) -> None:
        try:
            for batch in self._pack(self._cut(job, windows)):
                self._infer(batch)
        except InputError as error:
            job.opened.error = str(error)

    def _cut(self, job: _Job, windows: Iterator[Window]) -> Iterator[_Piece]:
        for window in windows:
            job.opened.length += window.inside
            first = window.before // self.step
            yield _Piece(job, window.samples, first, None if window.last else first + window.inside // self.step)

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
        device = self.network.device
        autocast = torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")
        with torch.inference_mode(), autocast:
            log_probs, frames = self.network(inputs.to(device), lengths.to(device))
        for piece, row, count in zip(batch, log_probs.cpu().numpy(), frames.tolist(), strict=True):
            piece.job.pieces.append(row[piece.first : count if piece.stop is None else min(count, piece.stop)].copy())

    def _finish(self, job: _Job) -> Emission:
        opened = job.opened
        if opened.error is not None:
            return Emission(opened.name, error=opened.error)
        table = np.concatenate(job.pieces) if job.pieces else np.empty((0, self.network.columns), dtype=np.float32)
        job.pieces = []
        log_probs = table[:, : self.network.first.columns] if isinstance(self.network, NetworkPair) else table
        content = opened.content if self.keep and isinstance(opened.content, np.ndarray) else None
        if isinstance(self.features, AudioFeatures):
            seconds = opened.length / self.features.sample_rate
            clock = Clock.of_audio(self.step / self.features.sample_rate, seconds)
            return Emission(opened.name, log_probs, table, seconds=seconds, clock=clock, content=content)
        if isinstance(self.features, StrokeFeatures):
            clock = Clock(self.network.stride, WORD_REACH_HEIGHTS / self.features.spacing, end=opened.length)
        else:
            placement = opened.placement
            clock = Clock.of_line(self.network.stride, self.features.height, opened.length, placement.offset, placement.scale)
        return Emission(opened.name, log_probs, table, width=opened.length, clock=clock, content=content)
