"""Sources of a recogniser, files and arrays, read as its network takes them: whole, or in windows where a recording is long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recognizer.config import AudioFeatures, Features, StrokeFeatures
from recognizer.errors import InputError
from recognizer.features.audio_file import audio_seconds, check_samples, load_audio
from recognizer.features.audio_stream import Window, cut_windows, stream_audio
from recognizer.features.image_file import load_image
from recognizer.features.line import Placement, place_line
from recognizer.features.reading import is_empty
from recognizer.features.stroke_file import load_trace
from recognizer.features.strokes import prepare_strokes
from recognizer.features.trace import Trace

Source = str | Path | np.ndarray

WINDOW_SECONDS = 30.0  # longer recordings are recognised in stretches of this length
CONTEXT_SECONDS = 3.0  # heard on either side of a stretch, since both directions of the network need a run-up


@dataclass
class Opened:
    """A source that was read, or the reason why it cannot be used.

    Attributes:
        name: the path, or ``array N``.
        content: samples (N,), columns (W, H) or points (T, 5); windows of a long recording; None if there is nothing to recognise.
        length: samples, columns or points; of a long recording as far as its windows were drawn.
        placement: of columns in the picture.
        error: one line that names the source; None where it can be used.
    """

    name: str
    content: np.ndarray | Iterator[Window] | None = None
    length: int = 0
    placement: Placement = field(default_factory=lambda: Placement(0.0, 1.0))
    error: str | None = None


class SourceReader:
    """Reads sources for one recogniser.

    Args:
        features: what it recognises.
        most_frames: longest line or pen trace, in columns or points.
        step: samples of a recording that one frame of log-probs stands for; windows begin and end at its multiples.
    """

    def __init__(self, features: Features, most_frames: int, step: int = 1) -> None:
        self.features, self.most_frames, self.step = features, most_frames, step

    def open(self, number: int, source: Source) -> Opened:
        """Read the source of this number, all of it unless it is a long recording."""
        opened = Opened(f"array {number}" if isinstance(source, np.ndarray) else str(source))
        try:
            content = self._read(opened, source)
        except InputError as error:
            opened.error = str(error)
            return opened
        if isinstance(content, np.ndarray):
            opened.length = len(content)
        if not isinstance(content, np.ndarray) or not is_empty(content):
            opened.content = content
        return opened

    def _read(self, opened: Opened, source: Source) -> np.ndarray | Iterator[Window]:
        settings = self.features
        if isinstance(settings, StrokeFeatures):
            trace = Trace.of_array(source, opened.name) if isinstance(source, np.ndarray) else load_trace(source)
            points = prepare_strokes(trace, settings, opened.name)
            if len(points) > self.most_frames:
                raise InputError(f"{opened.name}: {len(points)} points at {settings.spacing:g} of the letters' height; is this one line of text?")
            return points
        if not isinstance(settings, AudioFeatures):
            grey = load_image(source) if not isinstance(source, np.ndarray) else _checked(source, 2, opened.name)
            strip, opened.placement = place_line(grey, settings)
            columns = np.ascontiguousarray(strip.T)
            if len(columns) > self.most_frames:
                raise InputError(f"{opened.name}: {len(columns)} columns wide at {settings.height} rows; is this one line of text? Cut it")
            return columns
        if isinstance(source, np.ndarray):
            samples = _checked(source, 1, opened.name).astype(np.float32)
            if len(samples) <= WINDOW_SECONDS * settings.sample_rate:
                return samples
            blocks = iter([samples])
        elif audio_seconds(source) <= WINDOW_SECONDS:
            return load_audio(source, settings.sample_rate)
        else:
            blocks = stream_audio(source, settings.sample_rate)
        inside, context = (round(seconds * settings.sample_rate / self.step) * self.step for seconds in (WINDOW_SECONDS, CONTEXT_SECONDS))
        return cut_windows(blocks, inside, context)


def _checked(array: np.ndarray, rank: int, name: str) -> np.ndarray:
    kind = "float samples (N,)" if rank == 1 else "a grey line image (H, W) uint8"
    if array.ndim != rank or array.size == 0 or (array.dtype.kind != "f" if rank == 1 else array.dtype != np.uint8):
        raise InputError(f"{name}: expected {kind}, found shape {array.shape} of {array.dtype}")
    if rank == 1:
        check_samples(array, name)
    return array
