"""What a recognizer is given: files and arrays, read as its network takes them."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
import soxr

from recognizer.audio.io import AUDIO_SUFFIXES, BLOCK, Channel, audio_seconds, check_samples, is_pipe, load_audio
from recognizer.audio.stream import SpeechWindows, stream_audio
from recognizer.config import AudioFeatures, Features, Modality, StrokeFeatures
from recognizer.data.loading import is_empty
from recognizer.errors import InputError
from recognizer.image.io import IMAGE_SUFFIXES, load_image
from recognizer.image.normalize import ColumnTransform, prepare_line
from recognizer.inference.given import HeldFile, Unusable
from recognizer.strokes.io import STROKE_SUFFIXES, Trace, load_trace
from recognizer.strokes.normalize import prepare_strokes


@dataclass(frozen=True)
class Recording:
    """A recording on disk, of which a certain channel is wanted.

    Attributes:
        path: the file.
        channel: see :func:`~recognizer.audio.io.load_audio`.
    """

    path: str | Path
    channel: Channel = "auto"


Source = str | Path | np.ndarray | Recording | HeldFile | Unusable

SUFFIXES: dict[Modality, Collection[str]] = {"audio": AUDIO_SUFFIXES, "line": IMAGE_SUFFIXES, "strokes": STROKE_SUFFIXES}
WHOLE_SECONDS = 30.0  # longer recordings are recognized in stretches of speech


@dataclass
class LoadedInput:
    """An input that was read, or the reason why it cannot be used.

    Attributes:
        name: the path, or ``array N``.
        content: samples (N,), columns (W, H) or points (T, 5); the stretches of speech of a long recording; None if there is nothing to recognize.
        length: samples, columns or points; of a long recording as far as its windows have been read.
        columns: where the columns lie in the picture.
        error: one line that names the input; None where it can be used.
    """

    name: str
    content: np.ndarray | SpeechWindows | None = None
    length: int = 0
    columns: ColumnTransform = field(default_factory=lambda: ColumnTransform(0.0, 1.0))
    error: str | None = None


class InputLoader:
    """Reads inputs for one recognizer.

    Args:
        features: what its network takes.
        max_frames: longest line or pen trace, in columns or points.
        step: samples of a recording that one frame of log-probs stands for; windows begin and end at its multiples.
    """

    def __init__(self, features: Features, max_frames: int, step: int = 1) -> None:
        self.features, self.max_frames, self.step = features, max_frames, step

    def load(self, number: int, source: Source, sample_rate: int | None = None) -> LoadedInput:
        """Read the input of this number, all of it unless it is a long recording.

        Whatever is wrong with it becomes its ``error``, so that no other input suffers.

        Args:
            number: by which an array is named.
            source: a file, one channel of a recording, samples (N,) float, a line image (H, W) uint8, or points (N, 4) float.
            sample_rate: of samples, Hz; None: that of the features.
        """
        loaded = LoadedInput(name_source(number, source))
        try:
            content = self._read(loaded, source, sample_rate)
        except InputError as error:
            loaded.error = str(error) if not isinstance(source, HeldFile) else str(error).replace(os.fspath(source), str(source))
            return loaded
        except Exception as error:
            loaded.error = describe_failure(loaded.name, error)
            return loaded
        if isinstance(content, np.ndarray):
            loaded.length = len(content)
        if not isinstance(content, np.ndarray) or not is_empty(content):
            loaded.content = content
        return loaded

    def _read(self, loaded: LoadedInput, source: Source, sample_rate: int | None) -> np.ndarray | SpeechWindows:
        if isinstance(source, Unusable):
            raise InputError(source.error)
        if isinstance(source, HeldFile):
            source = cast("Path", source)  # is read as any other path
        if isinstance(self.features, AudioFeatures):
            return self._read_audio(loaded, source, sample_rate or self.features.sample_rate)
        if isinstance(source, Recording):
            source = source.path
        if isinstance(self.features, StrokeFeatures):
            trace = Trace.of_array(source, loaded.name) if isinstance(source, np.ndarray) else load_trace(source)
            content = prepare_strokes(trace, self.features, loaded.name)
            size = f"{len(content)} points at {self.features.spacing:g} of the letters' height"
        else:
            gray = load_image(source) if not isinstance(source, np.ndarray) else _check_array(source, 2, loaded.name)
            strip, loaded.columns = prepare_line(gray, self.features, loaded.name)
            content = np.ascontiguousarray(strip.T)
            size = f"{len(content)} columns wide at {self.features.height} rows"
        if len(content) > self.max_frames:
            raise InputError(f"{loaded.name}: {size}; is this one line of text? Cut it")
        return content

    def _read_audio(self, loaded: LoadedInput, source: str | Path | np.ndarray | Recording, sample_rate: int) -> np.ndarray | SpeechWindows:
        rate = self.features.sample_rate  # type: ignore[union-attr]
        channel: Channel = "auto"
        if isinstance(source, Recording):
            channel, source = source.channel, source.path
        limit = round(WHOLE_SECONDS * rate)
        if isinstance(source, np.ndarray):
            samples = _check_array(source, 1, loaded.name).astype(np.float32)
            if sample_rate != rate:
                samples = soxr.resample(samples, sample_rate, rate, quality="HQ")
            blocks = iter([samples[begin : begin + BLOCK] for begin in range(0, len(samples), BLOCK)] if len(samples) > limit else [samples])
        elif not is_pipe(source) and audio_seconds(source) <= WHOLE_SECONDS:
            return load_audio(source, rate, 0.0, None, channel)
        else:
            blocks = stream_audio(source, rate, channel)
        first, known = [], 0
        for block in blocks:
            first.append(block)
            known += len(block)
            if known > limit:
                return SpeechWindows(chain(first, blocks), rate, self.step)
        return np.concatenate(first)


def name_source(number: int, source: Source) -> str:
    """What messages and results call an input: its path, or ``array N``."""
    if isinstance(source, np.ndarray):
        return f"array {number}"
    return str(source.path if isinstance(source, Recording) else source)


def describe_failure(name: str, error: BaseException) -> str:
    """One line about an exception that nobody expected, for the input that it struck."""
    return f"{name}: {type(error).__name__}: {' '.join(str(error).split()) or 'no further message'}"


def _check_array(array: np.ndarray, rank: int, name: str) -> np.ndarray:
    kind = "float samples (N,)" if rank == 1 else "a gray line image (H, W) uint8"
    if array.ndim != rank or array.size == 0 or (array.dtype.kind != "f" if rank == 1 else array.dtype != np.uint8):
        raise InputError(f"{name}: expected {kind}, found shape {array.shape} of {array.dtype}")
    if rank == 1:
        check_samples(array, name)
    return array
