"""Long recordings read piece by piece, so that memory does not grow with their length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from recognizer.audio.io import Channel, check_samples, choose_channel, open_audio, take_channel
from recognizer.errors import InputError


@dataclass(frozen=True)
class Window:
    """A stretch of a recording with context on both sides.

    Attributes:
        samples: (N,), context included.
        before: samples of context in front of the stretch.
        inside: samples of the stretch itself.
        last: whether the recording ends here.
    """

    samples: np.ndarray
    before: int
    inside: int
    last: bool


def stream_audio(path: str | Path, sample_rate: int, channel: Channel = "auto") -> Iterator[np.ndarray]:
    """Blocks of a recording, one after the other, as float32 samples of one channel at ``sample_rate``.

    With several channels and "auto" the recording is decoded twice: once to choose.

    Raises:
        InputError: as :func:`~recognizer.audio.io.load_audio`; a fault further in is raised when it is reached.
    """
    with open_audio(path) as parts:
        for part in parts:
            chosen = choose_channel(part.blocks(), channel, path) if part.channels > 1 else None
            resampler = soxr.ResampleStream(part.samplerate, sample_rate, 1, dtype="float32", quality="HQ")
            for block, last in _mark_last(part.blocks()):
                samples = take_channel(block, chosen)
                check_samples(samples, path)
                if part.samplerate != sample_rate:
                    samples = resampler.resample_chunk(np.ascontiguousarray(samples), last=last)
                yield np.clip(samples, -1.0, 1.0)


def _mark_last(blocks: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, bool]]:
    """Each block and whether it is the last; what is raised comes after the blocks before it."""
    held: np.ndarray | None = None
    while True:
        try:
            block = next(blocks, None)
        except InputError:
            if held is not None:
                yield held, False
            raise
        if held is not None:
            yield held, block is None
        if block is None:
            return
        held = block


def cut_windows(blocks: Iterator[np.ndarray], inside: int, context: int) -> Iterator[Window]:
    """Cut a stream into windows of ``inside`` samples, each with up to ``context`` samples on either side.

    The stretches follow each other without gap or overlap; the last may be shorter. No blocks give no windows.
    """
    buffer = np.empty(0, dtype=np.float32)  # begins `before` samples in front of the next stretch
    before, ended = 0, False
    while True:
        while not ended and len(buffer) <= before + inside + context:
            block = next(blocks, None)
            ended = block is None
            buffer = buffer if block is None else np.concatenate([buffer, block])
        rest = len(buffer) - before
        if rest <= 0:
            return
        if ended and rest <= inside + context:  # a stretch of mere context is not worth a window of its own
            yield Window(buffer, before, rest, last=True)
            return
        yield Window(buffer[: before + inside + context], before, inside, last=False)
        keep_from = max(0, before + inside - context)
        buffer, before = buffer[keep_from:], before + inside - keep_from
